"""The fusion methods of xMTF's Table 3, by name."""

from __future__ import annotations

import dataclasses
from typing import Literal

from mtfx.models.fusion.config import CellFamily

#: ``constant`` weighs all predictions alike; ``cem`` searches one weight vector for everybody.
OnlineLearner = Literal["constant", "cem", "td3", "bcq", "xmtf"]
#: Those that are trained on transitions while they act.
ONLINE_AGENTS: tuple[OnlineLearner, ...] = ("td3", "bcq", "xmtf")


@dataclasses.dataclass(frozen=True)
class OnlineMethod:
    """A method that fuses predictions, and how it learns to.

    Attributes:
      title: As tables show it; xMTF's name where it has one.
      learner: What learns.
      formula: Whose weights are the action; of no meaning to ``xmtf``.
      cells: Family of xMTF's cells.
      inner_stage: False is the ablation without cells.
      outer_stage: False is the ablation without reinforcement learning.
    """

    title: str
    learner: OnlineLearner
    formula: str = "formula2"
    cells: CellFamily = "mlp"
    inner_stage: bool = True
    outer_stage: bool = True

    @property
    def has_cells(self) -> bool:
        """Whether it learns monotonic functions."""
        return self.learner == "xmtf" and self.inner_stage


METHODS: dict[str, OnlineMethod] = {
    "equal": OnlineMethod("equal weights", "constant"),
    "cem_1": OnlineMethod("CEM-1", "cem", "formula1"),
    "cem_2": OnlineMethod("CEM-2", "cem", "formula2"),
    "td3_1": OnlineMethod("TD3-1", "td3", "formula1"),
    "td3_2": OnlineMethod("TD3-2", "td3", "formula2"),
    "td3_3": OnlineMethod("TD3-3", "td3", "formula3"),
    "batchrl_1": OnlineMethod("BatchRL-MTF-1", "bcq", "formula1"),
    "batchrl_2": OnlineMethod("BatchRL-MTF-2", "bcq", "formula2"),
    "xmtf": OnlineMethod("xMTF", "xmtf"),
    "xmtf_no_outer": OnlineMethod("xMTF w/o outer", "xmtf", outer_stage=False),
    "xmtf_no_inner": OnlineMethod("xMTF w/o inner", "xmtf", inner_stage=False),
    "xmtf_basis": OnlineMethod("xMTF, basis cells", "xmtf", cells="basis"),
}


def online_method(name: str) -> OnlineMethod:
    """The method of a name; raises ValueError naming the methods if there is none."""
    if name not in METHODS:
        raise ValueError(f"no method {name!r}; there are: {', '.join(METHODS)}")
    return METHODS[name]
