"""Logs of items shown at random, read into memory: responses without a ranker's choice.

A response model fitted to what a recommender chose inherits its choices; on random exposures
(Gao et al., "KuaiRand", CIKM 2022) it does not. Such logs are small, so they are read without Beam.
"""

from __future__ import annotations

import dataclasses

import polars as pl

from mtfx.datasets.labels import UNKNOWN
from mtfx.datasets.logs import joins, readers, sessions
from mtfx.datasets.logs.in_memory import MAX_BAD_ROWS, read_rows, refuse_bad_rows
from mtfx.datasets.spec import DatasetSpec, SideTable


@dataclasses.dataclass(frozen=True)
class Exposures:
    """A log of random exposures.

    Attributes:
      frame: One row per impression: the canonical columns, those of the side tables, and
        ``mtfx.datasets.spec.DERIVED_COLUMNS`` as if this log were all. Unknown labels are
        ``mtfx.datasets.labels.UNKNOWN``.
      files: Where it comes from.
      rejected: Rows left out because a value was bad.
      complete: False if reading stopped at the limit.
      notes: What side tables had nothing for, a sentence each.
    """

    frame: pl.DataFrame
    files: tuple[str, ...]
    rejected: int
    complete: bool
    notes: tuple[str, ...] = ()


def read_random_exposures(
    spec: DatasetSpec,
    data_dir: str,
    *,
    max_rows: int = 2_000_000,
    max_bad_rows: float = MAX_BAD_ROWS,
) -> Exposures | None:
    """Reads the log of random exposures of a data set.

    Args:
      spec: The data set; its ``random_log_files`` say which files.
      data_dir: Directory of the files.
      max_rows: Read no further block once this number of rows is reached.
      max_bad_rows: Share of the rows that may be bad.

    Returns:
      The log with its side tables joined; None if the data set or the directory has none, or it is
      empty.

    Raises:
      DataError: if a file is damaged, lacks a column, or too many of its rows are bad.
    """
    files = readers.match_files(data_dir, spec.random_log_files) if spec.random_log_files else []
    if not files:
        return None
    log, reasons, complete = read_rows(
        files, spec.columns, max_rows=max_rows, unknown=spec.unknown_labels
    )
    rejected = sum(reasons.values())
    if not log.height and not rejected:
        return None
    remedy = "Mend the files, or move them away to do without"
    refuse_bad_rows(files, log.height, reasons, max_bad_rows, remedy)
    columns, notes = {column.name: column for column in spec.all_columns}, []
    for table in spec.side_tables:
        rows = _side_rows(data_dir, files, table, columns[table.on].dtype, log[table.on])
        joined = joins.look_up(log, table, rows)
        found = joins.count_matches(joined, table, columns[table.on].fill)
        if found.met < found.asked:
            notes.append(
                f"{' or '.join(table.files)}: nothing for {found.asked - found.met:,} of "
                f"{found.asked:,} random exposures, which have the defaults of its columns"
            )
        log = joins.fill_unmatched(joined, table)
    frame, _ = sessions.build_sessions(log, spec)
    frame = frame.with_columns(pl.col(sorted(spec.unknown_labels)).fill_null(UNKNOWN))
    return Exposures(frame, tuple(files), rejected, complete, tuple(notes))


def _side_rows(
    data_dir: str, log_files: list[str], table: SideTable, on_dtype: str, keys: pl.Series
) -> pl.DataFrame:
    """The table's rows of the log's keys; bad ones are left out, as if they were not there."""
    columns = joins.raw_columns(table, on_dtype)
    paths = joins.matching_files(data_dir, table, log_files)
    rows, _, _ = read_rows(paths, columns, only=(table.on, keys.unique()), table=table)
    return joins.keep_known_properties(rows, table)
