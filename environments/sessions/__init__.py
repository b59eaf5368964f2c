"""Sessions of a log, replayed as an environment."""
