"""The base of every loss weighting, and the one with constant weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import tensorflow as tf

from mtfx.datasets.spec import Task
from mtfx.models.keras import keras
from mtfx.models.known_labels import known_mask

Gradient = tf.Tensor | tf.IndexedSlices | None


@dataclasses.dataclass(frozen=True)
class Batch:
    """What a weighting may look at.

    Attributes:
      features: By name, `[batch]`.
      labels: float32 `[batch, task]`, ``mtfx.datasets.labels.UNKNOWN`` where unknown.
      logits: float32 `[batch, task]`.
      losses: Loss of every impression and task, float32 `[batch, task]`, 0 where the label is
        unknown.
      counts: By how many known labels each task's losses are divided, float32 `[task]`; over
        several replicas the mean of their numbers, so that the sum of their gradients is that of
        the whole batch's mean. Those of ``labels`` if None.
    """

    features: dict[str, tf.Tensor]
    labels: tf.Tensor
    logits: tf.Tensor
    losses: tf.Tensor
    counts: tf.Tensor | None = None

    @property
    def known(self) -> tf.Tensor:
        """1 where the label is known, else 0: float32 `[batch, task]`."""
        return known_mask(self.labels)

    @property
    def known_counts(self) -> tf.Tensor:
        """``counts``, or the numbers of known labels: float32 `[task]`."""
        return tf.reduce_sum(self.known, axis=0) if self.counts is None else self.counts

    def mean_losses(self, weights: tf.Tensor | float = 1.0) -> tf.Tensor:
        """Mean loss of each task over the impressions whose label is known, float32 `[task]`.

        0 for a task of which the batch has no known label: it is no reason for a step.

        Args:
          weights: Multiply the losses; `[task]`, `[batch, task]` or a scalar.
        """
        sums = tf.reduce_sum(weights * self.losses, axis=0)
        return tf.math.divide_no_nan(sums, self.known_counts)


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
      present: 1 for a task of which the whole batch has a known label, else 0, float32 `[task]`;
        all are if None.
    """

    tape: tf.GradientTape
    total: tf.Tensor
    task_losses: Sequence[tf.Tensor]
    variables: Sequence[tf.Variable]
    shared: Sequence[tf.Variable]
    last_shared: tf.Variable
    present: tf.Tensor | None = None


class LossWeighting(keras.layers.Layer):
    """Constant weights: Σₖ (1/Bₖ) Σᵢ wₖ Lᵢₖ over the Bₖ known labels; subclasses override a method.

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
        return tf.reduce_sum(batch.mean_losses(tf.stop_gradient(self.loss_weights(batch))))

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
