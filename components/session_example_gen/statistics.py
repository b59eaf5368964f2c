"""Statistics of items and their like: counts by day from all users, answered to each of them.

A user bucket knows everything of its users, and of an item only what they did. So it sends the
daily totals of each value to a bucket of values, and asks there for the (value, day) pairs that its
sessions need; the value bucket sums and answers. What is shuffled has one row per value and day, so
that memory is bounded by a bucket, however long the log and however many the items.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import apache_beam as beam
import polars as pl
from apache_beam import pvalue

from mtfx.components.session_example_gen.encoding import SESSION_START
from mtfx.components.session_example_gen.reading import bucket_of, concatenated
from mtfx.datasets.history import statistics_of
from mtfx.datasets.logs import readers
from mtfx.datasets.logs.history import (
    DAY,
    VALUE,
    daily_totals,
    local_day,
    summed,
    up_to_the_day_before,
)
from mtfx.datasets.spec import DatasetSpec

TOTALS, ASKED = "totals", "asked"
_USER = "user_id"
#: Column of the bucket that asked.
_FROM = "from"


def exchanged_keys(spec: DatasetSpec) -> tuple[str, ...]:
    """The keys of which a user bucket does not know everything."""
    if spec.history is None:
        return ()
    return tuple(key for key in spec.history.statistics if key != _USER)


def questions(
    impressions: pl.DataFrame, written: pl.DataFrame, spec: DatasetSpec, bucket: int, buckets: int
) -> Iterator[pvalue.TaggedOutput]:
    """What a user bucket says to the buckets of values, and asks of them.

    Args:
      impressions: All of the bucket.
      written: Those whose sessions are written.
      spec: The data set.
      bucket: The user bucket.
      buckets: How many there are, of values too.

    Yields:
      Tagged ``totals`` and ``asked``, each ``((key, value bucket), Arrow IPC)``.
    """
    for place, key in enumerate(exchanged_keys(spec)):
        asked = written.select(pl.col(key).alias(VALUE), _day(spec)).unique()
        parts = {
            TOTALS: daily_totals(impressions, spec, key),
            ASKED: asked.with_columns(pl.lit(bucket, pl.Int64).alias(_FROM)),
        }
        for tag, rows in parts.items():
            of_bucket = rows.with_columns(_bucket=pl.Series(bucket_of(rows[VALUE], buckets)))
            for part in of_bucket.partition_by("_bucket"):
                where = place, int(part["_bucket"][0])
                yield pvalue.TaggedOutput(tag, (where, readers.to_ipc(part.drop("_bucket"))))


class Answer(beam.DoFn):
    """Sums the totals of one bucket of values and answers what is asked of it."""

    def process(
        self, grouped: tuple[tuple[int, int], dict[str, Iterable[bytes]]]
    ) -> Iterator[tuple[int, tuple[int, bytes]]]:
        """Yields ``(user bucket, (key, Arrow IPC of value, day and counts))``."""
        (place, _), parts = grouped
        asked, totals = concatenated(parts[ASKED]), concatenated(parts[TOTALS])
        if asked is None or totals is None:
            return
        found = up_to_the_day_before(summed(totals), asked)
        for part in found.partition_by(_FROM):
            yield int(part[_FROM][0]), (place, readers.to_ipc(part.drop(_FROM)))


def with_statistics(
    written: pl.DataFrame,
    impressions: pl.DataFrame,
    answers: Iterable[tuple[int, bytes]],
    spec: DatasetSpec,
) -> pl.DataFrame:
    """Adds ``mtfx.datasets.history.statistic_columns`` to the impressions that are written.

    Args:
      written: Impressions of one user bucket, in whole sessions.
      impressions: All of its users, for the statistics of the users themselves.
      answers: Of the buckets of values, by the place of the key in :func:`exchanged_keys`.
      spec: The data set.

    Returns:
      ``written`` in its order.
    """
    if spec.history is None:
        return written
    by_key: dict[str, pl.DataFrame] = {}
    exchanged = exchanged_keys(spec)
    for place, payload in answers:
        rows = readers.from_ipc(payload)
        key = exchanged[place]
        by_key[key] = pl.concat([by_key[key], rows]) if key in by_key else rows
    if _USER in spec.history.statistics:
        asked = written.select(pl.col(_USER).alias(VALUE), _day(spec)).unique()
        by_key[_USER] = up_to_the_day_before(daily_totals(impressions, spec, _USER), asked)
    written = written.with_columns(_day(spec).alias("_day"))
    for key, rows in by_key.items():
        counts = list(statistics_of(spec, key).values())
        rows = rows.rename({VALUE: key, DAY: "_day"})
        written = written.join(
            rows, on=[key, "_day"], how="left", maintain_order="left"
        ).with_columns(pl.col(counts).fill_null(0))
    return written.drop("_day")


def _day(spec: DatasetSpec) -> pl.Expr:
    """The users' day on which a session begins."""
    return local_day(pl.col(SESSION_START), spec).alias(DAY)
