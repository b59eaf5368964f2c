"""Earlier impressions of a user, and counts by day, as vectorised operations on frames.

Point in time: a session knows the impressions before its start, and the counts of the days before
its day. Feedback of earlier impressions that had not happened by then is marked by its time
(``feedback_ms``); whoever reads the lists leaves it out.

Like ``mtfx.datasets.logs.sessions``, all this works on a *bucket*: a frame that holds all rows of
some users, or all counts of some values.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl

from mtfx.datasets import history
from mtfx.datasets.history import FEEDBACK_MS, WATCH_SHARE
from mtfx.datasets.labels import UNKNOWN
from mtfx.datasets.spec import DatasetSpec
from mtfx.errors import DataError

#: Columns of the frames of counts: what was counted, and the local day (days since 1970-01-01).
VALUE, DAY = "value", "day"
#: A longer watch counts as this share of the video, whatever a loop may have added.
LONGEST_SHARE = 3.0
_DAY_MS = 86_400_000


@dataclasses.dataclass(frozen=True)
class EarlierImpressions:
    """Of some sessions, the rows of the impressions before them.

    Attributes:
      offsets: Where the rows of each session begin in ``rows``, and behind the last session where
        they end, int64 `[sessions + 1]`.
      rows: Rows of the frame, oldest first, int64 `[offsets[-1]]`.
    """

    offsets: np.ndarray
    rows: np.ndarray


def watch_share(frame: pl.DataFrame, spec: DatasetSpec) -> pl.Series:
    """Watch time by duration of each row, clipped to [0, 3]; -1 where it is unknown.

    Args:
      frame: Impressions; an unknown watch time is null or ``mtfx.datasets.labels.UNKNOWN``.
      spec: A data set of which ``mtfx.datasets.history.has_watch_share`` holds.

    Returns:
      float32 `[rows]`.
    """
    assert spec.history is not None
    watch = pl.col(spec.history.watch_time).cast(pl.Float64)
    duration = pl.col(spec.history.duration).cast(pl.Float64)
    known = (watch >= 0) & (duration > 0)
    share = (watch / duration).clip(0.0, LONGEST_SHARE)
    found = pl.when(known.fill_null(False)).then(share).otherwise(float(UNKNOWN))
    return frame.select(found.cast(pl.Float32).alias(WATCH_SHARE)).to_series()


def with_feedback_time(impressions: pl.DataFrame, spec: DatasetSpec) -> pl.DataFrame:
    """Checks the column ``feedback_ms`` of ``to_impressions``, or makes it the row's own time.

    Args:
      impressions: What ``to_impressions`` returned.
      spec: The data set.

    Returns:
      The frame, with an int64 ``feedback_ms`` where the data set has a history and without where
      it has none.

    Raises:
      DataError: if a time is missing, or before the impression.
    """
    if not history.has_feedback_time(spec):
        own = any(column.name == FEEDBACK_MS for column in spec.all_columns)
        return impressions if own else impressions.drop(FEEDBACK_MS, strict=False)
    if FEEDBACK_MS not in impressions.columns:
        return impressions.with_columns(pl.col("timestamp_ms").alias(FEEDBACK_MS))
    impressions = impressions.with_columns(pl.col(FEEDBACK_MS).cast(pl.Int64, strict=False))
    late = (pl.col(FEEDBACK_MS) >= pl.col("timestamp_ms")).fill_null(False)
    if wrong := impressions.select((~late).sum()).item():
        raise DataError(
            f"data set {spec.name!r}: to_impressions gave {wrong:,} of {impressions.height:,} "
            f"impressions a {FEEDBACK_MS!r} that is no time, or before the impression's own"
        )
    return impressions


class Timelines:
    """All impressions of a bucket's users in order of time, to look back in."""

    def __init__(self, frame: pl.DataFrame):
        """Sorts the impressions.

        Args:
          frame: With ``user_id``, ``timestamp_ms`` and ``item_id``, in any order. Rows of equal
            time stay in order of item, then of the frame.
        """
        self._users = frame["user_id"].unique().sort()
        keys = ("user_id", "timestamp_ms", "item_id")
        order = frame.select(pl.arg_sort_by(*keys, maintain_order=True)).to_series()
        self._rows = order.to_numpy().astype(np.int64)
        times = frame["timestamp_ms"].to_numpy()
        self._times = np.unique(times)
        # A user's number and a time's rank make one number to search by, which cannot overflow.
        self._base = len(self._times) + 1
        self._order = _places(frame["user_id"], self._users)[self._rows] * self._base
        self._order += np.searchsorted(self._times, times[self._rows])

    def before(self, users: pl.Series, times_ms: pl.Series, length: int) -> EarlierImpressions:
        """The last impressions of some users before a time of each.

        Args:
          users: ``user_id`` of each session, all of them in the frame.
          times_ms: When each begins, int64 `[sessions]`.
          length: How many rows a session gets at most.

        Returns:
          The rows with the session's user and a time strictly before its own, the newest ones.
        """
        first_of_user = _places(users, self._users) * self._base
        of_session = first_of_user + np.searchsorted(self._times, times_ms.to_numpy())
        ends = np.searchsorted(self._order, of_session)
        begins = np.maximum(np.searchsorted(self._order, first_of_user), ends - length)
        offsets = np.concatenate([[0], np.cumsum(ends - begins)])
        within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], ends - begins)
        return EarlierImpressions(offsets, self._rows[np.repeat(begins, ends - begins) + within])


