"""Blocks: groups of users that are made independently of each other."""

from __future__ import annotations

import dataclasses

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
