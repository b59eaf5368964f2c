"""Checks of a log's values, a column at a time: good rows on one side, rejects on the other."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from datasets.readers import ROW, rejects_frame
from datasets.spec import Column, Dtype
from serving.plausible_time import time_faults

POLARS_TYPES: dict[Dtype, type[pl.DataType]] = {
    "int64": pl.Int64,
    "string": pl.String,
    "float32": pl.Float32,
}
_MS_PER_UNIT = {"s": 1000.0, "ms": 1.0, "us": 0.001}


def canonicalise(
    raw: pl.DataFrame, columns: Sequence[Column], path: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Renames, types and checks the rows of a parsed block.

    Args:
      raw: The block's rows under the file's column names, with ``_row``.
      columns: The columns to produce. One that ``raw`` lacks is filled with its default.
      path: The file, for the rejects.

    Returns:
      The good rows with the canonical columns, and the bad ones as ``file, row, reason, text``
      with the first reason found.
    """
    values, checks = [], []
    for column in columns:
        if column.source not in raw.columns:
            fill = pl.lit(column.fill, dtype=POLARS_TYPES[column.dtype])
            values.append(fill.alias(column.name))
            continue
        value, reasons = _check(column, raw.schema[column.source])
        values.append(value.alias(column.name))
        checks.extend(reasons)
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
            [pl.col(s).cast(pl.String).fill_null("") for s in sources], separator=","
        ),
    )
    return good.select(values), rejects


def _check(column: Column, actual: pl.DataType) -> tuple[pl.Expr, list[pl.Expr]]:
    """The canonical value of a column, and expressions that are null or a reason to reject."""
    cell = pl.col(column.source)
    text = cell.cast(pl.String)
    empty = cell.is_null() | (text == "")
    key = column.role in ("user", "item", "timestamp", "session")

    def reject(where: pl.Expr, what: str) -> pl.Expr:
        return pl.when(where).then(pl.lit(f"{column.source}: {what}"))

    reasons = []
    if key or column.role in ("label", "event", "watch_time"):
        reasons.append(reject(empty, "missing"))
    if column.role == "label":
        value = cell.cast(pl.Float64, strict=False)
        reasons.append(reject(value.is_null() | ~value.is_in([0.0, 1.0]), "label is not 0 or 1"))
        return value.cast(pl.Int64, strict=False), reasons
    if column.role == "timestamp":
        return _check_time(column, cell, reasons, reject)
    if column.dtype == "string":
        if column.allowed:
            known = ", ".join(column.allowed)
            reasons.append(
                reject(~empty & ~text.is_in(list(column.allowed)), f"not one of {known}")
            )
        return text.fill_null("").replace("", str(column.fill)), reasons
    if column.dtype == "int64":
        value = cell.cast(pl.Int64, strict=False)
        reasons.append(reject(~empty & value.is_null(), "not an integer"))
    else:
        value = cell.cast(pl.Float64, strict=False)
        reasons.append(reject(~empty & value.is_null(), "not a number"))
        reasons.append(reject(~value.is_finite(), "not finite"))
    if column.role == "watch_time":
        reasons.append(reject(value < 0, "negative"))
    return value.fill_null(column.fill).cast(POLARS_TYPES[column.dtype], strict=False), reasons


def _check_time(column, cell, reasons, reject) -> tuple[pl.Expr, list[pl.Expr]]:
    value = cell.cast(pl.Int64, strict=False)
    if column.unit != "ms":
        scaled = cell.cast(pl.Float64, strict=False) * _MS_PER_UNIT[column.unit]
        value = scaled.round(0).cast(pl.Int64, strict=False)
    reasons.append(reject(value.is_null(), "not a time"))
    reasons.append(reject(value < 0, "negative time"))
    for low, high, reason in time_faults(column.unit):
        reasons.append(reject(value.is_between(low, high, closed="left"), reason))
    return value, reasons
