"""Random numbers that depend on nothing but a session's seed and what they are for.

Each session has a seed of its own. Two policies that are compared on the same sessions then meet
the same moods and the same luck (common random numbers), however the sessions are batched. The
generator is that of ``mtfx.models.splitmix``.
"""

from __future__ import annotations

import enum

import tensorflow as tf

from mtfx.models import splitmix
from mtfx.models.splitmix import uint64


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
    counter = tf.cast(number, tf.uint64) * uint64(len(Stream)) + uint64(int(stream) + 1)
    mixed = splitmix.mix(splitmix.keys_of(seeds))
    return splitmix.seeds_of(splitmix.mix(mixed + counter * uint64(splitmix.GOLDEN)))


def uniforms(seeds: tf.Tensor, columns: int) -> tf.Tensor:
    """Uniform numbers in [0, 1), float32 `[batch, columns]` from int32 `[batch, 2]`."""
    return splitmix.uniforms(splitmix.keys_of(seeds), columns)
