"""Simulation of sessions: an item is shown, feedback is drawn, satisfaction is carried over.

All sessions of a block take their steps at the same time, as arrays that shrink when users leave.
"""

from __future__ import annotations

import numpy as np

from mtfx.datasets.synthetic.behaviour import BlockImpressions, Intercepts, ProfileWorld, sigmoid
from mtfx.datasets.synthetic.blocks import Block, Stream, generator, normal
from mtfx.datasets.synthetic.latents import Users, zipf_ranks
from mtfx.datasets.synthetic.schedule import Schedule, plan_sessions
from mtfx.datasets.synthetic.user_model import (
    CARRY_OVER,
    FACTORS,
    LEAVE_BELOW,
    NEUTRAL_SATISFACTION,
    STARTING_SATISFACTION,
)


def simulate(
    rng: np.random.Generator,
    world: ProfileWorld,
    users: Users,
    schedule: Schedule,
    intercepts: Intercepts,
    keep_scores: bool,
) -> tuple[BlockImpressions, np.ndarray]:
    """Runs every session of a schedule to its end.

    Args:
      rng: Source of randomness.
      world: Items and responses.
      users: The block's users.
      schedule: Their sessions.
      intercepts: Of the scores.
      keep_scores: Whether to return scores, side and leave scores.

    Returns:
      The impressions, ordered by session and time, and the session of each, int64 `[n]`.
    """
    model = world.model
    session = np.arange(len(schedule.user))
    user = schedule.user
    context = world.session_context(rng, len(session))
    satisfaction = _initial_satisfaction(rng, model.mood_sd, users.mood[user])
    start_ms, time_ms = schedule.start_ms, schedule.start_ms
    steps: list[dict[str, np.ndarray]] = []
    while len(session):
        factors = users.factors.take(user, axis=0)
        item, is_random, affinity = _expose(rng, world, factors, time_ms)
        shift, side = world.circumstances(item, time_ms, context)
        scores = users.scores.take(user, axis=0)
        scores += world.items.scores.take(item, axis=0)
        scores += world.situation_scores(factors, item, affinity, shift, satisfaction)
        outcome = world.respond(rng, item, scores + intercepts.tasks, side)
        step = {
            "session": session,
            "user": user,
            "item": item,
            "time_ms": time_ms,
            "context": context,
            "is_random": is_random,
            "labels": outcome.labels,
            "extra_ms": outcome.extra_ms,
            "satisfaction": satisfaction,
        }
        satisfaction = np.float32(CARRY_OVER) * satisfaction
        satisfaction += np.float32(1 - CARRY_OVER) * outcome.reward
        time_ms = time_ms + outcome.gap_ms
        leave = users.depth[user] - np.float32(model.leave_weight) * (
            satisfaction - np.float32(NEUTRAL_SATISFACTION)
        )
        leave[(satisfaction < LEAVE_BELOW) | (time_ms - start_ms > model.longest_session_ms)] = (
            np.inf
        )
        if keep_scores:
            step |= {"scores": scores, "side": side, "leave_scores": leave}
        steps.append(step)
        stays = rng.random(len(session), dtype=np.float32) >= sigmoid(
            leave + np.float32(intercepts.leave)
        )
        session, user, context = session[stays], user[stays], context[stays]
        satisfaction, start_ms, time_ms = satisfaction[stays], start_ms[stays], time_ms[stays]
    return _in_order(steps)


def keep_first(
    impressions: BlockImpressions, session: np.ndarray, priority: np.ndarray, rows: int
) -> BlockImpressions | None:
    """Keeps whole sessions in order of priority until there are ``rows`` standard impressions.

    Args:
      impressions: Ordered by session and time.
      session: Session of each, int64 `[n]`.
      priority: Sessions in the order in which they are kept, int64 `[session]`.
      rows: Standard (not random) impressions to keep; the last session is cut to meet them.

    Returns:
      The impressions kept, in their order; None if there are fewer than ``rows``.
    """
    standard = ~impressions.is_random
    lengths = np.bincount(session, weights=standard, minlength=len(priority)).astype(np.int64)
    kept = np.cumsum(lengths[priority])
    if kept[-1] < rows:
        return None
    last = int(np.searchsorted(kept, rows))
    limit = np.zeros(len(priority), np.int64)
    limit[priority[:last]] = np.iinfo(np.int64).max
    limit[priority[last]] = rows - (kept[last] - lengths[priority[last]])
    before = np.cumsum(standard) - standard
    before -= (np.cumsum(lengths) - lengths)[session]
    return impressions.take(before < limit[session])


def _initial_satisfaction(rng: np.random.Generator, mood_sd: float, mood: np.ndarray) -> np.ndarray:
    return np.clip(mood + np.float32(mood_sd) * normal(rng, len(mood)), *STARTING_SATISFACTION)


def _expose(
    rng: np.random.Generator, world: ProfileWorld, factors: np.ndarray, time_ms: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The item shown, whether at random, and its affinity to the user; each `[n]`.

    The logging policy draws candidates by popularity and shows the one of the highest affinity as
    far as it knows it; a random exposure is uniform over all items.
    """
    model, items = world.model, len(world.items.ids)
    uniform = rng.random((len(time_ms), model.candidates), dtype=np.float32)
    candidates = zipf_ranks(uniform, items, model.popularity_exponent)
    is_random = np.zeros(len(time_ms), bool)
    if world.random_probability:
        draw = rng.random(len(time_ms))
        is_random = (draw < world.random_probability) & (time_ms >= world.random_from_ms)
        at_random = draw[is_random] * (items / world.random_probability)
        candidates[is_random] = np.minimum(at_random.astype(np.int64), items - 1)[:, None]
    affinity = np.einsum("ncf,nf->nc", world.items.factors.take(candidates, axis=0), factors)
    affinity /= np.float32(FACTORS**0.5)
    believed = affinity + np.float32(model.policy_noise) * normal(rng, *affinity.shape)
    rows, best = np.arange(len(time_ms)), np.argmax(believed, axis=1)
    return candidates[rows, best], is_random, affinity[rows, best]


def _in_order(steps: list[dict[str, np.ndarray]]) -> tuple[BlockImpressions, np.ndarray]:
    """Brings impressions from the order of steps into that of sessions."""
    session = np.concatenate([step["session"] for step in steps])
    number = np.repeat(np.arange(len(steps)), [len(step["session"]) for step in steps])
    lengths = np.bincount(session)
    place = (np.cumsum(lengths) - lengths)[session] + number
    columns = {}
    for name in steps[0]:
        values = np.concatenate([step[name] for step in steps])
        columns[name] = np.empty_like(values)
        columns[name][place] = values
    return BlockImpressions(**{k: v for k, v in columns.items() if k != "session"}), columns[
        "session"
    ]


def make_block(
    seed: int, world: ProfileWorld, block: Block, intercepts: Intercepts, keep_scores: bool
) -> tuple[Users, BlockImpressions]:
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
