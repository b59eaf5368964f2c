"""Logs read into memory, without Beam's workers: for what needs a whole log at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import polars as pl

from mtfx.datasets.logs import joins, readers, sessions, validation
from mtfx.datasets.spec import Column, DatasetSpec, SideTable
from mtfx.errors import DataError, in_words

#: Share of a log's rows that may be bad.
MAX_BAD_ROWS = 0.01


def read_rows(
    paths: list[str],
    columns: tuple[Column, ...],
    *,
    only: tuple[str, pl.Series] | None = None,
    max_rows: int | None = None,
    table: SideTable | None = None,
    unknown: frozenset[str] = frozenset(),
    on_rows: Callable[[int], None] | None = None,
) -> tuple[pl.DataFrame, Counter[str], bool]:
    """Reads files under their canonical names.

    Args:
      paths: The files.
      columns: Which to read.
      only: A canonical column and the values of it whose rows are kept; None keeps all.
      max_rows: Read no further block once this number of rows is reached.
      table: The side table whose files these are; None if they are a log's.
      unknown: Labels that may be unknown, which become null.
      on_rows: Called with the rows of each block once it is read.

    Returns:
      Good rows, numbers of bad ones by reason, and whether all was read.

    Raises:
      DataError: if a file is damaged or lacks a column.
    """
    empty = {column.name: validation.POLARS_TYPES[column.dtype] for column in columns}
    parts, rows = [pl.DataFrame(schema=empty)], 0
    reasons: Counter[str] = Counter()
    for path in paths:
        joins.missing_columns(path, readers.read_header(path), columns)
        readers.check_types(path, columns)
        sources = tuple(column.source for column in columns)
        for block in readers.read_blocks(path, wanted=sources):
            if max_rows is not None and rows >= max_rows:
                return pl.concat(parts), reasons, False
            raw, invalid = readers.parse_block(block, sources)
            good, bad = validation.canonicalise(
                raw, columns, path, joins.properties(table), unknown
            )
            reasons.update([*invalid["reason"], *bad["reason"]])
            if only is not None:
                name, keys = only
                good = good.filter(pl.col(name).is_in(keys.implode()))
            parts.append(good)
            rows += good.height
            if on_rows is not None:
                on_rows(raw.height)
    return pl.concat(parts), reasons, True


def refuse_bad_rows(
    files: list[str], good: int, reasons: Counter[str], max_bad_rows: float, remedy: str
) -> None:
    """Raises DataError if no row is good, or too many are bad.

    Args:
      files: Where they are from.
      good: Number of good rows.
      reasons: Numbers of bad ones by reason.
      max_bad_rows: Share of all rows that may be bad.
      remedy: What to do, a sentence.
    """
    bad = sum(reasons.values())
    if bad > max_bad_rows * (bad + good) or not good:
        raise DataError(
            f"{', '.join(files)}: {bad:,} of {bad + good:,} rows are bad, more "
            f"than {max_bad_rows:.1%}: {in_words(reasons)}. {remedy}"
        )


def read_impressions(
    spec: DatasetSpec, data_dir: str, on_rows: Callable[[int], None] | None = None
) -> pl.DataFrame:
    """Reads the log of a data set, without its side tables.

    Args:
      spec: The data set; its ``log_files`` say which files.
      data_dir: Directory of the files.
      on_rows: Called with the rows of each block once it is read.

    Returns:
      One row per impression, exact duplicates once: the log's canonical columns but for text that
      nothing is counted by; null where a label is unknown.

    Raises:
      DataError: if there is no log or it has no row, a file is damaged or lacks a column, or more
        than ``MAX_BAD_ROWS`` of its rows are bad.
    """
    files = readers.match_files(data_dir, spec.log_files)
    if not files:
        raise DataError(
            f"{data_dir} has no log of data set {spec.name} ({', '.join(spec.log_files)})"
        )
    columns = spec.columns
    if spec.to_impressions is None:
        columns = tuple(c for c in columns if c.role != "context" or c.dtype != "string")
    log, reasons, _ = read_rows(files, columns, unknown=spec.unknown_labels, on_rows=on_rows)
    if not log.height and not reasons:
        raise DataError(f"{', '.join(files)}: there is no row")
    refuse_bad_rows(files, log.height, reasons, MAX_BAD_ROWS, "Mend the files")
    if spec.to_impressions is None:
        return log.unique(maintain_order=True)
    return sessions.build_sessions(log, spec)[0]
