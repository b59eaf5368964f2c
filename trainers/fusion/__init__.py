"""Training of the policy: offline, and on the stream of served requests."""
