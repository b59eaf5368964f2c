"""The loss weightings by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mtfx.config import Config
from mtfx.datasets.spec import Task
from mtfx.registry import Entry, Registry

if TYPE_CHECKING:
    from mtfx.models.loss_weighting.base import LossWeighting

#: None of them has settings; the constant weights are the model's.
LOSS_WEIGHTINGS: Registry[Entry] = Registry(
    "loss weighting",
    {
        "constant": Entry(
            "models.loss_weighting.base:LossWeighting",
            Config,
            "the weights of --task-weight, 1 unless given",
        ),
        "uncertainty": Entry(
            "models.loss_weighting.uncertainty:UncertaintyWeighting",
            Config,
            "a noise per task, learned with the model (Kendall et al. 2018)",
        ),
        "dwa": Entry(
            "models.loss_weighting.dwa:DynamicWeightAverage",
            Config,
            "more for losses that fell little in the last epoch (Liu et al. 2019)",
        ),
        "gradnorm": Entry(
            "models.loss_weighting.gradnorm:GradNorm",
            Config,
            "gradients of one size at the state, larger for slow tasks (Chen et al. 2018)",
        ),
        "pcgrad": Entry(
            "models.loss_weighting.pcgrad:ProjectedGradients",
            Config,
            "conflicts between the tasks' gradients removed (Yu et al. 2020)",
        ),
    },
)


def build_loss_weighting(
    name: str, tasks: tuple[Task, ...], constant: Sequence[float], seed: int = 0
) -> LossWeighting:
    """Builds a loss weighting. Imports TensorFlow.

    Args:
      name: One of ``LOSS_WEIGHTINGS``.
      tasks: The tasks, in the order of the columns of losses.
      constant: A constant weight for each, which multiplies.
      seed: Seed of what is random.

    Raises:
      ValueError: if the name is unknown.
    """
    return LOSS_WEIGHTINGS[name].load()(tasks, constant, seed)
