"""Joins logs of served requests with the feedback that came later."""
