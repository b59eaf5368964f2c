"""Everything that decides what a fusion function is, as plain data."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

from mtfx.models.config_keys import check_keys

FusionName = Literal["formula1", "formula2", "formula3"]
FUSION_NAMES: tuple[FusionName, ...] = get_args(FusionName)


@dataclasses.dataclass(frozen=True)
class FusionConfig:
    """A fusion formula's configuration.

    Attributes:
      formula: Its name, see ``mtfx.models.fusion.registry``. The default is BatchRL-MTF's (1).
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
        beta = list(self.beta) if isinstance(self.beta, tuple) else self.beta
        return {**dataclasses.asdict(self), "beta": beta}

    def action_meaning(self) -> dict[str, Any]:
        """What decides what an action does: equal where actions may be compared."""
        return self.to_dict()

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> FusionConfig:
        """The inverse of :meth:`to_dict`, also after a round trip through JSON.

        Raises:
          ValueError: if a key is unknown or a value is out of its range.
        """
        check_keys(cls, values)
        beta = values.get("beta", cls.beta)
        return cls(**{**values, "beta": tuple(beta) if isinstance(beta, list) else beta})


#: In place of a formula's name.
FORMULA_FREE = "xmtf"


@dataclasses.dataclass(frozen=True)
class FormulaFreeConfig:
    """xMTF's fusion, whose actions are the coefficients of its outer stage.

    Attributes:
      low: Coefficient a of (11) of an action of -1.
      high: Of an action of 1.
      saved_cells: Whether the inner stage is a trained one, saved with a policy. False is xMTF
        without inner stage, z = Σ o (1 + a o): the fusion under which a log is explored before
        there are cells.
      formula: Tells it apart from the formulas in a dictionary.
    """

    low: float
    high: float
    saved_cells: bool = False
    formula: Literal["xmtf"] = FORMULA_FREE

    def __post_init__(self) -> None:
        if self.formula != FORMULA_FREE:
            raise ValueError(f"FormulaFreeConfig is {FORMULA_FREE!r}, not {self.formula!r}")
        if not -0.5 < self.low < 0.0 < self.high < math.inf:
            raise ValueError(
                f"low must be in (-0.5, 0), where (11) still increases, and high above 0; got "
                f"{self.low} and {self.high}"
            )

    def to_dict(self) -> dict[str, Any]:
        """A dictionary of JSON types, for TFX's ``custom_config`` and manifests."""
        return dataclasses.asdict(self)

    def action_meaning(self) -> dict[str, Any]:
        """What decides what an action does: equal where actions may be compared.

        Of xMTF the inner stage has its part in it too, but it changes with every step of training;
        actions under different cells count as alike.
        """
        return {"formula": self.formula, "low": self.low, "high": self.high}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> FormulaFreeConfig:
        """The inverse of :meth:`to_dict`; raises ValueError if it cannot be."""
        check_keys(cls, values)
        return cls(**values)


AnyFusionConfig = FusionConfig | FormulaFreeConfig


def fusion_config(values: Mapping[str, Any]) -> AnyFusionConfig:
    """The inverse of either config's ``to_dict``, also after a round trip through JSON.

    Raises:
      ValueError: if a key is unknown or a value is out of its range.
    """
    free = values.get("formula") == FORMULA_FREE
    return (FormulaFreeConfig if free else FusionConfig).from_dict(dict(values))
