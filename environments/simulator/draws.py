"""Random numbers that depend on nothing but a session's seed and what they are for.

TensorFlow's stateless ops draw a whole batch from one seed, so that a session's numbers would
depend on its place in the batch. Here each session has a seed of its own. Two policies that are
compared on the same sessions then meet the same moods and the same luck (common random numbers),
however the sessions are batched. The generator is SplitMix64 (Steele, Lea and Flood, 2014), as a
function of a counter.
"""

from __future__ import annotations

import enum

import tensorflow as tf

_GOLDEN = 0x9E3779B97F4A7C15
_FIRST, _SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


class Stream(enum.IntEnum):
    """What a number is drawn for; streams of one seed are independent."""

    SESSION = 0
    INITIAL = 1
    CANDIDATES = 2
    RESPONSE = 3
    LEAVE = 4


def session_seeds(seed: tf.Tensor, sessions: tf.Tensor | int) -> tf.Tensor:
    """Seeds of sessions 0, 1, ...: int32 `[sessions, 2]` from int32 `[2]`.

    The seed of a session does not depend on how many there are.
    """
    seeds = tf.tile(tf.reshape(seed, [1, 2]), [sessions, 1])
    return fold_in(seeds, Stream.SESSION, tf.range(sessions))


def as_session_seeds(seed: tf.Tensor, batch: tf.Tensor | int) -> tf.Tensor:
    """A seed per session, int32 `[batch, 2]`: given as such, or made of one int32 `[2]`."""
    seed = tf.convert_to_tensor(seed, tf.int32)
    if seed.shape.rank == 1:
        return session_seeds(seed, batch)
    return seed


def fold_in(seeds: tf.Tensor, stream: Stream, number: tf.Tensor | int) -> tf.Tensor:
    """New seeds that tell apart streams and numbers.

    Args:
      seeds: int32 `[batch, 2]`.
      stream: What for.
      number: For example the step; int32 `[batch]` or one for all, at least 0.

    Returns:
      int32 `[batch, 2]`.
    """
    counter = _uint64(tf.cast(number, tf.uint64) * _uint64(len(Stream)) + _uint64(int(stream) + 1))
    mixed = _mix(_mix(_key(seeds)) + counter * _uint64(_GOLDEN))
    high = tf.bitwise.right_shift(mixed, _uint64(32))
    low = tf.bitwise.bitwise_and(mixed, _uint64(0xFFFFFFFF))
    return tf.stack([_int32(high), _int32(low)], axis=-1)


def uniforms(seeds: tf.Tensor, columns: int) -> tf.Tensor:
    """Uniform numbers in [0, 1), float32 `[batch, columns]` from int32 `[batch, 2]`."""
    counter = tf.cast(tf.range(1, columns + 1), tf.uint64) * _uint64(_GOLDEN)
    mixed = _mix(_mix(_key(seeds))[:, tf.newaxis] + counter)
    # 24 bits are what a float32 in [0, 1) holds without rounding up to 1.
    bits = tf.cast(tf.bitwise.right_shift(mixed, _uint64(40)), tf.int32)
    return tf.cast(bits, tf.float32) * tf.constant(2.0**-24)


def normals(uniform: tf.Tensor) -> tf.Tensor:
    """Standard normal numbers of uniform ones in [0, 1), float32 of the same shape."""
    # Half a unit of the 24 bits instead of 0, whose quantile is infinite.
    return tf.math.ndtri(tf.maximum(uniform, 2.0**-25))


def _uint64(value: tf.Tensor | int) -> tf.Tensor:
    return tf.constant(value, tf.uint64) if isinstance(value, int) else value


def _int32(bits: tf.Tensor) -> tf.Tensor:
    return tf.bitcast(tf.cast(bits, tf.uint32), tf.int32)


def _key(seeds: tf.Tensor) -> tf.Tensor:
    words = tf.cast(tf.bitcast(seeds, tf.uint32), tf.uint64)
    return tf.bitwise.left_shift(words[..., 0], _uint64(32)) + words[..., 1]


def _mix(value: tf.Tensor) -> tf.Tensor:
    """SplitMix64's output function."""
    for shift, factor in ((30, _FIRST), (27, _SECOND)):
        shifted = tf.bitwise.right_shift(value, _uint64(shift))
        value = tf.bitwise.bitwise_xor(value, shifted) * _uint64(factor)
    return tf.bitwise.bitwise_xor(value, tf.bitwise.right_shift(value, _uint64(31)))
