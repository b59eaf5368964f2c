"""Dynamic Weight Average (Liu, Johns and Davison, CVPR 2019)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from mtfx.datasets.spec import Task
from mtfx.models.loss_weighting.base import Batch, LossWeighting

TEMPERATURE = 2.0


class DynamicWeightAverage(LossWeighting):
    """A task whose loss falls slowly gets more weight in the next epoch.

    The paper's equation 7: λₖ(t) = K exp(rₖ(t-1) / T) / Σᵢ exp(rᵢ(t-1) / T), where rₖ(t-1) =
    Lₖ(t-1) / Lₖ(t-2) compares the mean training losses of the last two epochs; 1 in the first two
    epochs. A loss's weight is λₖ times its constant weight.
    """

    def __init__(
        self,
        tasks: tuple[Task, ...],
        constant: Sequence[float],
        seed: int = 0,
        temperature: float = TEMPERATURE,
    ) -> None:
        """Starts with equal weights.

        Args:
          tasks: See :class:`LossWeighting`.
          constant: Likewise.
          seed: Likewise; nothing is random.
          temperature: T; the larger, the more equal are the weights.

        Raises:
          ValueError: if the temperature is not positive.
        """
        super().__init__(tasks, constant, seed)
        if not temperature > 0:
            raise ValueError(f"the temperature must be positive, got {temperature}")
        self.temperature = temperature
        # Variables, not attributes, so that a training resumed from a checkpoint knows them.
        self.task_weights = self.add_state("task_weights", (len(tasks),), initial=1.0)
        self.last_losses = self.add_state("last_losses", (len(tasks),))

    def loss_weights(self, batch: Batch) -> tf.Tensor:
        """cₖ λₖ, `[task]`."""
        return tf.constant(self.constant) * self.task_weights

    def end_epoch(self, task_losses: Sequence[float]) -> None:
        """See :meth:`LossWeighting.end_epoch`; sets the next epoch's weights."""
        losses = np.asarray(task_losses, np.float64)
        last = self.last_losses.numpy().astype(np.float64)
        # No epoch before this one, or a loss that has reached zero: neither fast nor slow.
        ratios = np.where(last > 0, losses / np.where(last > 0, last, 1), 1) / self.temperature
        exponentials = np.exp(ratios - ratios.max())
        self.task_weights.assign(len(losses) * exponentials / exponentials.sum())
        self.last_losses.assign(losses)
