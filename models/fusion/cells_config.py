"""Settings of xMTF's monotonic fusion cells, as plain data."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, get_args

from mtfx.models.config_keys import check_keys

CellFamily = Literal["mlp", "basis"]
Transform = Literal["identity", "log", "tanh", "sigmoid"]
CELL_FAMILIES: tuple[CellFamily, ...] = get_args(CellFamily)
TRANSFORMS: tuple[Transform, ...] = get_args(Transform)


@dataclasses.dataclass(frozen=True)
class CellsConfig:
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

    def to_dict(self) -> dict[str, Any]:
        """A dictionary of JSON types, for TFX's ``custom_config``."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> CellsConfig:
        """The inverse of :meth:`to_dict`, also after a round trip through JSON.

        Raises:
          ValueError: if a key is unknown or a value is out of its range.
        """
        check_keys(cls, values)
        fields: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        return cls(**fields)
