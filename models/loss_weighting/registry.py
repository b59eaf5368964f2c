"""The loss weightings by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from mtfx.datasets.spec import Task
from mtfx.models.loss_weighting.base import LossWeighting
from mtfx.models.loss_weighting.dwa import DynamicWeightAverage
from mtfx.models.loss_weighting.gradnorm import GradNorm
from mtfx.models.loss_weighting.names import LossWeightingName
from mtfx.models.loss_weighting.pcgrad import ProjectedGradients
from mtfx.models.loss_weighting.uncertainty import UncertaintyWeighting


@dataclasses.dataclass(frozen=True)
class LossWeightingEntry:
    """A registered loss weighting.

    Attributes:
      weighting: Its class.
      description: One line for ``mtfx backbones``.
    """

    weighting: type[LossWeighting]
    description: str


LOSS_WEIGHTINGS: dict[LossWeightingName, LossWeightingEntry] = {
    "constant": LossWeightingEntry(LossWeighting, "the weights of --task-weight, 1 unless given"),
    "uncertainty": LossWeightingEntry(
        UncertaintyWeighting, "a noise per task, learned with the model (Kendall et al. 2018)"
    ),
    "dwa": LossWeightingEntry(
        DynamicWeightAverage, "more for losses that fell little in the last epoch (Liu et al. 2019)"
    ),
    "gradnorm": LossWeightingEntry(
        GradNorm, "gradients of one size at the state, larger for slow tasks (Chen et al. 2018)"
    ),
    "pcgrad": LossWeightingEntry(
        ProjectedGradients, "conflicts between the tasks' gradients removed (Yu et al. 2020)"
    ),
}


def loss_weighting_entry(name: str) -> LossWeightingEntry:
    """The entry of this name; raises ValueError naming the known ones."""
    if name not in LOSS_WEIGHTINGS:
        raise ValueError(f"no loss weighting {name!r}; there are: {', '.join(LOSS_WEIGHTINGS)}")
    return LOSS_WEIGHTINGS[name]


def build_loss_weighting(
    name: str, tasks: tuple[Task, ...], constant: Sequence[float], seed: int = 0
) -> LossWeighting:
    """Builds a loss weighting.

    Args:
      name: One of ``LOSS_WEIGHTINGS``.
      tasks: The tasks, in the order of the columns of losses.
      constant: A constant weight for each, which multiplies.
      seed: Seed of what is random.

    Raises:
      ValueError: if the name is unknown.
    """
    return loss_weighting_entry(name).weighting(tasks, constant, seed)
