"""Experiments of RMTL."""
