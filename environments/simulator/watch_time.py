"""Watch time by inverse transform from tables of observed quantiles, up to a longest time."""

from __future__ import annotations

import tensorflow as tf

#: Longest time watched of a video of unknown length, seconds.
UNKNOWN_LONGEST_S = 3600.0


def sampled_watch_s(
    quantiles: tf.Tensor,
    branch: tf.Tensor,
    position: tf.Tensor,
    uniform: tf.Tensor,
    longest_s: tf.Tensor,
) -> tf.Tensor:
    """Seconds watched: the quantile function at u, linear in u and between neighbouring bins.

    Args:
      quantiles: Seconds at the levels 0, 1/(Q-1), ..., 1, float32 `[branch, bin, Q]`.
      branch: Which of the first axis, int32 `[batch]`.
      position: Fractional number of the bin, in [0, bins - 1], float32 `[batch]`.
      uniform: u in [0, 1), float32 `[batch]`.
      longest_s: Seconds, `[batch]`; where 0, the video's length is unknown.

    Returns:
      Seconds, float32 `[batch]`.
    """
    _, bins, levels = quantiles.shape
    flat = tf.reshape(quantiles, [-1])
    low, high, between = _neighbours(position, bins)
    place = uniform * float(levels - 1)
    cell = tf.clip_by_value(tf.cast(place, tf.int32), 0, levels - 2)
    within = place - tf.cast(cell, tf.float32)

    def at(number: tf.Tensor) -> tf.Tensor:
        first = (branch * bins + number) * levels + cell
        return (1 - within) * tf.gather(flat, first) + within * tf.gather(flat, first + 1)

    return tf.minimum((1 - between) * at(low) + between * at(high), _known(longest_s))


def expected_watch_s(
    quantiles: tf.Tensor, branch: tf.Tensor, position: tf.Tensor, longest_s: tf.Tensor
) -> tf.Tensor:
    """The mean of :func:`sampled_watch_s` over u, exact.

    Between two levels the time rises linearly from a to b >= a. Cut at L, its mean is (a + b) / 2
    where b <= L, L where a >= L, and L - (L - a)^2 / (2 (b - a)) otherwise.

    Args:
      quantiles: As above.
      branch: As above.
      position: As above.
      longest_s: As above.

    Returns:
      Seconds, float32 `[batch]`.
    """
    _, bins, levels = quantiles.shape
    low, high, between = _neighbours(position, bins)
    curves = tf.reshape(quantiles, [-1, levels])
    share = between[:, tf.newaxis]
    curve = (1 - share) * tf.gather(curves, branch * bins + low)
    curve += share * tf.gather(curves, branch * bins + high)
    longest = _known(longest_s)[:, tf.newaxis]
    begin, end = curve[:, :-1], curve[:, 1:]
    cut = longest - tf.math.divide_no_nan(tf.square(longest - begin), 2 * (end - begin))
    means = tf.where(end <= longest, 0.5 * (begin + end), tf.where(begin < longest, cut, longest))
    return tf.reduce_mean(means, axis=1)


def _neighbours(position: tf.Tensor, bins: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The bins below and above, and how far the position is from the lower one."""
    low = tf.clip_by_value(tf.cast(position, tf.int32), 0, bins - 1)
    high = tf.minimum(low + 1, bins - 1)
    return low, high, tf.clip_by_value(position - tf.cast(low, tf.float32), 0.0, 1.0)


def _known(longest_s: tf.Tensor) -> tf.Tensor:
    return tf.where(longest_s > 0, longest_s, UNKNOWN_LONGEST_S)
