"""How far the simulated sessions are from those of the log."""
