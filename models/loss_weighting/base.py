"""What every loss weighting has in common, and the one with constant weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import tensorflow as tf

from datasets.spec import Task
from models.keras import keras

Gradient = tf.Tensor | tf.IndexedSlices | None


@dataclasses.dataclass(frozen=True)
class Batch:
    """What a weighting may look at.

    Attributes:
      features: By name, `[batch]`.
      labels: float32 `[batch, task]`.
      logits: float32 `[batch, task]`.
      losses: Loss of every impression and task, float32 `[batch, task]`.
    """

    features: dict[str, tf.Tensor]
    labels: tf.Tensor
    logits: tf.Tensor
    losses: tf.Tensor


class LossWeighting(keras.layers.Layer):
    """Constant weights: (1/B) Σᵢ Σₖ wₖ Lᵢₖ; subclasses override one of the methods.

    A layer, so that what it learns is saved with the model and, if trainable, trained by the
    model's optimizer.

    Attributes:
      tasks: The tasks, in the order of the columns of losses.
      constant: float32 `[task]`: the weights wₖ that the configuration gives.
    """

    #: Whether :meth:`gradients` asks the tape more than once.
    uses_task_gradients = False

    def __init__(self, tasks: tuple[Task, ...], constant: Sequence[float]) -> None:
        """Keeps tasks and constant weights."""
        super().__init__(name="loss_weighting", dtype="float32")
        self.tasks = tuple(tasks)
        self.constant = tuple(float(weight) for weight in constant)

    def loss_weights(self, batch: Batch) -> tf.Tensor:
        """Weights of the losses, through which no gradient may flow.

        Args:
          batch: The batch.

        Returns:
          float32 `[task]` or `[batch, task]`.
        """
        return tf.constant(self.constant)

    def total_loss(self, batch: Batch) -> tf.Tensor:
        """The loss that training minimises, a float32 scalar."""
        weighted = tf.stop_gradient(self.loss_weights(batch)) * batch.losses
        return tf.reduce_mean(tf.reduce_sum(weighted, axis=1))

    def gradients(
        self,
        tape: tf.GradientTape,
        total: tf.Tensor,
        task_losses: Sequence[tf.Tensor],
        variables: Sequence[tf.Variable],
    ) -> list[Gradient]:
        """The direction of the optimizer's step.

        Args:
          tape: Has recorded the losses; persistent if ``uses_task_gradients``.
          total: The result of :meth:`total_loss`, divided by the number of replicas.
          task_losses: Mean loss of each task times its constant weight, likewise; recorded only if
            ``uses_task_gradients``.
          variables: The model's trainable variables.

        Returns:
          A gradient per variable; None where the loss does not depend on it.
        """
        return tape.gradient(total, variables)

    def end_epoch(self, task_losses: Sequence[float]) -> None:
        """Called after each epoch with the tasks' mean training losses."""
