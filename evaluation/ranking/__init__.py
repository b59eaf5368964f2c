"""Metrics of a ranking model: configuration and statistics of TFMA, and their results."""
