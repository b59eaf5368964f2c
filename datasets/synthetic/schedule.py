"""The schedule of sessions: how many each user has, and when each of them starts."""

from __future__ import annotations

import dataclasses

import numpy as np

from mtfx.datasets.synthetic.user_model import UserModel

_DAY_MS, _HOUR_MS = 86_400_000, 3_600_000
#: Share of a day's sessions that start in each local hour: quiet at 4, busiest at 21.
_HOURS = np.array(
    [28, 18, 12, 8, 7, 10, 18, 28, 36, 40, 42, 48, 56, 54, 46, 44, 46, 50, 56, 64, 72, 76, 66, 46]
)
_HOUR_ENDS = np.cumsum(_HOURS) / _HOURS.sum()


@dataclasses.dataclass(frozen=True)
class Schedule:
    """Sessions of a block of users, ordered by user and time.

    Attributes:
      user: Index of the user in the block, int64 `[session]`.
      start_ms: Unix time of the first impression, int64 `[session]`. Starts of a user are at
        least ``UserModel.session_spacing_ms`` apart.
      priority: Order in which sessions are kept until the block has its impressions, int64
        `[session]`: one session of each user comes first, so that every user is seen.
    """

    user: np.ndarray
    start_ms: np.ndarray
    priority: np.ndarray


def plan_sessions(
    rng: np.random.Generator, model: UserModel, activity: np.ndarray, sessions: int
) -> Schedule:
    """Spreads at least ``sessions`` sessions over users, as long as there is time for them.

    Args:
      rng: Source of randomness.
      model: Constants of the profile.
      activity: Relative number of sessions of each user, float64 `[user]`.
      sessions: How many.

    Returns:
      The schedule: one session for each user, the others in proportion to the activity.
    """
    users = len(activity)
    counts = np.ones(users, np.int64)
    left = sessions - users
    while left > 0 and (weights := activity * (counts < model.max_sessions)).any():
        counts += rng.multinomial(left, weights / weights.sum())
        np.minimum(counts, model.max_sessions, out=counts)
        left = sessions - counts.sum()
    user = np.repeat(np.arange(users), counts)
    ends = np.cumsum(counts)
    first = ends - counts
    start_ms = _space_out(user, _draw_starts(rng, model, user), first, counts, model)
    rank = rng.random(len(user))
    rank += 1.0
    rank[first + (rng.random(users) * counts).astype(np.int64)] -= 1.0
    return Schedule(user, start_ms, np.argsort(rank, kind="stable"))


def _draw_starts(rng: np.random.Generator, model: UserModel, user: np.ndarray) -> np.ndarray:
    """Random starts, sorted within each user; ms since the log's start, int64 `[session]`."""
    offset_ms = round(model.utc_offset_hours * _HOUR_MS)
    local_start = (model.start_ms + offset_ms) // _DAY_MS * _DAY_MS
    days = -(-(model.end_ms + offset_ms - local_start) // _DAY_MS)
    day = rng.integers(0, days, len(user))
    hour = np.searchsorted(_HOUR_ENDS, rng.random(len(user)), side="right")
    local = local_start + day * _DAY_MS + hour * _HOUR_MS + rng.integers(0, _HOUR_MS, len(user))
    start = local - offset_ms - model.start_ms
    span = model.end_ms - model.start_ms
    start %= span  # the first and the last day may be incomplete
    order = np.argsort(user * span + start, kind="stable")
    return start[order]


def _space_out(
    user: np.ndarray, start: np.ndarray, first: np.ndarray, counts: np.ndarray, model: UserModel
) -> np.ndarray:
    """Moves starts as little later as the least distance between a user's sessions asks for."""
    spacing, span = model.session_spacing_ms, model.end_ms - model.start_ms
    index = np.arange(len(user)) - np.repeat(first, counts)
    # A running maximum over all users at once: later users are lifted above earlier ones.
    lift = user * (4 * span)
    earliest = np.maximum.accumulate(start - index * spacing + lift) - lift + index * spacing
    latest = span - (np.repeat(counts, counts) - index) * spacing
    return model.start_ms + np.minimum(earliest, latest)
