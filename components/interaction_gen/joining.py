"""Served requests to transitions: each request meets the next one of its session."""

from __future__ import annotations

import dataclasses

import numpy as np

from mtfx.datasets.rewards import Reward
from mtfx.datasets.transitions.codec import TransitionBatch

# Why a request is left out. Words, because they end up in the quarantine file.
REPEATED = "its session has logged this step before, with other content"
MIXED_USERS = "its session has requests of several users"
LATE = "its time is before that of the step before it"
AFTER_GAP = "an earlier step of its session is missing"
NEXT_MISSING = "the next step of its session is missing, so its next state is not known"
BAD_REASONS = (REPEATED, MIXED_USERS, LATE, AFTER_GAP, NEXT_MISSING)
# Not bad: at-least-once delivery repeats records, and a log has to begin and end somewhere.
IDENTICAL, OPEN, BEGUN = "identical", "open", "begun"

_CONTENT = ("timestamp_ms", "chosen", "candidate_count", "log_density", "watch_s", "duration_s")
_WIDE_CONTENT = ("state", "action", "feedback")


@dataclasses.dataclass(frozen=True)
class Joined:
    """Outcome of some requests.

    Attributes:
      transitions: In order of session and step; each session's steps count from 0 without gaps.
      reasons: str `[N]`, why each request became no transition; empty where it became one.
    """

    transitions: TransitionBatch
    reasons: np.ndarray


def join_requests(
    requests: TransitionBatch,
    reward: Reward,
    parts_ms: np.ndarray,
    open_minutes: float,
) -> Joined:
    """Makes transitions of whole sessions' requests.

    A session is what has one session id. Its steps must count from 0; where one is missing, the
    session ends before the gap, without being over: the request before it has no next state and
    those after it no beginning. The last request of a session has discount 0, unless the session
    may still go on after the end of its part of the log. A session that began before its part is
    left out, too.

    Args:
      requests: In any order; ``next_state``, ``reward`` and ``discount`` are not read.
      reward: Makes the reward, (2).
      parts_ms: int64 `[P, 2]`, ascending: times of the first and the last request, of all sessions,
        of each part of the log; days between two parts are missing.
      open_minutes: A session whose last request is within so many minutes of a part's end may go
        on, and one whose first is within so many of its begin may have begun before.
    """
    size = requests.size
    reasons = np.zeros(size, dtype="U100")
    _, session = np.unique(requests.session_id, return_inverse=True)
    _, user = np.unique(requests.user_id, return_inverse=True)
    low = np.full(size, size)
    high = np.full(size, -1)
    np.minimum.at(low, session, user)
    np.maximum.at(high, session, user)
    reasons[(low != high)[session]] = MIXED_USERS
    # Among records of one step the first written wins; the content decides where times are equal,
    # so that the order in which workers see them does not matter.
    order = np.lexsort((requests.watch_s, requests.timestamp_ms, requests.step, session))
    order = order[reasons[order] == ""]
    again = _same_as_before(session[order]) & _same_as_before(requests.step[order])
    for place in np.flatnonzero(again):
        same = _same_content(requests, int(order[place - 1]), int(order[place]))
        reasons[order[place]] = IDENTICAL if same else REPEATED
    order = order[~again]
    good = _cut_at_gaps(requests, session, order, reasons)
    begun = _begun_before(requests, session, order, parts_ms, open_minutes)
    reasons[begun[session] & (reasons == AFTER_GAP)] = BEGUN
    return _transitions(requests, session, good, reasons, reward, parts_ms, open_minutes)


def _cut_at_gaps(
    requests: TransitionBatch, session: np.ndarray, order: np.ndarray, reasons: np.ndarray
) -> np.ndarray:
    """Rows, in order, of the sessions' beginnings without gaps; says why of the others."""
    times = requests.timestamp_ms[order]
    new = ~_same_as_before(session[order])
    first = np.flatnonzero(new)[np.cumsum(new) - 1]
    late = np.append(False, times[1:] < times[:-1]) & ~new
    gap = requests.step[order] != np.arange(len(order)) - first
    # Steps are distinct, so all after a gap are out of place; a late request makes one gap more.
    broken = np.cumsum(late | gap)
    cut = broken > np.where(new, broken - (late | gap), 0)[first]
    reasons[order[cut]] = AFTER_GAP
    reasons[order[late]] = LATE
    # The request before a cut exists, but what it led to does not.
    before = np.flatnonzero(cut[1:] & ~cut[:-1] & ~new[1:])
    reasons[order[before]] = NEXT_MISSING
    return order[reasons[order] == ""]


def _begun_before(
    requests: TransitionBatch,
    session: np.ndarray,
    order: np.ndarray,
    parts_ms: np.ndarray,
    open_minutes: float,
) -> np.ndarray:
    """Whether each session's first request is no first step, and at a part's begin; bool `[S]`."""
    first = order[~_same_as_before(session[order])]
    times = requests.timestamp_ms[first]
    begins = parts_ms[np.maximum(np.searchsorted(parts_ms[:, 0], times, side="right") - 1, 0), 0]
    found = np.zeros(int(session.max(initial=-1)) + 1, bool)
    found[session[first]] = (requests.step[first] > 0) & (times - begins <= open_minutes * 6e4)
    return found


def _transitions(
    requests: TransitionBatch,
    session: np.ndarray,
    order: np.ndarray,
    reasons: np.ndarray,
    reward: Reward,
    parts_ms: np.ndarray,
    open_minutes: float,
) -> Joined:
    cut = np.zeros(int(session.max(initial=-1)) + 1, bool)
    cut[session[reasons == NEXT_MISSING]] = True
    rows = requests.rows(order)
    last = np.append(~_same_as_before(session[order])[1:], True)[: len(order)]
    following = rows.state.copy()
    going = np.flatnonzero(~last)
    following[going] = rows.state[going + 1]
    # After a cut, the last good request's next state is that of the request with none.
    lost = np.flatnonzero(last & cut[session[order]])
    if len(lost):
        dropped = np.flatnonzero(reasons == NEXT_MISSING)
        row_of = np.zeros(len(cut), np.int64)
        row_of[session[dropped]] = dropped
        following[lost] = requests.state[row_of[session[order][lost]]]
    ended = last & ~cut[session[order]]
    part = np.searchsorted(parts_ms[:, 1], rows.timestamp_ms)
    ends = parts_ms[np.minimum(part, len(parts_ms) - 1), 1]
    still_open = ended & (rows.timestamp_ms >= ends - open_minutes * 6e4)
    reasons[order[still_open]] = OPEN
    whole = dataclasses.replace(
        rows,
        next_state=following,
        reward=reward(rows.feedback, rows.watch_s, rows.duration_s),
        discount=np.where(ended, 0, 1).astype(np.float32),
    )
    return Joined(whole.rows(~still_open), reasons)


def _same_as_before(values: np.ndarray) -> np.ndarray:
    return np.append(False, values[1:] == values[:-1])[: len(values)]


def _same_content(requests: TransitionBatch, left: int, right: int) -> bool:
    for name in (*_CONTENT, *_WIDE_CONTENT):
        column = getattr(requests, name)
        if not np.array_equal(column[left], column[right], equal_nan=column.dtype.kind == "f"):
            return False
    return True
