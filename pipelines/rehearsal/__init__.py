"""The daily loop with simulated users behind a real service."""
