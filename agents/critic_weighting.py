"""Loss weights from critics: RMTL's (10), the ablations of its Table 2, and training with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

from mtfx.agents.rmtl_config import RmtlConfig
from mtfx.datasets.spec import Task
from mtfx.models.critics import Critics
from mtfx.models.keras import keras
from mtfx.models.known_labels import known_mask, with_zeros
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


def critic_loss_weights(
    critics: Critics,
    config: RmtlConfig,
    features: Mapping[str, tf.Tensor],
    labels: tf.Tensor,
    actions: tf.Tensor,
) -> tf.Tensor:
    """ω = 1 - λ Q(s, a) (10), or an ablation's; see :class:`mtfx.agents.rmtl_config.RmtlConfig`.

    Args:
      critics: Asked without dropout.
      config: Which weights, and λ.
      features: By name, `[batch]`.
      labels: float32 `[batch, task]`, ``mtfx.datasets.labels.UNKNOWN`` where unknown; such an
        impression's weight is for no loss.
      actions: The actor's predictions, float32 `[batch, task]`.

    Returns:
      float32 `[batch, task]`, through which no gradient flows.
    """
    if config.weighting == "cw":
        return tf.ones_like(labels)
    values = critics(dict(features), tf.stop_gradient(actions), training=False)
    if config.weighting == "rmtl":
        weights = 1.0 - config.penalty * values
    elif config.weighting == "wl":
        weights = 1.0 - config.penalty * with_zeros(labels) * values
    else:
        weights = -values
    if config.normalise_weights:
        known = known_mask(labels)
        mean = tf.math.divide_no_nan(
            tf.reduce_sum(known * weights, axis=0), tf.reduce_sum(known, axis=0)
        )
        weights = tf.math.divide_no_nan(weights, mean)
    return tf.stop_gradient(weights)