def local_day(times_ms: pl.Expr, spec: DatasetSpec) -> pl.Expr:
    """The users' day of a time, int64 days since 1970-01-01."""
    return (times_ms + round(spec.utc_offset_hours * 3_600_000)) // _DAY_MS


def daily_totals(frame: pl.DataFrame, spec: DatasetSpec, key: str) -> pl.DataFrame:
    """How often each value of a feature was shown on each day, and what followed.

    Args:
      frame: Impressions; labels are null or ``mtfx.datasets.labels.UNKNOWN`` where unknown.
      spec: The data set; it has a history.
      key: One of ``History.statistics``.

    Returns:
      One row per ``value`` and ``day``, in any order, with the columns of
      ``mtfx.datasets.history.statistics_of``, int64. Impressions count on their own day, labels on
      that of their ``feedback_ms`` where there is one.
    """
    names = history.statistics_of(spec, key)
    shown = pl.len().cast(pl.Int64).alias(names["impressions"])
    labels = []
    for task in history.binary_tasks(spec):
        label = pl.col(task.name).cast(pl.Int64)
        labels.append((label == 1).sum().cast(pl.Int64).alias(names[f"{task.name}_count"]))
        if (known := names.get(f"{task.name}_known")) is not None:
            labels.append((label >= 0).sum().cast(pl.Int64).alias(known))
    value = pl.col(key).alias(VALUE)
    day = local_day(pl.col("timestamp_ms"), spec).alias(DAY)
    if not history.has_feedback_time(spec):
        return frame.group_by(value, day).agg(shown, *labels)
    later = local_day(pl.col(FEEDBACK_MS), spec).alias(DAY)
    parts = [frame.group_by(value, day).agg(shown), frame.group_by(value, later).agg(labels)]
    return summed(pl.concat(parts, how="diagonal").select(VALUE, DAY, *names.values()))


def summed(totals: pl.DataFrame) -> pl.DataFrame:
    """Totals of several sources as one row per ``value`` and ``day``; a null counts as 0."""
    return totals.group_by(VALUE, DAY).agg(pl.exclude(VALUE, DAY).sum())


def up_to_the_day_before(totals: pl.DataFrame, asked: pl.DataFrame) -> pl.DataFrame:
    """Sums of the totals of all days before the one that is asked about.

    Args:
      totals: One row per ``value`` and ``day``, and any columns of counts.
      asked: Rows of ``value`` and ``day``.

    Returns:
      The rows of ``asked`` in their order, with the counts, int64; 0 where nothing was counted.
    """
    counts = [name for name in totals.columns if name not in (VALUE, DAY)]
    ordered = totals.sort(VALUE, DAY)
    before = np.concatenate(
        [np.zeros((1, len(counts)), np.int64), np.cumsum(ordered.select(counts).to_numpy(), axis=0)]
    )
    known = ordered[VALUE].unique().sort()
    days = np.unique(ordered[DAY].to_numpy())
    base = len(days) + 1
    of_total = _places(ordered[VALUE], known) * base
    of_total += np.searchsorted(days, ordered[DAY].to_numpy())
    # A value that was never counted comes before all others and has no day of its own.
    first = _places(asked[VALUE], known) * base
    wanted = first + np.where(first < 0, 0, np.searchsorted(days, asked[DAY].to_numpy()))
    end, begin = np.searchsorted(of_total, wanted), np.searchsorted(of_total, first)
    found = before[end] - before[begin]
    return asked.with_columns(pl.Series(name, found[:, i]) for i, name in enumerate(counts))


def _places(values: pl.Series, known: pl.Series) -> np.ndarray:
    """Where each value is in distinct ones, int64; -1 where it is not among them."""
    numbered = known.rename(VALUE).to_frame().with_row_index("place")
    found = (
        values.rename(VALUE).to_frame().join(numbered, on=VALUE, how="left", maintain_order="left")
    )
    return found["place"].cast(pl.Int64).fill_null(-1).to_numpy()
