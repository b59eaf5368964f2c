"""Sessions and splits of a user's impressions, as vectorised operations on frames.

Everything here works on a *bucket*: a frame that holds all rows of some users, so that it gives
the same result on one machine or many.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import polars as pl

from mtfx.datasets.logs.history import with_feedback_time
from mtfx.datasets.spec import DatasetSpec, SessionRule
from mtfx.errors import DataError
from mtfx.serving.derived_columns import LAST_STEP_BUCKET, STEP_BUCKETS

SPLITS = ("train", "eval", "test")


@dataclasses.dataclass(frozen=True)
class SessionCounts:
    """What happened to one bucket's rows on the way.

    Attributes:
      duplicates: Rows dropped because an identical one was kept.
      split_sessions: Sessions longer than the rule's ``max_length``, which were split.
      implied: Impressions that only a later event of theirs shows (see ``to_impressions``).
    """

    duplicates: int = 0
    split_sessions: int = 0
    implied: int = 0


def sessionise(events: pl.DataFrame, rule: SessionRule) -> pl.DataFrame:
    """Adds the columns ``session`` (int64 ordinal in the bucket) and ``session_start_ms``.

    Args:
      events: All rows of some users, with ``user_id, item_id, timestamp_ms`` in ms (and the column
        ``session_id`` for the explicit rule).
      rule: How sessions are cut; for ``gap``, a pause longer than the gap begins a new one.

    Returns:
      The rows sorted by user, time and item, ties broken by the other columns, so that the
      result does not depend on the order in which they came.
    """
    others = sorted(set(events.columns) - {"user_id", "timestamp_ms", "item_id"})
    if rule.kind == "explicit":
        order = ["user_id", "session_id", "timestamp_ms", "item_id"]
        others.remove("session_id")
        starts = _changes("user_id") | _changes("session_id")
    else:
        order = ["user_id", "timestamp_ms", "item_id"]
        starts = _changes("user_id")
        if rule.kind == "gap":
            starts |= pl.col("timestamp_ms").diff() > round(rule.gap_minutes * 60_000)
    return (
        events.sort([*order, *others])
        .with_columns(session=starts.fill_null(True).cum_sum().cast(pl.Int64))
        .with_columns(session_start_ms=pl.col("timestamp_ms").min().over("session"))
    )


def build_sessions(events: pl.DataFrame, spec: DatasetSpec) -> tuple[pl.DataFrame, SessionCounts]:
    """Turns one bucket's events into impressions in sessions, with the derived columns.

    Args:
      events: Canonical columns of all rows of some users, in any order, duplicates included.
      spec: The data set.

    Returns:
      Impressions sorted by ``session_start_ms``, session and time, with the canonical
      columns, ``session_id`` (string), ``session_start_ms`` and
      ``mtfx.datasets.spec.DERIVED_COLUMNS``; and counts of what was dropped or split. A label is
      null where it is unknown. Of a log of events with a history, also ``feedback_ms``.

    Raises:
      DataError: if ``to_impressions`` gives a label that its task cannot have, or feedback before
        its impression.
    """
    unique = events.unique(maintain_order=False)
    frame = sessionise(unique, spec.session_rule)
    implied = 0
    if spec.to_impressions is not None:
        frame = spec.to_impressions(frame)
        _check_labels(frame, spec)
        frame = with_feedback_time(frame, spec)
        if "implied" in frame.columns:
            implied = int(frame["implied"].sum())
            frame = frame.drop("implied")
    frame = frame.sort(["session", "timestamp_ms", "item_id"], maintain_order=True)
    position = pl.int_range(pl.len(), dtype=pl.Int64).over("session")
    limit = spec.session_rule.max_length
    frame = frame.with_columns(_part=position // limit, step=position % limit)
    split_sessions = frame.filter(pl.col("_part") > 0)["session"].n_unique()
    key = "session_id" if spec.session_rule.kind == "explicit" else "session_start_ms"
    # The ordinals follow user and time, so this order is the ids' without comparing text.
    frame = frame.sort(["session_start_ms", "session", "_part", "step"])
    part = pl.when(pl.col("_part") > 0).then(pl.format(".{}", "_part")).otherwise(pl.lit(""))
    frame = frame.with_columns(session_id=pl.format("{}-{}{}", "user_id", key, part))
    frame = derive(frame, spec.utc_offset_hours).drop("session", "_part")
    return frame, SessionCounts(events.height - unique.height, split_sessions, implied)


def _check_labels(frame: pl.DataFrame, spec: DatasetSpec) -> None:
    for task in spec.tasks:
        label = pl.col(task.name).cast(pl.Float64)
        if task.kind == "binary":
            possible, wanted = label.is_in([0.0, 1.0]), "0 or 1"
        else:
            possible, wanted = label.is_finite() & (label >= 0), "a finite number, not negative"
        wrong = frame.select((~possible.fill_null(task.may_be_unknown)).sum()).item()
        if wrong:
            unknown = (
                "" if task.may_be_unknown else " (none at all needs the task's may_be_unknown)"
            )
            raise DataError(
                f"data set {spec.name!r}: to_impressions gave {wrong:,} of {frame.height:,} "
                f"impressions a label of {task.name!r} that is not {wanted}{unknown}"
            )


def split_boundaries(
    start_seconds: np.ndarray, counts: np.ndarray, fractions: Sequence[float]
) -> tuple[int, int]:
    """The session start times at which the eval and the test split begin.

    Args:
      start_seconds: Distinct session start times in seconds, ascending, int64 `[n]`.
      counts: Sessions that start in each of them, int64 `[n]`.
      fractions: Shares of train, eval and test, which sum to 1.

    Returns:
      The first second of eval and of test: all sessions that start earlier than the first are
      train, earlier than the second eval, the others test.

    Raises:
      DataError: if a split would be empty.
    """
    total = int(counts.sum())
    before = np.concatenate([[0], np.cumsum(counts)])
    bounds = []
    for share in np.cumsum(fractions)[:2]:
        index = int(np.argmin(np.abs(before - share * total)))
        earliest = bounds[-1] + 1 if bounds else 1
        bounds.append(min(max(index, earliest), len(start_seconds) - 2 + len(bounds)))
    if len(start_seconds) < 3:
        raise DataError(
            f"{total} session(s) with {len(start_seconds)} distinct start time(s) cannot be split "
            "by time into train, eval and test: bring more data"
        )
    return int(start_seconds[bounds[0]]), int(start_seconds[bounds[1]])


def split_of(start_ms: np.ndarray, boundaries: tuple[int, int]) -> np.ndarray:
    """Index into :data:`SPLITS` for session start times in ms; see :func:`split_boundaries`."""
    return np.searchsorted(np.asarray(boundaries), start_ms // 1000, side="right")


def _changes(name: str) -> pl.Expr:
    return pl.col(name) != pl.col(name).shift(1)


def derive(frame: pl.DataFrame, utc_offset_hours: float) -> pl.DataFrame:
    """Adds the columns that follow from an impression's time and its place in the session.

    A service computes them for its requests in the same way, or its features are skewed.

    Args:
      frame: With ``timestamp_ms`` and ``step``, from 0.
      utc_offset_hours: Of the data set's time zone.

    Returns:
      The frame with ``hour``, ``day_of_week`` and ``step_bucket``.
    """
    local_ms = pl.col("timestamp_ms") + round(utc_offset_hours * 3_600_000)
    return frame.with_columns(
        hour=(local_ms // 3_600_000) % 24,
        # 1970-01-01 was a Thursday; Monday is 0.
        day_of_week=(local_ms // 86_400_000 + 3) % 7,
        step_bucket=_step_bucket(pl.col("step")),
    )


def _step_bucket(step: pl.Expr) -> pl.Expr:
    label = pl.lit(LAST_STEP_BUCKET)
    for last, name in reversed(STEP_BUCKETS):
        label = pl.when(step < last).then(pl.lit(name)).otherwise(label)
    return label
