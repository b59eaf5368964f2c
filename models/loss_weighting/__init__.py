"""Loss weightings: the tasks' losses become one training step; one file per method."""
