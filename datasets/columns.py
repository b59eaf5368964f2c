"""Columns of a data set's files: the log's own, and those of the tables that join to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Literal

Dtype = Literal["int64", "string", "float32"]
Role = Literal[
    "user", "item", "timestamp", "session", "label", "value", "watch_time", "context", "event"
]

#: Columns that sessionisation adds to every impression; a data set may list them as features.
DERIVED_COLUMNS = ("hour", "day_of_week", "step", "step_bucket")

#: The roles of columns that a task may predict. An empty cell of theirs is no 0.
LABEL_ROLES: tuple[Role, ...] = ("label", "value", "watch_time")


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of the log and the canonical name under which it goes on.

    Attributes:
      name: Canonical name, lower snake case.
      source: The column's name in the file.
      role: What the column means. ``label`` must be 0 or 1; ``value`` (what a regression predicts),
        ``watch_time`` and ``timestamp`` must not be negative; ``user``, ``item`` and ``timestamp``
        must be present in every row. A ``context`` column that a task predicts is read as ``label``
        or ``value``.
      dtype: Type of the canonical column.
      required: Whether a file without this column is refused. A missing optional column is
        reported and filled with ``default``.
      default: Value of an empty cell or of a missing optional column; how many cells it filled is
        counted. A column that a task predicts has none unless it is given here: see
        :attr:`Task.may_be_unknown`.
      allowed: The only values a string column may hold, where these are known.
      unit: Unit of a ``timestamp`` column of plain numbers (canonical times are in ms). A Parquet
        column of a timestamp type says its unit itself, and one without a time zone is in UTC;
        other times and durations of Parquet become numbers in ms, times become text in UTC.
      delimiter: What separates the values of a cell that may hold several, such as the ``|`` of
        ``comedy|music``; empty for a column of one value. A list column of Parquet is read into the
        same form, so a value must not contain the delimiter. The canonical value is the text of
        its distinct values in alphabetical order (:func:`joined`), so that neither
        order nor repetition tells cells apart; its feature is of kind ``multivalued``.
    """

    name: str
    source: str
    role: Role
    dtype: Dtype = "int64"
    required: bool = True
    default: int | float | str | None = None
    allowed: tuple[str, ...] = ()
    unit: Literal["s", "ms", "us", "ns"] = "ms"
    delimiter: str = ""

    @property
    def fill(self) -> int | float | str:
        """The value of an empty cell: ``default``, or the zero of the column's type."""
        if self.delimiter:
            return joined(str(self.default or "").split(self.delimiter), self.delimiter)
        if self.default is not None:
            return self.default
        return {"int64": 0, "string": "", "float32": 0.0}[self.dtype]


def joined(values: Iterable[str], delimiter: str) -> str:
    """The canonical text of several values: the distinct ones, stripped and in order, not empty."""
    return delimiter.join(sorted({value.strip() for value in values} - {""}))


@dataclasses.dataclass(frozen=True)
class SideTable:
    """A table joined to the log by user or item.

    Attributes:
      files: Glob patterns below the data directory. No match is reported, not fatal.
      key: Name of the key column in the file.
      on: The impression's column it joins to. Tables on ``user_id`` and ``item_id`` may be of any
        size (they are shuffled); one on another column, such as a category, is broadcast.
      columns: The columns taken from it (their role is ``context``).
      time: For a table of time-stamped values, the file's time column in ms: each impression
        takes the last value at or before its own time (an as-of join, no look-ahead).
      property_column, value_column: For a table in long form ``(time, key, property, value)``, the
        columns that hold the property's name and its value; ``Column.source`` then names the
        property.
      same_version: Join only files whose version tag (the ``pure`` of ``..._pure.csv``) equals the
        log's, because ids are numbered anew in each version.
    """

    files: tuple[str, ...]
    key: str
    on: str
    columns: tuple[Column, ...]
    time: str | None = None
    property_column: str | None = None
    value_column: str | None = None
    same_version: bool = False
