"""Columns of a request that follow from its time and from the session so far.

The same rules as in a log (``mtfx.datasets.logs.sessions.derive``, for frames), for one request of
a service: hour and weekday in the users' time zone, and the place in the session.
"""

from __future__ import annotations

from collections.abc import Iterable

#: Names of the columns.
DERIVED = ("hour", "day_of_week", "step", "step_bucket")
#: Each bucket of steps: the first step that is beyond it, and its name.
STEP_BUCKETS = ((1, "1"), (3, "2-3"), (7, "4-7"), (15, "8-15"), (31, "16-31"))
LAST_STEP_BUCKET = "32+"
_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000


def session_step(time_ms: int, past_ms: Iterable[int], gap_minutes: float) -> int:
    """The place of a request in its session, from 0.

    Args:
      time_ms: Of the request, Unix ms.
      past_ms: Times of the user's earlier impressions, in any order.
      gap_minutes: A longer pause begins a new session.
    """
    step, last = 0, time_ms
    for earlier in sorted((time for time in past_ms if time < time_ms), reverse=True):
        if last - earlier > round(gap_minutes * 60_000):
            break
        step, last = step + 1, earlier
    return step


def step_bucket(step: int) -> str:
    """The name of a step's bucket; later steps share one."""
    return next((name for beyond, name in STEP_BUCKETS if step < beyond), LAST_STEP_BUCKET)


def derived_columns(time_ms: int, step: int, utc_offset_hours: float) -> dict[str, int | str]:
    """``hour``, ``day_of_week`` (Monday is 0), ``step`` and ``step_bucket`` of a request.

    Args:
      time_ms: Of the request, Unix ms.
      step: Of :func:`session_step`.
      utc_offset_hours: Of the users' time zone.
    """
    local_ms = time_ms + round(utc_offset_hours * _HOUR_MS)
    return {
        "hour": local_ms // _HOUR_MS % 24,
        # 1970-01-01 was a Thursday.
        "day_of_week": (local_ms // _DAY_MS + 3) % 7,
        "step": step,
        "step_bucket": step_bucket(step),
    }
