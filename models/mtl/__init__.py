"""Multi-task backbones: from the state to one logit per task."""
