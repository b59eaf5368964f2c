"""Fitting of a world to a log: its items, users and responses."""
