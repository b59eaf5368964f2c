"""Judgement of policies before they are served: estimates, comparisons, blessing."""
