"""Metrics, evaluation configuration and the report of a run."""
