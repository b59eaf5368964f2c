"""Loss weights from critics: RMTL's (10) and the ablations of its Table 2."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from mtfx.agents.rmtl_config import RmtlConfig
from mtfx.models.critics import Critics
from mtfx.models.known_labels import known_mask, with_zeros


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
