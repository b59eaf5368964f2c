"""Data sets: descriptions of what their logs mean, and how logs are read."""
