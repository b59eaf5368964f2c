"""The fusion functions by name."""

from __future__ import annotations

import dataclasses

from models.fusion.base import FusionFunction
from models.fusion.config import FusionConfig, FusionName
from models.fusion.formulas import Formula, Formula1, Formula2, Formula3


@dataclasses.dataclass(frozen=True)
class FusionEntry:
    """A registered fusion function.

    Attributes:
      function: Its class.
      description: One line for the command line's help.
    """

    function: type[Formula]
    description: str


FUSION_FUNCTIONS: dict[FusionName, FusionEntry] = {
    "formula1": FusionEntry(Formula1, "Σ w·o, a weighted sum"),
    "formula2": FusionEntry(Formula2, "Σ w·log(o + β), BatchRL-MTF's (1)"),
    "formula3": FusionEntry(Formula3, "Π o^w, a weighted product"),
}


def build_fusion(config: FusionConfig, num_predictions: int) -> FusionFunction:
    """Builds a fusion function.

    Args:
      config: Which, and its settings.
      num_predictions: K, how many predictions a candidate has.

    Raises:
      ValueError: if the settings do not fit the number of predictions.
    """
    return FUSION_FUNCTIONS[config.formula].function(config, num_predictions)
