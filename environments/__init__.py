"""Batched environments of TF-Agents."""
