"""Homoscedastic uncertainty (Kendall, Gal and Cipolla, CVPR 2018)."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from mtfx.datasets.spec import Task
from mtfx.models.loss_weighting.base import Batch, LossWeighting


class UncertaintyWeighting(LossWeighting):
    """Every task has a noise σₖ², learned with the model: Σₖ cₖ (Lₖ exp(-sₖ) / mₖ + sₖ / 2).

    sₖ = log σₖ² starts at 0. For a binary task mₖ = 1: the likelihood of logits divided by σₖ²
    (the paper's equation 10, with its approximation). For a regression mₖ = 2: Lₖ is the deviance
    of an exponential dispersion model, whose negative log likelihood is, by the saddlepoint
    approximation, D / (2φ) + log(φ) / 2 with the dispersion φ in σₖ²'s place (Jørgensen, "The
    Theory of Dispersion Models", 1997, section 3.5); for a squared error this is the paper's
    equation 5. The constant weight cₖ multiplies both terms: if it multiplied the loss alone, sₖ
    would grow by log cₖ and undo it.

    The optimum is exp(-sₖ) = mₖ / (2 Lₖ). The total falls below zero as losses fall.
    """

    def __init__(self, tasks: tuple[Task, ...], constant: Sequence[float], seed: int = 0) -> None:
        """See :class:`LossWeighting`; nothing is random."""
        super().__init__(tasks, constant, seed)
        self.log_variances = self.add_weight(
            name="log_variances", shape=(len(tasks),), initializer="zeros"
        )
        self._halves = [1.0 if task.kind == "binary" else 0.5 for task in tasks]

    def loss_weights(self, batch: Batch) -> tf.Tensor:
        """cₖ exp(-sₖ) / mₖ, `[task]`."""
        return tf.constant(self.constant) * self._halves * tf.exp(-self.log_variances)

    def total_loss(self, batch: Batch) -> tf.Tensor:
        """See :meth:`LossWeighting.total_loss`; the gradient reaches the log variances."""
        # A batch without a known label of a task tells nothing of its noise either.
        present = tf.cast(batch.known_counts > 0, tf.float32)
        penalties = tf.constant(self.constant) * present * self.log_variances / 2
        return tf.reduce_sum(self.loss_weights(batch) * batch.mean_losses() + penalties)
