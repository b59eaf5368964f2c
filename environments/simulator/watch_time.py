"""Watch time whose log(1 + seconds) is normal, between nothing and a longest time."""

from __future__ import annotations

import math

import tensorflow as tf

#: Longest time watched of a video of unknown length, seconds.
UNKNOWN_LONGEST_S = 3600.0


def capped_watch_s(
    mean: tf.Tensor, sd: tf.Tensor, longest_s: tf.Tensor, deviate: tf.Tensor
) -> tf.Tensor:
    """Seconds watched: exp(mean + sd z) - 1, kept between 0 and the longest time.

    Args:
      mean: Mean of log(1 + seconds), float32, any shape.
      sd: Its standard deviation.
      longest_s: Seconds; where 0, the video's length is unknown.
      deviate: Standard normal z.

    Returns:
      Seconds, float32.
    """
    longest = tf.where(longest_s > 0, longest_s, UNKNOWN_LONGEST_S)
    # Beyond 20 the exponential leaves float32's useful range, far above any longest time.
    return tf.clip_by_value(tf.math.expm1(tf.minimum(mean + sd * deviate, 20.0)), 0.0, longest)


def expected_watch_s(mean: tf.Tensor, sd: tf.Tensor, longest_s: tf.Tensor) -> tf.Tensor:
    """The mean of :func:`capped_watch_s` over z.

    With Y = exp(mean + sd z) lognormal, a = -mean / sd, b = (log(1 + longest) - mean) / sd and F
    the normal distribution function: E[clip(Y, 1, 1 + longest)] = F(a)
    + exp(mean + sd^2 / 2) (F(b - sd) - F(a - sd)) + (1 + longest) (1 - F(b)).

    Args:
      mean: As above; the three are broadcast.
      sd: As above, positive.
      longest_s: As above.

    Returns:
      Seconds, float32.
    """
    longest = tf.where(longest_s > 0, longest_s, UNKNOWN_LONGEST_S)
    low = -mean / sd
    high = (tf.math.log1p(longest) - mean) / sd
    middle = tf.exp(mean + 0.5 * tf.square(sd)) * (_normal(high - sd) - _normal(low - sd))
    return _normal(low) + middle + (1 + longest) * (1 - _normal(high)) - 1


def _normal(value: tf.Tensor) -> tf.Tensor:
    return 0.5 * tf.math.erfc(-value / math.sqrt(2.0))
