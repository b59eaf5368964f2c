"""The Beam pipeline of SessionExampleGen: read, check, join, sessionise, split, write.

Rows travel as Arrow blocks keyed by a bucket of items or users rather than one by one, so that
each shuffle moves a few large elements and each step is a vectorised operation on a frame.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

import apache_beam as beam
import numpy as np
import polars as pl
from apache_beam import pvalue

from mtfx.components.beam_results import NO_SPLITS, Counts
from mtfx.components.session_example_gen import encoding
from mtfx.components.session_example_gen.config import WHOLE
from mtfx.datasets.logs import joins, readers, sessions, validation
from mtfx.datasets.spec import Column, DatasetSpec, SideTable
from mtfx.errors import DataError, fenced

ROWS, REJECTS, COUNTS = "rows", "rejects", "counts"
#: Keys of a bucket to show where a side table meets nothing.
_EXAMPLES = 3
#: A second after any that a log may hold.
_NEVER = validation.LATEST_MS


def bucket_of(keys: pl.Series, buckets: int) -> np.ndarray:
    """A stable bucket in ``[0, buckets)`` for each key, whatever machine or release computes it."""
    if keys.dtype == pl.String:
        unique = keys.unique()
        codes = {key: zlib.crc32(key.encode()) for key in unique}
        hashed = keys.replace_strict(codes, return_dtype=pl.UInt64).to_numpy()
    else:
        # splitmix64's finaliser
        hashed = keys.cast(pl.Int64).to_numpy().astype(np.uint64)
        hashed = (hashed ^ (hashed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        hashed = (hashed ^ (hashed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        hashed = hashed ^ (hashed >> np.uint64(31))
    return (hashed % np.uint64(buckets)).astype(np.int64)


def by_bucket(frame: pl.DataFrame, key: str, buckets: int) -> Iterator[tuple[int, bytes]]:
    """Splits a frame into ``(bucket, Arrow IPC)`` elements by a key column."""
    parts = frame.with_columns(_bucket=pl.Series(bucket_of(frame[key], buckets)))
    for part in parts.partition_by("_bucket", maintain_order=True):
        yield int(part["_bucket"][0]), readers.to_ipc(part.drop("_bucket"))


class ReadChecked(beam.PTransform):
    """Reads files of one table into checked rows, keyed by bucket.

    Args:
      paths: The files.
      columns: The canonical columns to produce.
      key: The column whose bucket keys the rows.
      buckets: Number of buckets.
      table: For a side table in long form, to drop unused properties early.
      unknown: Names of the labels that may be unknown.

    Returns:
      A dict of PCollections: ``rows`` of ``(bucket, Arrow IPC)``, ``rejects`` of Arrow IPC and
      ``counts`` of :class:`Counts`.
    """

    def __init__(
        self,
        paths: list[str],
        columns: tuple[Column, ...],
        key: str,
        buckets: int,
        table: SideTable | None = None,
        unknown: frozenset[str] = frozenset(),
    ):
        super().__init__()
        self._paths = paths
        self._sources = tuple(column.source for column in columns)
        self._check = _CheckBlock(columns, key, buckets, table, unknown)

    def expand(self, pbegin: pvalue.PBegin):
        """See the class."""
        return (
            pbegin
            | "Files" >> readers.ReadBlocks(self._paths, wanted=self._sources)
            | "Check" >> beam.ParDo(self._check).with_outputs(REJECTS, COUNTS, main=ROWS)
        )


class _CheckBlock(beam.DoFn):
    def __init__(self, columns, key, buckets, table, unknown):
        self._columns: tuple[Column, ...] = columns
        self._key: str = key
        self._buckets: int = buckets
        self._table: SideTable | None = table
        self._unknown: frozenset[str] = unknown

    def process(self, block: readers.FilePart) -> Iterator:
        raw, invalid = readers.parse_block(block, tuple(c.source for c in self._columns))
        good, bad = validation.canonicalise(
            raw, self._columns, block.path, joins.properties(self._table), self._unknown
        )
        rejects = readers.readable(pl.concat([invalid, bad]))
        counts = Counts()
        counts.add(("rows", block.path), raw.height + invalid.height)
        for reason, number in rejects.group_by("reason").len().iter_rows():
            counts.add(("quarantined", block.path, reason), number)
        kept = raw.filter(~pl.col(readers.ROW).is_in(bad["row"].implode())) if bad.height else raw
        filled = validation.count_filled(kept, self._columns, self._unknown)
        for name, number in filled.items():
            counts.add(("filled", name), number)
            counts.add(("cells", name), kept.height)
        yield pvalue.TaggedOutput(COUNTS, counts)
        if rejects.height:
            yield pvalue.TaggedOutput(REJECTS, readers.to_ipc(rejects))
        if self._table is not None:
            good = joins.keep_known_properties(good, self._table)
        if good.height:
            yield from by_bucket(good, self._key, self._buckets)


class JoinByItem(beam.DoFn):
    """Joins the item tables within one item bucket and re-keys the rows by user bucket."""

    def __init__(self, tables: dict[str, SideTable], columns: dict[str, Column], buckets: int):
        self._tables = tables
        self._columns = columns
        self._buckets = buckets

    def process(self, grouped: tuple[int, dict[str, Iterable[bytes]]]) -> Iterator:
        """Yields ``(bucket, Arrow IPC)`` of events, and counts."""
        _, parts = grouped
        tables = {name: _concat(parts[name]) for name in self._tables}
        events, counts = _join(_concat(parts[ROWS]), self._tables, tables, self._columns)
        yield pvalue.TaggedOutput(COUNTS, counts)
        if events is not None:
            yield from by_bucket(events, "user_id", self._buckets)


class BuildSessions(beam.DoFn):
    """Joins the user tables of one user bucket, then sessionises it."""

    def __init__(self, spec: DatasetSpec, tables: dict[str, SideTable], columns: dict[str, Column]):
        self._spec = spec
        self._tables = tables
        self._columns = columns

    def process(
        self, grouped: tuple[int, dict[str, Iterable[bytes]]], broadcast: list[tuple[str, bytes]]
    ) -> Iterator:
        """Yields ``(bucket, Arrow IPC)`` of impressions, session starts and counts."""
        bucket, parts = grouped
        tables = {
            name: _concat(parts.get(name, (rows for key, rows in broadcast if key == name)))
            for name in self._tables
        }
        events, counts = _join(_concat(parts[ROWS]), self._tables, tables, self._columns)
        if events is None:
            yield pvalue.TaggedOutput(COUNTS, counts)
            return
        try:
            impressions, dropped = sessions.build_sessions(events, self._spec)
        except DataError as error:
            raise fenced(error) from error
        counts.add(("duplicates",), dropped.duplicates)
        counts.add(("split_sessions",), dropped.split_sessions)
        counts.add(("implied",), dropped.implied)
        yield pvalue.TaggedOutput(COUNTS, counts)
        starts = impressions.group_by("session_id").agg(pl.col("session_start_ms").first())
        seconds, number = np.unique(
            starts["session_start_ms"].to_numpy() // 1000, return_counts=True
        )
        yield pvalue.TaggedOutput("starts", (seconds, number))
        yield bucket, readers.to_ipc(impressions)


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


class WriteSplits(beam.DoFn):
    """Writes one bucket's sessions as one shard of each split and yields counts."""

    def __init__(self, spec: DatasetSpec, uri: str, shards: int):
        self._spec = spec
        self._uri = uri
        self._shards = shards

    def process(self, element: tuple[int, bytes], boundaries: tuple[int, int]) -> Iterator[Counts]:
        """Shards are named after their bucket, so that a retried bundle writes the same file."""
        bucket, payload = element
        frame = readers.from_ipc(payload)
        split = sessions.split_of(frame["session_start_ms"].to_numpy(), boundaries)
        for index, name in enumerate(sessions.SPLITS):
            part = frame.filter(pl.Series(split == index))
            examples = encoding.encode_sessions(part, self._spec)
            if not examples:
                continue
            shard = f"data_tfrecord-{bucket:05d}-of-{self._shards:05d}.gz"
            temporary = f"{self._uri}/.temporary/{name}-{shard}"
            encoding.write_examples(examples, f"{self._uri}/Split-{name}/{shard}", temporary)
            yield self._count(part, name, len(examples))

    def _count(self, part: pl.DataFrame, split: str, number: int) -> Counts:
        counts = Counts()
        counts.add(("sessions", split), number)
        counts.add(("impressions", split), part.height)
        times = part["timestamp_ms"]
        counts.span(int(times.min()), int(times.max()))  # type: ignore[arg-type]
        day = pl.from_epoch("timestamp_ms", time_unit="ms").dt.strftime("%Y-%m-%d")
        labels = [task.name for task in self._spec.tasks]
        daily = part.group_by(day=day).agg(
            pl.len().alias("impressions"),
            pl.col(labels).sum(),
            pl.col(labels).count().name.suffix("/known"),
        )
        for row in daily.iter_rows(named=True):
            for name in ("impressions", *labels):
                counts.add(("daily", row["day"], split, name), row[name])
            for name in labels:
                counts.add(("known", row["day"], split, name), row[f"{name}/known"])
        for feature in self._spec.features:
            if feature.kind == "multivalued":
                delimiter = self._spec.delimiter(feature.name)
                text = part[feature.name]
                values = text.str.count_matches(delimiter, literal=True) + 1
                counts.add(("with_values", feature.name), int((text != "").sum()))
                counts.add(("many_values", feature.name), int((values > feature.max_values).sum()))
                counts.add(("several_values", feature.name), int((values > 1).sum()))
        return counts


def _concat(parts: Iterable[bytes]) -> pl.DataFrame | None:
    frames = [readers.from_ipc(part) for part in parts]
    return pl.concat(frames) if frames else None


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
