"""Independent random streams, named by what they are for.

Every block of users or items has its own stream, so that the result depends neither on the order
in which blocks are made nor on how many are made at a time.
"""

from __future__ import annotations

import enum

import numpy as np


class Stream(enum.IntEnum):
    """What a stream is for."""

    WORLD = 0
    ITEMS = 1
    USERS = 2
    SESSIONS = 3
    ITEM_TABLE = 4
    LOG_COLUMNS = 5


def generator(seed: int, stream: Stream, *indices: int) -> np.random.Generator:
    """A generator independent of those with other arguments (NumPy's ``spawn_key``)."""
    sequence = np.random.SeedSequence(seed, spawn_key=(int(stream), *indices))
    return np.random.Generator(np.random.SFC64(sequence))


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Standard normal float32 ``[*shape]``."""
    return rng.standard_normal(shape, dtype=np.float32)


def mix(rng: np.random.Generator, observed: np.ndarray, share: float) -> np.ndarray:
    """Unit-variance latent of which ``observed`` (unit variance) explains ``share``."""
    noise = normal(rng, *observed.shape)
    return np.float32(share**0.5) * observed + np.float32((1 - share) ** 0.5) * noise
