"""Agents of TF-Agents: loss functions and a training step each."""
