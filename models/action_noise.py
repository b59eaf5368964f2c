"""Noise around actions, from normal distributions truncated to the bounds of actions.

A Gaussian that is *clipped* puts probability mass on the bounds themselves, where it then has no
density, and importance sampling needs one. A *truncated* one is the Gaussian given that no
coordinate leaves [-1, 1]: every density is exact. Far from the bounds the two do not differ; close
to one, the mean of a truncated draw lies some way inside.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

from mtfx.models.action_policy import ActionSample


def draw_around(
    centres: tf.Tensor, standard_deviation: float | tf.Tensor, seed: tf.Tensor
) -> ActionSample:
    """Draws actions whose coordinates are independent normals truncated to [-1, 1].

    Args:
      centres: Means before truncation, float32 `[batch, action]`.
      standard_deviation: Before truncation.
      seed: int32 `[2]`, of which the draws are a function.

    Returns:
      The actions and their log densities.
    """
    # The sampler may step over a bound by a rounding error, where the density is 0.
    drawn = _around(centres, standard_deviation).sample(seed=seed)
    actions = tf.clip_by_value(drawn, -1.0, 1.0)
    return ActionSample(actions, truncated_normal_log_density(actions, centres, standard_deviation))


def truncated_normal_log_density(
    actions: tf.Tensor, centres: tf.Tensor, standard_deviation: float | tf.Tensor
) -> tf.Tensor:
    """Log density of actions whose coordinates are independent normals truncated to [-1, 1].

    Args:
      actions: float32 `[batch, action]` in [-1, 1].
      centres: Means before truncation, float32 `[batch, action]` or `[action]`.
      standard_deviation: Before truncation.

    Returns:
      float32 `[batch]`, the sum over the coordinates; minus infinity outside the bounds.
    """
    return tf.reduce_sum(_around(centres, standard_deviation).log_prob(actions), axis=-1)


def _around(centres: tf.Tensor, standard_deviation: float | tf.Tensor) -> Any:
    return tfp.distributions.TruncatedNormal(centres, standard_deviation, -1.0, 1.0)
