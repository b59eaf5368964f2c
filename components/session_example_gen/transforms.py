"""The Beam pipeline of SessionExampleGen between reading and writing: join, sessionise, split."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

import apache_beam as beam
import numpy as np
import polars as pl
from apache_beam import pvalue

from mtfx.components.beam_results import NO_SPLITS, Counts
from mtfx.components.session_example_gen import statistics
from mtfx.components.session_example_gen.config import WHOLE
from mtfx.components.session_example_gen.reading import COUNTS, PAST, ROWS, by_bucket, concatenated
from mtfx.datasets.logs import joins, readers, sessions, validation
from mtfx.datasets.spec import Column, DatasetSpec, SideTable
from mtfx.errors import DataError, fenced

#: Keys of a bucket to show where a side table meets nothing.
_EXAMPLES = 3
#: A second after any that a log may hold.
_NEVER = validation.LATEST_MS


class JoinByItem(beam.DoFn):
    """Joins the item tables within one item bucket and re-keys the rows by user bucket."""

    def __init__(self, tables: dict[str, SideTable], columns: dict[str, Column], buckets: int):
        self._tables = tables
        self._columns = columns
        self._buckets = buckets

    def process(self, grouped: tuple[int, dict[str, Iterable[bytes]]]) -> Iterator:
        """Yields ``(bucket, Arrow IPC)`` of events, and counts."""
        _, parts = grouped
        tables = {name: concatenated(parts[name]) for name in self._tables}
        events, counts = _join(concatenated(parts[ROWS]), self._tables, tables, self._columns)
        yield pvalue.TaggedOutput(COUNTS, counts)
        if events is not None:
            yield from by_bucket(events, "user_id", self._buckets)


class BuildSessions(beam.DoFn):
    """Joins the user tables of one user bucket, then sessionises it."""

    def __init__(
        self,
        spec: DatasetSpec,
        tables: dict[str, SideTable],
        columns: dict[str, Column],
        buckets: int,
    ):
        self._spec = spec
        self._tables = tables
        self._columns = columns
        self._buckets = buckets

    def process(
        self, grouped: tuple[int, dict[str, Iterable[bytes]]], broadcast: list[tuple[str, bytes]]
    ) -> Iterator:
        """Yields ``(bucket, Arrow IPC)`` of impressions, session starts, counts and questions.

        What is only looked back on goes on where a session of its user is written.
        """
        bucket, parts = grouped
        tables = {
            name: concatenated(parts.get(name, (rows for key, rows in broadcast if key == name)))
            for name in self._tables
        }
        events, counts = _join(concatenated(parts[ROWS]), self._tables, tables, self._columns)
        if events is None:
            yield pvalue.TaggedOutput(COUNTS, counts)
            return
        try:
            impressions, dropped = self._sessions(events)
        except DataError as error:
            raise fenced(error) from error
        counts.add(("duplicates",), dropped.duplicates)
        counts.add(("split_sessions",), dropped.split_sessions)
        counts.add(("implied",), dropped.implied)
        yield pvalue.TaggedOutput(COUNTS, counts)
        written = only_written(impressions)
        yield from statistics.questions(impressions, written, self._spec, bucket, self._buckets)
        if not written.height:
            return
        starts = written.group_by("session_id").agg(pl.col("session_start_ms").first())
        seconds, number = np.unique(
            starts["session_start_ms"].to_numpy() // 1000, return_counts=True
        )
        yield pvalue.TaggedOutput("starts", (seconds, number))
        if PAST in impressions.columns:
            users = written["user_id"].unique()
            impressions = impressions.filter(pl.col("user_id").is_in(users.implode()))
        yield bucket, readers.to_ipc(impressions)

    def _sessions(self, events: pl.DataFrame) -> tuple[pl.DataFrame, sessions.SessionCounts]:
        """Sessions of either kind of rows: none has rows of both."""
        if PAST not in events.columns:
            return sessions.build_sessions(events, self._spec)
        # A row that two deliveries have is the newer one's.
        columns = [name for name in events.columns if name != PAST]
        distinct = events.sort(PAST).unique(columns, keep="first", maintain_order=True)
        repeated = events.filter(~pl.col(PAST)).height - distinct.filter(~pl.col(PAST)).height
        parts, counts = [], sessions.SessionCounts()
        for past in (False, True):
            rows = distinct.filter(pl.col(PAST) == past).drop(PAST)
            if not rows.height:
                continue
            built, found = sessions.build_sessions(rows, self._spec)
            parts.append(built.with_columns(pl.lit(past).alias(PAST)))
            if not past:
                counts = dataclasses.replace(found, duplicates=repeated)
        return pl.concat(parts), counts


def only_written(impressions: pl.DataFrame) -> pl.DataFrame:
    """The impressions whose sessions are written, not those that are only looked back on."""
    if PAST not in impressions.columns:
        return impressions
    return impressions.filter(~pl.col(PAST)).drop(PAST)


class MergeStarts(beam.CombineFn):
    """Merges ``(seconds, counts)`` pairs of arrays into one with ascending distinct seconds."""

    def create_accumulator(self) -> list:
        """Nothing yet."""
        return []

    def add_input(self, accumulator: list, element) -> list:
        """Keeps the pair for the merge."""
        return [*accumulator, element]

    def merge_accumulators(self, accumulators) -> list:
        """Merges partial results."""
        return [self._merge([pair for part in accumulators for pair in part])]

    def extract_output(self, accumulator: list) -> tuple[np.ndarray, np.ndarray]:
        """Distinct seconds and their counts."""
        return self._merge(accumulator)

    @staticmethod
    def _merge(pairs: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
        if not pairs:
            empty = np.array([], dtype=np.int64)
            return empty, empty
        seconds, inverse = np.unique(np.concatenate([p[0] for p in pairs]), return_inverse=True)
        counts = np.bincount(inverse, weights=np.concatenate([p[1] for p in pairs]))
        return seconds, counts.astype(np.int64)


def boundaries_from(
    starts: tuple[np.ndarray, np.ndarray], fractions: tuple[float, float, float]
) -> Iterator:
    """Yields the split boundaries of ``mtfx.datasets.logs.sessions.split_boundaries``.

    Where there are none, why is a tagged count for the executor, which knows what was read and
    what of it was bad; an error raised here would speak before that.
    """
    if fractions == WHOLE and starts[0].size:
        yield _NEVER, _NEVER
        return
    try:
        yield sessions.split_boundaries(*starts, fractions)
    except DataError as error:
        counts = Counts()
        counts.add((NO_SPLITS, str(error)), 1)
        yield pvalue.TaggedOutput(COUNTS, counts)
        yield 0, 0


def _join(
    events: pl.DataFrame | None,
    tables: dict[str, SideTable],
    rows: dict[str, pl.DataFrame | None],
    columns: dict[str, Column],
) -> tuple[pl.DataFrame | None, Counts]:
    """Joins the rows of one bucket; counts what meets what, and has examples of what does not."""
    counts = Counts()
    for name, table in tables.items():
        of_table = _or_empty(rows[name], table, columns)
        met = 0
        if events is not None:
            joined = joins.look_up(events, table, of_table)
            found = joins.count_matches(joined, table, columns[table.on].fill)
            events = joins.fill_unmatched(joined, table)
            met = found.met
            counts.add(("asked", name), found.asked)
            counts.add(("met", name), met)
            for column, number in found.columns.items():
                counts.add(("found", name, column), number)
        if not met:
            for side, frame in (("log", events), ("table", of_table)):
                if frame is not None:
                    for key in frame[table.on].unique().sort().head(_EXAMPLES):
                        counts.add(("example", name, side, str(key)), 1)
    return events, counts


def _or_empty(
    rows: pl.DataFrame | None, table: SideTable, columns: dict[str, Column]
) -> pl.DataFrame:
    if rows is not None:
        return rows
    raw = joins.raw_columns(table, columns[table.on].dtype)
    return pl.DataFrame(schema={c.name: validation.POLARS_TYPES[c.dtype] for c in raw})
