"""PolicyComparison: several fusion policies on the same simulated sessions."""
