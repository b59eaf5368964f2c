"""StrictDistributionValidator: a distribution that moved too far stops the run."""
