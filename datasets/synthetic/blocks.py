"""Blocks of users, made independently of each other, and the random streams they are made with.

Every block of users or items has its own stream, so that the result depends neither on the order
in which blocks are made nor on how many are made at a time.
"""

from __future__ import annotations

import dataclasses
import enum

import numpy as np

from mtfx.datasets.synthetic.config import SyntheticConfig

BLOCK_ROWS = 100_000


@dataclasses.dataclass(frozen=True)
class Block:
    """Users with consecutive ids and the standard impressions they make together.

    Attributes:
      index: Number of the block.
      first_user: Id of its first user.
      users: Number of users.
      first_row: Number of impressions in the blocks before it.
      rows: Number of its impressions.
    """

    index: int
    first_user: int
    users: int
    first_row: int
    rows: int


def split_into_blocks(config: SyntheticConfig) -> list[Block]:
    """Cuts the data set into blocks of about ``BLOCK_ROWS`` impressions."""
    rows, users = config.impressions, config.user_count
    count = max(1, min(users, round(rows / BLOCK_ROWS)))
    first_users = [users * i // count for i in range(count + 1)]
    first_rows = [rows * i // count for i in range(count + 1)]
    return [
        Block(
            index=i,
            first_user=first_users[i],
            users=first_users[i + 1] - first_users[i],
            first_row=first_rows[i],
            rows=first_rows[i + 1] - first_rows[i],
        )
        for i in range(count)
    ]


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
