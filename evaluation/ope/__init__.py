"""Off-policy evaluation: what a policy is worth, from the log of another."""
