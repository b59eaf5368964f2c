"""Loss weights from frozen critics, for training a ranking model with Keras."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from mtfx.datasets.spec import Task
from mtfx.models.keras import keras
from mtfx.models.loss_weighting.base import Batch, LossWeighting

WeightFunction = Callable[[dict[str, tf.Tensor], tf.Tensor, tf.Tensor], tf.Tensor]


class CriticWeighting(LossWeighting):
    """RMTL's (16)-(17): every impression's loss, times ω of its state and prediction.

    Keeps the mean weight of each task's known labels over an epoch as a metric.

    Attributes:
      means: A metric per task.
    """

    def __init__(
        self, tasks: tuple[Task, ...], constant: Sequence[float], weights: WeightFunction
    ) -> None:
        """Takes the function that weighs.

        Args:
          tasks: The tasks.
          constant: Constant weights, which multiply.
          weights: ``RmtlAgent.loss_weights``: features, labels and predictions to ω
            `[batch, task]`. A function and not the agent, so that the model does not own, train or
            export the critics.
        """
        super().__init__(tasks, constant)
        self._weight_function = weights
        self.means = [keras.metrics.Mean(name=f"{task.name}_weight") for task in tasks]

    def loss_weights(self, batch: Batch) -> tf.Tensor:
        """ω times the constant weights, `[batch, task]`."""
        weights = self._weight_function(batch.features, batch.labels, tf.sigmoid(batch.logits))
        columns = (tf.unstack(values, axis=1) for values in (weights, batch.known))
        for metric, column, known in zip(self.means, *columns, strict=True):
            metric.update_state(column, sample_weight=known)
        return tf.constant(self.constant) * weights
