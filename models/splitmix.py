"""Random numbers that are functions of a key and a counter: SplitMix64, in TensorFlow's own ops.

TensorFlow's stateless ops draw a whole batch from one seed, so that what a row gets depends on its
place in the batch. Here each row has a key of its own. The generator is that of Steele, Lea and
Flood (2014), with the counter in the place of its state. Integers wrap around, so that the numbers
are the same on every machine.
"""

from __future__ import annotations

import tensorflow as tf

#: What a counter is multiplied by: 2^64 divided by the golden ratio, made odd.
GOLDEN = 0x9E3779B97F4A7C15
_FIRST, _SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def mix(value: tf.Tensor) -> tf.Tensor:
    """The generator's output function, of uint64 numbers of any shape."""
    for shift, factor in ((30, _FIRST), (27, _SECOND)):
        shifted = tf.bitwise.right_shift(value, uint64(shift))
        value = tf.bitwise.bitwise_xor(value, shifted) * uint64(factor)
    return tf.bitwise.bitwise_xor(value, tf.bitwise.right_shift(value, uint64(31)))


def keys_of(seeds: tf.Tensor) -> tf.Tensor:
    """Keys uint64 `[batch]` of seeds int32 `[batch, 2]`, whose second word is the lower one."""
    words = tf.cast(tf.bitcast(seeds, tf.uint32), tf.uint64)
    return tf.bitwise.left_shift(words[..., 0], uint64(32)) + words[..., 1]


def seeds_of(keys: tf.Tensor) -> tf.Tensor:
    """Seeds int32 `[batch, 2]` of keys uint64 `[batch]`; see :func:`keys_of`."""
    words = (tf.bitwise.right_shift(keys, uint64(32)), keys & uint64(0xFFFFFFFF))
    return tf.stack([tf.bitcast(tf.cast(word, tf.uint32), tf.int32) for word in words], axis=-1)


def uniforms(keys: tf.Tensor, columns: int) -> tf.Tensor:
    """Uniform numbers, of which the first ones do not depend on how many there are.

    Args:
      keys: One for each row, uint64 `[batch]`.
      columns: How many of each row.

    Returns:
      float32 `[batch, columns]` in [0, 1).
    """
    counter = tf.cast(tf.range(1, columns + 1), tf.uint64) * uint64(GOLDEN)
    mixed = mix(mix(keys)[:, tf.newaxis] + counter)
    # 24 bits are what a float32 in [0, 1) holds without rounding up to 1.
    bits = tf.cast(tf.bitwise.right_shift(mixed, uint64(40)), tf.int32)
    return tf.cast(bits, tf.float32) * tf.constant(2.0**-24)


def normals(uniform: tf.Tensor) -> tf.Tensor:
    """Standard normal numbers of uniform ones in [0, 1), of the same shape and type."""
    # Half a unit of the 24 bits instead of 0, whose quantile is infinite.
    return tf.math.ndtri(tf.maximum(uniform, 2.0**-25))


def uint64(value: int) -> tf.Tensor:
    """A constant: a Python integer above 2^63 would not become one by itself."""
    return tf.constant(value, tf.uint64)
