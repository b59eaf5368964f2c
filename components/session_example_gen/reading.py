"""Checked rows of a log or a side table, in buckets of items or users.

Rows travel as Arrow blocks keyed by a bucket rather than one by one, so that each shuffle moves a
few large elements and each step is a vectorised operation on a frame.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

import apache_beam as beam
import numpy as np
import polars as pl
from apache_beam import pvalue

from mtfx.components.beam_results import Counts
from mtfx.datasets.logs import joins, readers, validation
from mtfx.datasets.spec import Column, SideTable

ROWS, REJECTS, COUNTS = "rows", "rejects", "counts"
#: Whether a row is only looked back on, and its session not written.
PAST = "_past"


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


def concatenated(parts: Iterable[bytes]) -> pl.DataFrame | None:
    """The frame of some Arrow blocks; None if there are none."""
    frames = [readers.from_ipc(part) for part in parts]
    return pl.concat(frames) if frames else None


class ReadChecked(beam.PTransform):
    """Reads files of one table into checked rows, keyed by bucket.

    Args:
      paths: The files.
      columns: The canonical columns to produce.
      key: The column whose bucket keys the rows.
      buckets: Number of buckets.
      table: For a side table in long form, to drop unused properties early.
      unknown: Names of the labels that may be unknown.
      past: The value of a column :data:`PAST` to add; None adds none.

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
        past: bool | None = None,
    ):
        super().__init__()
        self._paths = paths
        self._sources = tuple(column.source for column in columns)
        self._check = _CheckBlock(columns, key, buckets, table, unknown, past)

    def expand(self, pbegin: pvalue.PBegin):
        """See the class."""
        return (
            pbegin
            | "Files" >> readers.ReadBlocks(self._paths, wanted=self._sources)
            | "Check" >> beam.ParDo(self._check).with_outputs(REJECTS, COUNTS, main=ROWS)
        )


class _CheckBlock(beam.DoFn):
    def __init__(self, columns, key, buckets, table, unknown, past):
        self._columns: tuple[Column, ...] = columns
        self._key: str = key
        self._buckets: int = buckets
        self._table: SideTable | None = table
        self._unknown: frozenset[str] = unknown
        self._past: bool | None = past

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
        if self._past is not None:
            good = good.with_columns(pl.lit(self._past).alias(PAST))
        if good.height:
            yield from by_bucket(good, self._key, self._buckets)
