"""Transitions of a policy's decisions: their layout, files and tables."""
