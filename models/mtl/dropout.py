"""Dropout after ReLU at a fraction of its usual cost on a CPU.

``tf.nn.dropout`` draws a 32-bit random number per unit, compares, selects and multiplies, and
repeats half of it in the gradient: at RMTL's sizes that is a quarter of a training step. Here a
random byte decides over a unit, parallel members (experts, towers) share a pool of such decisions,
each reading it from a random place, and the scale is left to the weights (see ``ParallelMlp``).
"""

from __future__ import annotations

import tensorflow as tf

#: Members read the pool from places that are a multiple of this apart: TensorFlow then hands out
#: the memory itself rather than a copy.
_ALIGNMENT = 16


def drop_threshold(rate: float) -> int:
    """The random bytes below this drop their unit: ``rate`` in 256ths (0.2 becomes 51/256)."""
    return round(rate * 256)


def keep_scale(rate: float) -> float:
    """The inverse of the share of units that are kept."""
    return 256.0 / (256.0 - drop_threshold(rate))


def keep_masks(
    count: int, batch: tf.Tensor, units: int, rate: float, seed: tf.Tensor, dtype: str
) -> list[tf.Tensor]:
    """Which units to keep, for several members.

    Within a member all decisions are independent. Those of two members are the same sequence from
    different places: two units are decided alike only if they lie that far apart.

    Args:
      count: Number of members.
      batch: int32 scalar.
      units: Units of each member.
      rate: Share of units to drop, in [0, 1).
      seed: int32 `[2]`, different in every step.
      dtype: Floating type of the masks.

    Returns:
      ``count`` tensors `[batch, units]` of ones (keep) and zeros.
    """
    noise_seed, start_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    size = batch * units
    places = size // (8 * _ALIGNMENT) + 1 if count > 1 else tf.constant(1)
    words = (size + places * _ALIGNMENT) // 8 + 1
    noise = tf.random.stateless_uniform(
        tf.reshape(words, [1]), noise_seed, minval=None, maxval=None, dtype=tf.int64
    )
    noise = tf.reshape(tf.bitcast(noise, tf.uint8), [-1])
    pool = tf.cast(noise >= tf.constant(drop_threshold(rate), tf.uint8), dtype)
    starts = _ALIGNMENT * tf.random.stateless_uniform(
        [count], start_seed, minval=0, maxval=places, dtype=tf.int32
    )
    return [
        tf.reshape(tf.slice(pool, start[None], size[None]), [batch, units])
        for start in tf.unstack(starts)
    ]
