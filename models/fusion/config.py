"""Everything that decides what a fusion formula is, as plain data."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal, get_args

FusionName = Literal["formula1", "formula2", "formula3"]
FUSION_NAMES: tuple[FusionName, ...] = get_args(FusionName)


@dataclasses.dataclass(frozen=True)
class FusionConfig:
    """A fusion formula's configuration.

    Attributes:
      formula: Its name, see ``models.fusion.registry``. The default is BatchRL-MTF's (1).
      low: Weight of an action of -1. Our choice (0): no paper prints its bounds, and a score must
        not fall when a wanted feedback becomes likelier. Below 0 the formulas are not monotone.
      high: Weight of an action of 1. Our choice (1): a common factor of all weights does not change
        the order.
      beta: β of ``formula2``, one for all predictions or one for each. BatchRL-MTF sets it "by
        priori knowledge" and does not print it; 1e-3 is near the rates of a short-video platform's
        rarest feedbacks (likes, shares), below which differences of a prediction are noise.
    """

    formula: FusionName = "formula2"
    low: float = 0.0
    high: float = 1.0
    beta: float | tuple[float, ...] = 1e-3

    def __post_init__(self) -> None:
        if self.formula not in FUSION_NAMES:
            raise ValueError(
                f"no fusion formula {self.formula!r}; there are: {', '.join(FUSION_NAMES)}"
            )
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(
                f"weight bounds must be finite with low < high, got low {self.low} and high "
                f"{self.high}"
            )
        for beta in self.betas(1) if isinstance(self.beta, float | int) else self.beta:
            if not (math.isfinite(beta) and beta >= 0):
                raise ValueError(f"beta must be finite and not negative, got {beta}")

    def betas(self, num_predictions: int) -> tuple[float, ...]:
        """β of each prediction.

        Raises:
          ValueError: if ``beta`` has another number of values.
        """
        if not isinstance(self.beta, tuple):
            return (float(self.beta),) * num_predictions
        if len(self.beta) != num_predictions:
            raise ValueError(
                f"beta has {len(self.beta)} values for {num_predictions} predictions; give one "
                "value for all or one for each"
            )
        return self.beta

    def to_dict(self) -> dict[str, Any]:
        """A dictionary of JSON types, for TFX's ``custom_config`` and manifests."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> FusionConfig:
        """The inverse of :meth:`to_dict`, also after a round trip through JSON.

        Raises:
          ValueError: if a key is unknown or a value is out of its range.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        if unknown := sorted(set(values) - set(known)):
            raise ValueError(f"FusionConfig has no {unknown}; it has: {', '.join(known)}")
        beta = values.get("beta", cls.beta)
        return cls(**{**values, "beta": tuple(beta) if isinstance(beta, list) else beta})
