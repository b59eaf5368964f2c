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


@dataclasses.dataclass(frozen=True)
class Step:
    """A training step, of one replica, from which gradients are to be taken.

    Attributes:
      tape: Has recorded the losses; persistent if the weighting ``uses_task_gradients``.
      total: The result of :meth:`LossWeighting.total_loss`, divided by the number of replicas,
        because the optimizer sums their gradients.
      task_losses: Mean loss of each task, without weights, divided likewise; empty unless the
        weighting ``uses_task_gradients``.
      variables: The model's trainable variables.
      shared: Those of them that more than one task's loss depends on.
      last_shared: The kernel of the last layer that every task's loss depends on as a whole.
    """

    tape: tf.GradientTape
    total: tf.Tensor
    task_losses: Sequence[tf.Tensor]
    variables: Sequence[tf.Variable]
    shared: Sequence[tf.Variable]
    last_shared: tf.Variable


class LossWeighting(keras.layers.Layer):
    """Constant weights: (1/B) Σᵢ Σₖ wₖ Lᵢₖ; subclasses override one of the methods.

    A layer, so that what it learns is saved with the model and, if trainable, trained by the
    model's optimizer. The constant weights multiply what a subclass finds.

    Attributes:
      tasks: The tasks, in the order of the columns of losses.
      constant: The weights wₖ that the configuration gives, by task.
      trained: Indices of the tasks whose constant weight is not zero.
      seed: Seed of what is random, if anything is.
    """

    #: Whether :meth:`gradients` asks the tape for the gradients of single tasks.
    uses_task_gradients = False

    def __init__(self, tasks: tuple[Task, ...], constant: Sequence[float], seed: int = 0) -> None:
        """Keeps tasks, constant weights and seed.

        Raises:
          ValueError: if there is not one weight per task.
        """
        super().__init__(name="loss_weighting", dtype="float32")
        if len(tasks) != len(constant):
            raise ValueError(f"{len(constant)} constant weights for {len(tasks)} tasks")
        self.tasks = tuple(tasks)
        self.constant = tuple(float(weight) for weight in constant)
        self.trained = tuple(index for index, weight in enumerate(self.constant) if weight)
        self.seed = seed

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

    def gradients(self, step: Step) -> list[Gradient]:
        """The direction of the optimizer's step.

        Args:
          step: The recorded step.

        Returns:
          A gradient for each of ``step.variables``; None where the loss does not depend on it.
        """
        return step.tape.gradient(step.total, step.variables)

    def end_epoch(self, task_losses: Sequence[float]) -> None:
        """Called after each epoch, before the checkpoint.

        Args:
          task_losses: Mean training loss of each task, without weights.
        """

    def add_state(self, name: str, shape: Sequence[int], initial: float = 0.0) -> tf.Variable:
        """A float32 variable that no gradient changes, saved with the model.

        Every replica computes the same value for it, so that of the first counts.
        """
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=keras.initializers.Constant(initial),
            trainable=False,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )
