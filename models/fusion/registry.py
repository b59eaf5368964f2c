"""The fusion functions by name."""

from __future__ import annotations

import dataclasses

from mtfx.models.fusion.base import AdditiveFusion
from mtfx.models.fusion.cells_config import CellsConfig
from mtfx.models.fusion.config import AnyFusionConfig, FormulaFreeConfig, FusionName
from mtfx.models.fusion.formula_free import FormulaFreeFusion
from mtfx.models.fusion.formulas import Formula, Formula1, Formula2, Formula3


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


def build_fusion(config: AnyFusionConfig, num_predictions: int) -> AdditiveFusion:
    """Builds a fusion function.

    Args:
      config: Which, and its settings.
      num_predictions: K, how many predictions a candidate has.

    Raises:
      ValueError: if the settings do not fit the number of predictions, or the function has cells
        that are saved with a policy: ``mtfx.models.export.policy.SavedPolicy.fusion`` has
        them.
    """
    if isinstance(config, FormulaFreeConfig):
        if config.saved_cells:
            raise ValueError("xMTF's trained cells are part of a policy: take the policy's fusion")
        outer = CellsConfig(low=config.low, high=config.high)
        return FormulaFreeFusion(num_predictions, outer, None)
    return FUSION_FUNCTIONS[config.formula].function(config, num_predictions)
