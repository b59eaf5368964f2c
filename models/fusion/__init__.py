"""Fusion functions: the ranking model's predictions and an action into one score."""
