"""Names of the loss weightings, without TensorFlow, for the command line to check."""

from __future__ import annotations

from typing import Literal, get_args

LossWeightingName = Literal["constant", "uncertainty", "dwa", "gradnorm", "pcgrad"]
LOSS_WEIGHTING_NAMES: tuple[LossWeightingName, ...] = get_args(LossWeightingName)
