"""Simulation of a block of users until it has exactly the impressions asked for."""

from __future__ import annotations

from mtfx.datasets.synthetic.behaviour import Impressions, Intercepts, World
from mtfx.datasets.synthetic.blocks import Block
from mtfx.datasets.synthetic.latents import Users
from mtfx.datasets.synthetic.schedule import plan_sessions
from mtfx.datasets.synthetic.seeding import Stream, generator
from mtfx.datasets.synthetic.simulation import keep_first, simulate


def make_block(
    seed: int, world: World, block: Block, intercepts: Intercepts, keep_scores: bool
) -> tuple[Users, Impressions]:
    """Simulates a block until it has exactly its rows.

    Args:
      seed: Of the data set.
      world: Items and responses.
      block: Which.
      intercepts: Of the scores.
      keep_scores: Whether the impressions carry their scores.

    Returns:
      The block's users and impressions.

    Raises:
      ValueError: if the users have no time for so many impressions.
    """
    users = world.users(block)
    # A few more sessions than expected, as their lengths are random; twice as many if too few.
    wanted = int(1.06 * block.rows / intercepts.rows_per_session) + 32
    most = block.users * world.model.max_sessions
    for attempt in range(32):
        rng = generator(seed, Stream.SESSIONS, block.index, attempt)
        sessions = max(block.users, min(wanted << attempt, most))
        schedule = plan_sessions(rng, world.model, users.activity, sessions)
        found, session = simulate(rng, world, users, schedule, intercepts, keep_scores)
        kept = keep_first(found, session, schedule.priority, block.rows)
        if kept is not None:
            return users, kept
        if sessions >= most:
            break
    raise ValueError(
        f"{block.users:,} users have no time for {block.rows:,} impressions; ask for more users"
    )
