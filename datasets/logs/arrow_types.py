"""Types of a Parquet file: the ones that a column may have, and how they are read.

A type says more than its stored number: a timestamp its unit, a decimal its point, a dictionary
its values. What a type says holds, whatever the description says of text files; a type that has no
meaning for a column is refused before anything is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import polars as pl
import pyarrow as pa

from mtfx.datasets.spec import Column
from mtfx.errors import DataError

Meaning = Literal[
    "integer", "number", "boolean", "text", "time", "date", "duration", "nothing", "list", "other"
]

#: Microseconds and nanoseconds of a millisecond; a half of one is rounded up.
_PER_MS = {"us": 1_000, "ns": 1_000_000}
_NUMBERS: tuple[Meaning, ...] = ("integer", "number", "text", "nothing")
_LONGEST_TYPE = 60


def meaning(kind: pa.DataType) -> Meaning:
    """What values of an Arrow type are; ``other`` is what no column takes."""
    kinds = pa.types
    if kinds.is_dictionary(kind):
        return meaning(kind.value_type)
    tests: tuple[tuple[Meaning, bool], ...] = (
        ("integer", kinds.is_integer(kind)),
        ("number", kinds.is_floating(kind) or kinds.is_decimal128(kind)),
        ("boolean", kinds.is_boolean(kind)),
        ("text", kinds.is_string(kind) or kinds.is_large_string(kind)),
        ("text", kinds.is_binary(kind) or kinds.is_large_binary(kind)),
        ("text", str(kind) in ("string_view", "binary_view")),
        ("time", kinds.is_timestamp(kind)),
        ("date", kinds.is_date(kind)),
        ("duration", kinds.is_duration(kind)),
        ("nothing", kinds.is_null(kind)),
        (
            "list",
            kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind),
        ),
    )
    for name, found in tests:
        if found:
            return name
    return "other"


def check_types(path: str, schema: pa.Schema, columns: Sequence[Column]) -> None:
    """Checks that a file's types are ones that its columns can be read from.

    Args:
      path: The file, for the message.
      schema: Its types.
      columns: Those that are read from it, if it has them.

    Raises:
      DataError: naming file, column, type and what to do.
    """
    for column in columns:
        places = schema.get_all_field_indices(column.source)
        if len(places) > 1:
            raise DataError(
                f"{path}: {len(places)} columns are named {column.source!r}; rename all but one"
            )
        if places:
            _check(path, column, schema.field(places[0]).type)


def frame_of(table: pa.Table) -> pl.DataFrame:
    """A frame of a table whose types :func:`check_types` has let through.

    Returns:
      The same columns: dictionaries as their values, times in UTC and without a zone, days as
      ``Date``, whatever stores them.
    """
    arrays = [_plain(column) for column in table.columns]
    return pl.DataFrame(pl.from_arrow(pa.Table.from_arrays(arrays, names=table.column_names)))


def bytes_as_text(frame: pl.DataFrame, row: str) -> tuple[pl.DataFrame, list[tuple[int, str, str]]]:
    """Bytes as the UTF-8 text that they are.

    Args:
      frame: Some rows.
      row: The column of their numbers.

    Returns:
      The rows in which all are, and of each other one its number, what is wrong and the value.
    """
    rejects: list[tuple[int, str, str]] = []
    for name in [name for name, kind in frame.schema.items() if kind == pl.Binary]:
        values = frame.select(row, name).iter_rows()
        bad = [(number, value, at) for number, value in values if (at := _undecodable(value)) >= 0]
        for number, value, at in bad:
            shown = value.decode("utf-8", "backslashreplace")
            rejects.append((number, f"{name}: not UTF-8 at byte {at}", shown))
        kept = frame.filter(~pl.col(row).is_in([one[0] for one in bad])) if bad else frame
        frame = kept.with_columns(pl.col(name).cast(pl.String))
    return frame, rejects


def in_ms(cell: pl.Expr, kind: pl.DataType) -> pl.Expr:
    """Times (Unix) or durations in whole milliseconds, int64, a half rounded up.

    Args:
      cell: The values.
      kind: Their type, ``Datetime`` or ``Duration``.
    """
    stored = cell.to_physical().cast(pl.Int64)
    scale = _PER_MS.get(getattr(kind, "time_unit", "ms") or "us")
    return stored if scale is None else (stored + scale // 2) // scale


def arrow_in_ms(column: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    """Times or durations of an Arrow column in whole milliseconds; any other column as it is."""
    if meaning(column.type) not in ("time", "duration"):
        return column
    values = pl.Series(pl.from_arrow(_plain(column)))
    frame = values.alias("ms").to_frame()
    return frame.select(in_ms(pl.col("ms"), values.dtype))["ms"].to_arrow()


def _check(path: str, column: Column, kind: pa.DataType) -> None:
    what, (accepted, wanted, remedy) = meaning(kind), _accepted(column)
    if what == "list" and column.delimiter:
        what = _meaning_within(kind.value_type)
    if what in accepted:
        return
    described = str(kind)
    if len(described) > _LONGEST_TYPE:
        described = f"{described[: _LONGEST_TYPE - 3]}..."
    if what == "list" and not column.delimiter:
        described += ", several values a row,"
        remedy = "write one value a row"
        if column.role == "context" and column.dtype == "string":
            remedy = (
                "describe it with a delimiter and its feature as multivalued, or write one value"
            )
    elif what == "date" and column.role == "timestamp":
        described += ", a day without a time of day,"
    raise DataError(
        f"{path}: column {column.source!r} is of type {described} where {column.name!r} is "
        f"{wanted}; {remedy}"
    )


def _meaning_within(kind: pa.DataType) -> Meaning:
    """Of a list's values; which doubles and bytes are integers and text is not checked there."""
    unchecked = pa.types.is_floating(kind) or pa.types.is_decimal(kind) or "binary" in str(kind)
    return "other" if unchecked else meaning(kind)


def _accepted(column: Column) -> tuple[tuple[Meaning, ...], str, str]:
    """Meanings that a column can be read from, what it is, and what to write in place of others."""
    numbers = _NUMBERS
    if column.role == "timestamp":
        return (*numbers, "time"), "a time", "write a timestamp, or an integer in the column's unit"
    if column.role in ("user", "item", "session"):
        return numbers, "an id", "write integers or text"
    if column.role == "label":
        return (*numbers, "boolean"), "a label", "write booleans, or 0 and 1"
    if column.role == "watch_time":
        return (*numbers, "duration"), "a watch time", "write a number or a duration"
    if column.role == "event":
        return ("text", "integer", "nothing"), "an event's name", "write text"
    if column.delimiter:
        return numbers, "several values", "write lists of text or integers"
    if column.dtype == "string":
        kinds: tuple[Meaning, ...] = (*numbers, "boolean", "time", "date")
        return kinds, "text", "write text"
    kinds = (*numbers, "boolean", "time", "duration")
    return kinds, "a number", "write a number, or describe the column with dtype='string'"


def _plain(column: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    kinds = pa.types
    if kinds.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if kinds.is_timestamp(column.type) and column.type.tz is not None:
        # Arrow stores UTC; a zone is only how to show it, and Polars does not know all of them.
        return column.cast(pa.timestamp(column.type.unit))
    if kinds.is_date64(column.type):
        return column.cast(pa.date32())
    if kinds.is_float16(column.type):
        return column.cast(pa.float32())
    return column


def _undecodable(value: bytes | None) -> int:
    """The first byte that is no UTF-8, -1 if all are."""
    try:
        (value or b"").decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return -1
