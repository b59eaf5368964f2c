"""Joins of side tables to impressions; a value from the future is never seen."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Sequence

import polars as pl

from mtfx.datasets.logs.readers import check_columns, match_files
from mtfx.datasets.logs.validation import POLARS_TYPES, joined_values
from mtfx.datasets.spec import Column, SideTable

_ID_TYPES = {"user_id": "user", "item_id": "item"}
TIME = "_time"
_PROPERTY = "_property"


def raw_columns(table: SideTable, on_dtype: str) -> tuple[Column, ...]:
    """The columns to read from a side table's files, keys first."""
    role = _ID_TYPES.get(table.on, "item")
    columns = [Column(table.on, table.key, role, dtype=on_dtype)]  # type: ignore[arg-type]
    if table.time is not None:
        columns.append(Column(TIME, table.time, "timestamp"))
    if table.property_column is None:
        return (*columns, *table.columns)
    value = Column("_value", table.value_column or "value", "context", dtype="string")
    return (*columns, Column(_PROPERTY, table.property_column, "event", dtype="string"), value)


def properties(table: SideTable | None) -> tuple[Column, ...]:
    """What the rows of a table in long form are to become; nothing for any other."""
    return table.columns if table is not None and table.property_column is not None else ()


def below(folder: str, patterns: Sequence[str]) -> tuple[str, ...]:
    """The patterns in a folder, which may be a pattern too."""
    return tuple(os.path.join(folder, pattern) for pattern in patterns)


def matching_files(
    directory: str, table: SideTable, log_files: list[str], folder: str = ""
) -> list[str]:
    """The table's files, only those of the log's version where the table asks for that."""
    files = match_files(directory, below(folder, table.files))
    if not table.same_version:
        return files
    logs = {token for path in log_files for token in _tokens(path)}
    return [path for path in files if _tokens(path)[-1] in logs]


def join_side_table(events: pl.DataFrame, table: SideTable, rows: pl.DataFrame) -> pl.DataFrame:
    """Adds a side table's columns to events.

    Args:
      events: Events with ``table.on`` and ``timestamp_ms``.
      table: How to join.
      rows: The table's rows of the same keys, with the columns of :func:`raw_columns`.

    Returns:
      ``events`` with ``table.columns`` added; where nothing matches (for a time-stamped table:
      nothing at or before the event's time), with each column's default.
    """
    return fill_unmatched(look_up(events, table, rows), table)


def look_up(events: pl.DataFrame, table: SideTable, rows: pl.DataFrame) -> pl.DataFrame:
    """As :func:`join_side_table`, but null where nothing matches, for :func:`count_matches`."""
    if table.time is None:
        joined = events.join(
            rows.sort(rows.columns).unique(table.on, keep="first"), on=table.on, how="left"
        )
    elif table.property_column is None:
        joined = _as_of(events, rows, table.on)
    else:
        joined = events
        for column in table.columns:
            of_property = rows.filter(pl.col(_PROPERTY) == column.source)
            value = pl.col("_value")
            if column.delimiter:
                value = joined_values(value.str.split(column.delimiter), column.delimiter)
            values = of_property.select(table.on, TIME, value.alias(column.name))
            joined = _as_of(joined, values, table.on)
    return joined.with_columns(
        pl.col(column.name).cast(POLARS_TYPES[column.dtype], strict=False)
        for column in table.columns
    )


def fill_unmatched(joined: pl.DataFrame, table: SideTable) -> pl.DataFrame:
    """Gives the columns of :func:`look_up` their defaults where nothing matched."""
    return joined.with_columns(
        pl.col(column.name).fill_null(column.fill) for column in table.columns
    )


@dataclasses.dataclass(frozen=True)
class Matches:
    """How many rows of a log a side table has something for.

    Attributes:
      asked: Rows with a key; those whose key is itself a default are not asked about.
      met: Of them, those that the table has a value for.
      columns: Of those, by column of the table.
    """

    asked: int
    met: int
    columns: dict[str, int]


def count_matches(joined: pl.DataFrame, table: SideTable, no_key: int | float | str) -> Matches:
    """Counts matches.

    Args:
      joined: Of :func:`look_up`.
      table: The table.
      no_key: The default of the column it is joined by; nobody's key unless that is an id.
    """
    asked = joined if table.on in _ID_TYPES else joined.filter(pl.col(table.on) != no_key)
    names = [column.name for column in table.columns]
    found = asked.select(pl.col(names).is_not_null())
    columns = found.select(pl.col(names).sum()).row(0, named=True)
    met = int(found.select(pl.any_horizontal(names).sum()).item())
    return Matches(asked.height, met, columns)


def keep_known_properties(rows: pl.DataFrame, table: SideTable) -> pl.DataFrame:
    """Drops the properties of a long table that no column asks for, before they are shuffled."""
    if table.property_column is None:
        return rows
    return rows.filter(pl.col(_PROPERTY).is_in([column.source for column in table.columns]))


def missing_columns(path: str, header: tuple[str, ...], columns: tuple[Column, ...]) -> list[str]:
    """Optional columns that a file lacks.

    Raises:
      DataError: if it lacks a required one.
    """
    check_columns(path, header, tuple(c.source for c in columns if c.required))
    return [column.source for column in columns if column.source not in header]


def _as_of(events: pl.DataFrame, values: pl.DataFrame, key: str) -> pl.DataFrame:
    # Sorting by value as well makes the choice among equal times independent of file order.
    ordered = values.sort([TIME, *sorted(set(values.columns) - {TIME})])
    return (
        events.sort("timestamp_ms", maintain_order=True)
        .join_asof(
            ordered,
            left_on="timestamp_ms",
            right_on=TIME,
            by=key,
            strategy="backward",
            check_sortedness=False,
        )
        .drop(TIME, strict=False)
    )


def _tokens(path: str) -> list[str]:
    stem = os.path.basename(path).split(".")[0]
    return re.sub(r"_part\d+\Z", "", stem).split("_")
