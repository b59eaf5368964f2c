"""Checks of a log's values, a column at a time: good rows on one side, rejects on the other."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import polars as pl

from mtfx.datasets.columns import LABEL_ROLES, Dtype
from mtfx.datasets.logs.arrow_types import in_ms
from mtfx.datasets.logs.readers import ROW, rejects_frame
from mtfx.datasets.spec import Column
from mtfx.serving.plausible_time import EARLIEST_MS, LATEST_MS, time_faults

POLARS_TYPES: dict[Dtype, type[pl.DataType]] = {
    "int64": pl.Int64,
    "string": pl.String,
    "float32": pl.Float32,
}
_MS_PER_UNIT = {"s": 1000.0, "ms": 1.0, "us": 1e-3, "ns": 1e-6}
#: Whole numbers above this are not all to be distinguished in a column of doubles.
_EXACT = 2.0**53


def canonicalise(
    raw: pl.DataFrame,
    columns: Sequence[Column],
    path: str,
    properties: Sequence[Column] = (),
    unknown: Collection[str] = (),
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Renames, types and checks the rows of a parsed block.

    Args:
      raw: The block's rows under the file's column names, with ``_row``.
      columns: The columns to produce. One that ``raw`` lacks is filled with its default.
      path: The file, for the rejects.
      properties: Of a side table in long form, what its rows are to become: the last of ``columns``
        is a value, the one before it the name of its property.
      unknown: Names of the labels that may be unknown, see ``mtfx.datasets.spec.Task``; they are
        null where a cell is empty or the column is missing.

    Returns:
      The good rows with the canonical columns, and the bad ones as ``file, row, reason, text``
      with the first reason found.
    """
    values, checks = [], []
    for column in columns:
        if column.source not in raw.columns:
            value = None if column.name in unknown else column.fill
            fill = pl.lit(value, dtype=POLARS_TYPES[column.dtype])
            values.append(fill.alias(column.name))
            continue
        value, reasons = _check(column, raw.schema[column.source], column.name in unknown)
        values.append(value.alias(column.name))
        checks.extend(reasons)
    if properties:
        checks.extend(_property_checks(columns[-2].source, columns[-1].source, properties, raw))
    checked = raw.with_columns(pl.coalesce(*checks, pl.lit(None, pl.String)).alias("_reason"))
    bad = checked.filter(pl.col("_reason").is_not_null())
    good = checked.filter(pl.col("_reason").is_null()) if bad.height else checked
    if not bad.height:
        return good.select(values), rejects_frame([])
    sources = [c.source for c in columns if c.source in raw.columns]
    rejects = bad.select(
        file=pl.lit(path),
        row=pl.col(ROW).cast(pl.Int64),
        reason=pl.col("_reason"),
        text=pl.concat_str(
            [_text(pl.col(s), raw.schema[s]).fill_null("") for s in sources], separator=","
        ),
    )
    return good.select(values), rejects


def _check(column: Column, actual: pl.DataType, unknown: bool) -> tuple[pl.Expr, list[pl.Expr]]:
    """The canonical value of a column, and expressions that are null or a reason to reject."""
    cell = pl.col(column.source)
    text = _text(cell, actual)
    empty = _empty(cell, actual)
    key = column.role in ("user", "item", "timestamp", "session")

    def reject(where: pl.Expr, what: str) -> pl.Expr:
        return pl.when(where).then(pl.lit(f"{column.source}: {what}"))

    reasons = []
    must_be_given = column.role in LABEL_ROLES and not unknown and column.default is None
    if key or column.role == "event" or must_be_given:
        reasons.append(reject(empty, "missing"))

    def filled(value: pl.Expr) -> pl.Expr:
        return value if unknown else value.fill_null(column.fill)

    if column.role == "label":
        value = cell.cast(pl.Float64, strict=False)
        wrong = ~empty & (value.is_null() | ~value.is_in([0.0, 1.0]))
        reasons.append(reject(wrong, "label is not 0 or 1"))
        return filled(value.cast(pl.Int64, strict=False)), reasons
    if column.role == "timestamp":
        return _check_time(column, actual, reasons, reject)
    if column.delimiter:
        if actual.is_float():
            cell, inexact = _whole(cell, actual)
            reasons += [reject(~empty & cell.is_null(), "not an integer"), reject(*inexact)]
        parts = _parts(cell, actual, column.delimiter)
        if actual.is_nested():
            # Joined to one text, it could not be distinguished from two values.
            holds = parts.list.eval(pl.element().str.contains(column.delimiter, literal=True))
            what = f"a value contains the delimiter {column.delimiter!r}; choose another one"
            reasons.append(reject(holds.list.any().fill_null(False), what))
        return joined_values(parts, column.delimiter).replace("", column.fill), reasons
    if column.dtype == "string":
        if key and actual.is_float():
            # A column of whole numbers with empty cells is a column of doubles in many writers.
            value, inexact = _whole(cell, actual)
            reasons += [reject(~empty & value.is_null(), "not an integer"), reject(*inexact)]
            return value.cast(pl.String), reasons
        if column.allowed:
            known = ", ".join(column.allowed)
            reasons.append(
                reject(~empty & ~text.is_in(list(column.allowed)), f"not one of {known}")
            )
        return text.fill_null("").replace("", str(column.fill)), reasons
    if column.dtype == "int64":
        value, inexact = _whole(cell, actual)
        reasons.append(reject(~empty & value.is_null(), "not an integer"))
        reasons.append(reject(*inexact))
    else:
        value = _number(cell, actual).cast(pl.Float64, strict=False)
        reasons.append(reject(~empty & value.is_null(), "not a number"))
        reasons.append(reject(~value.is_finite(), "not finite"))
    if column.role in ("watch_time", "value"):
        reasons.append(reject(value < 0, "negative"))
    return filled(value).cast(POLARS_TYPES[column.dtype], strict=False), reasons


