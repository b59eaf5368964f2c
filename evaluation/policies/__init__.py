"""Whether a policy is good enough to be served: estimates, comparisons, blessing."""
