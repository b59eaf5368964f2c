"""The fusion functions: formulas by name, and everything that decides what one is."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args

from mtfx.config import Config
from mtfx.registry import Entry, Registry

if TYPE_CHECKING:
    from mtfx.models.fusion.base import AdditiveFusion

CellFamily = Literal["mlp", "basis"]
Transform = Literal["identity", "log", "tanh", "sigmoid"]
CELL_FAMILIES: tuple[CellFamily, ...] = get_args(CellFamily)
TRANSFORMS: tuple[Transform, ...] = get_args(Transform)
#: In place of a formula's name.
FORMULA_FREE = "xmtf"


@dataclasses.dataclass(frozen=True)
class FusionConfig(Config):
    """A fusion formula's configuration.

    Attributes:
      formula: Its name, one of ``FORMULAS``. The default is BatchRL-MTF's (1).
      low: Weight of an action of -1. Our choice (0): no paper prints its bounds, and a score must
        not fall when a wanted feedback becomes likelier. Below 0 the formulas are not monotone.
      high: Weight of an action of 1. Our choice (1): a common factor of all weights does not change
        the order.
      beta: β of ``formula2``, one for all predictions or one for each. BatchRL-MTF sets it "by
        priori knowledge" and does not print it; 1e-3 is near the rates of a short-video platform's
        rarest feedbacks (likes, shares), below which differences of a prediction are noise.
    """

    formula: str = "formula2"
    low: float = 0.0
    high: float = 1.0
    beta: float | tuple[float, ...] = 1e-3

    def __post_init__(self) -> None:
        FORMULAS[self.formula]
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

    def action_meaning(self) -> dict[str, Any]:
        """What decides what an action does: equal where actions may be compared."""
        return self.to_dict()


@dataclasses.dataclass(frozen=True)
class FormulaFreeConfig(Config):
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

    def action_meaning(self) -> dict[str, Any]:
        """What decides what an action does: equal where actions may be compared.

        Of xMTF the inner stage has its part in it too, but it changes with every step of training;
        actions under different cells count as alike.
        """
        return {"formula": self.formula, "low": self.low, "high": self.high}


@dataclasses.dataclass(frozen=True)
class CellsConfig(Config):
    """The inner stage and the range of the outer one.

    Attributes:
      family: ``mlp``, the paper's, made monotone by a loss only; or ``basis``, monotone whatever
        its weights are.
      hidden_units: ReLU layers: of each cell (``mlp``), or of the one network that gives all cells'
        weights (``basis``). xMTF says "MLP" and prints no sizes.
      transforms: What an ``mlp`` cell sees of a prediction, each an increasing function of it. The
        paper has the prediction itself; its published code adds logarithm, tanh and shifted
        sigmoids. The logarithm spreads the small probabilities of rare feedbacks.
      knots: Pieces of a ``basis`` cell.
      low: Smallest a of (11), of an action of -1. A cell's value is in [0, 1], so that (11)
        increases wherever a > -1/2.
      high: Largest a, of an action of 1.
    """

    family: CellFamily = "mlp"
    hidden_units: tuple[int, ...] = (32, 32)
    transforms: tuple[Transform, ...] = ("identity", "log")
    knots: int = 32
    low: float = -0.45
    high: float = 4.0

    def __post_init__(self) -> None:
        if self.family not in CELL_FAMILIES:
            raise ValueError(
                f"no family of cells {self.family!r}; there are: {', '.join(CELL_FAMILIES)}"
            )
        if not self.hidden_units or min(self.hidden_units) < 1:
            raise ValueError(f"hidden_units needs layers of at least 1, got {self.hidden_units}")
        if not self.transforms or (unknown := set(self.transforms) - set(TRANSFORMS)):
            raise ValueError(
                f"transforms must name some of {', '.join(TRANSFORMS)}; got "
                f"{', '.join(sorted(unknown)) if self.transforms else 'none'}"
            )
        if self.knots < 2:
            raise ValueError(f"knots must be at least 2, got {self.knots}")
        if not -0.5 < self.low < 0.0 < self.high:
            raise ValueError(
                f"low must be in (-0.5, 0), where (11) still increases, and high above 0; got "
                f"{self.low} and {self.high}"
            )


AnyFusionConfig = FusionConfig | FormulaFreeConfig
FORMULAS: Registry[Entry] = Registry(
    "fusion formula",
    {
        "formula1": Entry("models.fusion.formulas:Formula1", FusionConfig, "Σ w·o, a weighted sum"),
        "formula2": Entry(
            "models.fusion.formulas:Formula2", FusionConfig, "Σ w·log(o + β), BatchRL-MTF's (1)"
        ),
        "formula3": Entry(
            "models.fusion.formulas:Formula3", FusionConfig, "Π o^w, a weighted product"
        ),
    },
)
_FORMULA_FREE = Entry("models.fusion.formula_free:FormulaFreeFusion", FormulaFreeConfig, "xMTF's")


def fusion_config_class(values: Mapping[str, Any] | None) -> type[FusionConfig | FormulaFreeConfig]:
    """The class of which ``to_dict`` wrote these values; where there are none, a formula's."""
    free = values is not None and values.get("formula") == FORMULA_FREE
    return FormulaFreeConfig if free else FusionConfig


def fusion_config(values: Mapping[str, Any]) -> AnyFusionConfig:
    """The inverse of either config's ``to_dict``, also after a round trip through JSON.

    Raises:
      ValueError: if a key is unknown or a value is out of its range.
    """
    return fusion_config_class(values).from_dict(values)


def build_fusion(config: AnyFusionConfig, num_predictions: int) -> AdditiveFusion:
    """Builds a fusion function. Imports TensorFlow.

    Args:
      config: Which, and its settings.
      num_predictions: K, how many predictions a candidate has.

    Raises:
      ValueError: if the settings do not fit the number of predictions, or the function has cells
        that are saved with a policy: ``mtfx.models.export.policy.SavedPolicy.fusion`` has
        them.
    """
    if isinstance(config, FusionConfig):
        return FORMULAS[config.formula].load()(config, num_predictions)
    if config.saved_cells:
        raise ValueError("xMTF's trained cells are part of a policy: take the policy's fusion")
    outer = CellsConfig(low=config.low, high=config.high)
    return _FORMULA_FREE.load()(num_predictions, outer, None)
