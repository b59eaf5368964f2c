"""Distances of simulated sessions from those of the log."""
