"""Deliveries: a data set's log cut into a folder for each day, as a service delivers it."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl

from mtfx.datasets.logs.readers import match_files
from mtfx.datasets.spec import DatasetSpec
from mtfx.datasets.synthetic.manifest import FILE_NAME
from mtfx.errors import DataError
from mtfx.files import atomic_path, read_json, write_json

_DAY_MS = 86_400_000
_PER_MS = {"s": 1000.0, "ms": 1.0, "us": 0.001}


def deliver_by_day(
    spec: DatasetSpec,
    data_dir: str | os.PathLike[str],
    output_dir: str | os.PathLike[str],
    on_day: Callable[[int], None] | None = None,
    dates: bool = False,
    day_column: str = "",
) -> tuple[int, ...]:
    """Writes ``day-1``, ``day-2``, ... with each day's rows of the logs, and every other file.

    Args:
      spec: The data set.
      data_dir: Its files.
      output_dir: Must not exist, or be empty.
      on_day: Called with each day's number once it is whole.
      dates: Number the days by their dates, ``day-20220425``, and not from 1.
      day_column: A column of the logs that holds each row's date, as 20220425 or 2022-04-25; empty
        takes the row's time in the data set's time zone.

    Returns:
      The numbers of the days.

    Raises:
      ValueError: if ``output_dir`` holds files, or ``data_dir`` no log.
      DataError: if a log lacks the column, or a row a readable day, naming file and row.
    """
    target = Path(output_dir)
    if target.exists() and any(target.iterdir()):
        raise ValueError(f"{target} is not empty; name another directory for the days")
    logs = match_files(str(data_dir), (*spec.log_files, *spec.random_log_files))
    if not logs:
        raise ValueError(f"{data_dir} has no log of data set {spec.name}")
    others = [path for path in Path(data_dir).iterdir() if str(path) not in logs]
    frames = {Path(path).name: _with_day(_scan(path), path, spec, day_column) for path in logs}
    found = sorted(
        {
            value
            for frame in frames.values()
            for value in frame.select("_day").unique().collect()["_day"].to_list()
        }
    )
    numbers = found if dates else range(1, len(found) + 1)
    for number, value in zip(numbers, found, strict=True):
        with atomic_path(target / f"day-{number}") as partial:
            partial.mkdir()
            for name, frame in frames.items():
                rows = frame.filter(pl.col("_day") == value).drop("_day").collect()
                if rows.height:
                    _write(rows, partial / name)
            for path in others:
                if path.name != FILE_NAME:
                    _link(path, partial / path.name)
            if (manifest := Path(data_dir, FILE_NAME)).exists():
                _write_manifest(manifest, partial)
        if on_day is not None:
            on_day(number)
    return tuple(numbers)


def _with_day(frame: pl.LazyFrame, path: str, spec: DatasetSpec, day_column: str) -> pl.LazyFrame:
    """The frame with ``_day``, int64 as YYYYMMDD.

    Raises:
      DataError: if there is no such column, or a row has no readable day.
    """
    [time] = (column for column in spec.columns if column.role == "timestamp")
    source = day_column or time.source
    if source not in frame.collect_schema().names():
        raise DataError(f"{path} has no column {source!r} to tell the days by")
    if day_column:
        text = pl.col(source).cast(pl.String).str.replace_all("-", "")
        date = text.str.to_date("%Y%m%d", strict=False)
    else:
        ms = pl.col(source).cast(pl.Float64, strict=False) * _PER_MS[time.unit]
        local = (ms + spec.utc_offset_hours * 3_600_000) // _DAY_MS
        date = local.cast(pl.Int32, strict=False).cast(pl.Date)
    frame = frame.with_columns(_day=date.dt.strftime("%Y%m%d").cast(pl.Int64))
    bad = frame.with_row_index("_row", 1).filter(pl.col("_day").is_null()).select("_row").collect()
    if bad.height:
        raise DataError(
            f"{path}: {bad.height} row(s) have no readable day in column {source!r}, the first is "
            f"row {bad['_row'][0]} of the data"
        )
    return frame


def _scan(path: str) -> pl.LazyFrame:
    if path.endswith(".parquet"):
        return pl.scan_parquet(path, glob=False)
    # As text: a value must not change on its way, nor a late row's type fail the whole file.
    return pl.scan_csv(path, glob=False, infer_schema=False)


def _write(rows: pl.DataFrame, path: Path) -> None:
    if path.suffix == ".parquet":
        rows.write_parquet(path)
    elif path.suffix == ".gz":
        with gzip.open(path, "wb") as file:
            file.write(rows.write_csv().encode())
    else:
        rows.write_csv(path)


def _write_manifest(source: Path, folder: Path) -> None:
    """The data set's manifest with the day's files in place of its own: users are still known."""
    content = read_json(source)
    content["files"] = [
        {
            "name": path.name,
            "rows": _scan(str(path)).select(pl.len()).collect().item(),
            "size": path.stat().st_size,
        }
        for path in sorted(folder.iterdir())
    ]
    write_json(folder / FILE_NAME, content, indent=2)


def _link(source: Path, target: Path) -> None:
    """The same file under another name, or a copy where the file system has no such links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