def _property_checks(
    name: str, value: str, properties: Sequence[Column], raw: pl.DataFrame
) -> list[pl.Expr]:
    """Of the rows of each property that is a number, whether theirs is one."""
    text = _text(pl.col(value), raw.schema[value])
    checks = []
    for column in properties:
        if column.dtype == "string":
            continue
        number = text.cast(POLARS_TYPES[column.dtype], strict=False)
        bad = number.is_null() & (text != "")
        if column.dtype == "float32":
            bad |= ~number.is_finite()
        what = "an integer" if column.dtype == "int64" else "a finite number"
        reason = f"{value}: property {column.source} is not {what}"
        mine = pl.col(name).cast(pl.String) == column.source
        checks.append(pl.when(mine & bad).then(pl.lit(reason)))
    return checks


def joined_values(values: pl.Expr, delimiter: str) -> pl.Expr:
    """Lists of text as ``mtfx.datasets.columns.joined`` has them; nothing for a null."""
    known = values.list.eval(pl.element().str.strip_chars()).list.eval(
        pl.element().filter(pl.element() != "")
    )
    return known.list.unique().list.sort().list.join(delimiter).fill_null("")


def _parts(cell: pl.Expr, actual: pl.DataType, delimiter: str) -> pl.Expr:
    """A cell's values as a list of text."""
    if not actual.is_nested():
        return _text(cell, actual).str.split(delimiter)
    values = cell.arr.to_list() if isinstance(actual, pl.Array) else cell
    return values.list.eval(pl.element().cast(pl.String)).list.drop_nulls()


def _text(cell: pl.Expr, actual: pl.DataType) -> pl.Expr:
    """A value as text, the same whatever unit or scale its type stores it in."""
    if isinstance(actual, pl.Datetime):
        return in_ms(cell, actual).cast(pl.Datetime("ms")).cast(pl.String)
    if isinstance(actual, pl.Duration):
        return in_ms(cell, actual).cast(pl.String)
    if actual.is_nested():
        return _parts(cell, actual, "").list.join(",")
    if isinstance(actual, pl.Decimal) and actual.scale:
        return cell.cast(pl.String).str.strip_chars_end("0").str.strip_chars_end(".")
    return cell.cast(pl.String)


def _number(cell: pl.Expr, actual: pl.DataType) -> pl.Expr:
    """A value fit to be cast to a number: times and durations in ms, decimals without rounding."""
    if isinstance(actual, (pl.Datetime, pl.Duration)):
        return in_ms(cell, actual)
    return _text(cell, actual) if isinstance(actual, pl.Decimal) else cell


def _whole(cell: pl.Expr, actual: pl.DataType) -> tuple[pl.Expr, tuple[pl.Expr, str]]:
    """A value as int64, null where it is none, and where and why it is not the one written."""
    value = _number(cell, actual).cast(pl.Int64, strict=False)
    inexact = pl.lit(False)
    if actual.is_float():
        value = pl.when(cell == cell.round(0)).then(value)
        inexact = (cell.abs() > _EXACT).fill_null(False)
    return value, (inexact, "beyond 2**53, where doubles skip integers; store it as an integer")


def _check_time(column, actual, reasons, reject) -> tuple[pl.Expr, list[pl.Expr]]:
    cell = pl.col(column.source)
    if isinstance(actual, pl.Datetime):
        # The type says the unit; the description's is that of plain numbers.
        value = in_ms(cell, actual)
    elif column.unit == "ms":
        value = _number(cell, actual).cast(pl.Int64, strict=False)
    elif actual.is_integer() and column.unit in ("us", "ns"):
        scale = round(1 / _MS_PER_UNIT[column.unit])
        value = (cell.cast(pl.Int64, strict=False) + scale // 2) // scale
    else:
        scaled = _number(cell, actual).cast(pl.Float64, strict=False) * _MS_PER_UNIT[column.unit]
        value = scaled.round(0).cast(pl.Int64, strict=False)
    reasons.append(reject(value.is_null(), "not a time"))
    reasons.append(reject(value < 0, "negative time"))
    if isinstance(actual, pl.Datetime):
        stated = f"(its type is timestamp[{actual.time_unit}])"
        reasons.append(reject(value < EARLIEST_MS, f"time before 2000 {stated}"))
        reasons.append(reject(value >= LATEST_MS, f"time after 2100 {stated}"))
        return value, reasons
    for low, high, reason in time_faults(column.unit):
        reasons.append(reject(value.is_between(low, high, closed="left"), reason))
    return value, reasons


def count_filled(
    raw: pl.DataFrame, columns: Sequence[Column], unknown: Collection[str] = ()
) -> dict[str, int]:
    """Counts the empty cells that :func:`canonicalise` reads as a column's default.

    Text that stays empty is no such cell: nothing takes its place.

    Args:
      raw: The good rows of a parsed block.
      columns: As for :func:`canonicalise`, as is ``unknown``.
      unknown: Likewise.

    Returns:
      Number of cells by canonical name, of the columns that ``raw`` has and that could be filled.
    """
    cells = {
        column.name: _empty(pl.col(column.source), raw.schema[column.source]).sum()
        for column in columns
        if column.source in raw.columns and column.name not in unknown and column.fill != ""
        if column.role in (*LABEL_ROLES, "context")
    }
    return raw.select(**cells).row(0, named=True) if cells else {}


def _empty(cell: pl.Expr, actual: pl.DataType) -> pl.Expr:
    return cell.is_null() | (_text(cell, actual) == "")
