"""The files of a service's two logs: which there are, their rows, and the span of their times."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from mtfx.datasets.logs import arrow_types
from mtfx.errors import DataError
from mtfx.serving.interaction_log import FEEDBACK, FEEDBACK_SCHEMA, REQUEST_SCHEMA, REQUESTS
from mtfx.serving.plausible_time import main_span

#: What a policy does not learn from; it stays in the log.
_NOT_JOINED = ("request", "scores")
_JOINED = pa.schema([field for field in REQUEST_SCHEMA if field.name not in _NOT_JOINED])
SCHEMAS = {REQUESTS: _JOINED, FEEDBACK: FEEDBACK_SCHEMA}
_BATCH_ROWS = 10_000


def log_files(log_dir: str) -> dict[str, list[str]]:
    """Paths of the Parquet files of each log.

    Raises:
      DataError: if there are no requests, or there is no directory of feedback.
    """
    return {name: _files(Path(log_dir, name), name) for name in SCHEMAS}


def log_span(files: dict[str, list[str]], most_stray: float) -> tuple[int, int]:
    """Times of the first and the last row of both logs, in ms; zeros if they have none.

    Rows of wrong clocks do not count: a single one would move the log's end, on which depends which
    requests still wait for their feedback.

    Args:
      files: Of :func:`log_files`.
      most_stray: Share of the rows that may be years off.

    Raises:
      DataError: if a file cannot be read.
    """
    parts = [
        table["timestamp_ms"].drop_null().to_numpy()
        for name, paths in files.items()
        for path in paths
        for table in read_rows(path, name, ("timestamp_ms",))
    ]
    span = main_span(np.concatenate([np.zeros(0, np.int64), *parts]), most_stray=most_stray)
    return (0, 0) if span is None else span


def read_rows(path: str, name: str, columns: tuple[str, ...] = ()) -> Iterator[pa.Table]:
    """A file's rows, some at a time.

    Args:
      path: The file.
      name: Of the log.
      columns: Those wanted; none for all of the log's schema.

    Raises:
      DataError: naming the file, if it is damaged or lacks a column.
    """
    schema = SCHEMAS[name]
    wanted = pa.schema([schema.field(column) for column in columns or schema.names])
    try:
        file = pyarrow.parquet.ParquetFile(path)
        if missing := set(schema.names) - set(file.schema_arrow.names):
            raise DataError(f"{path} lacks the columns {', '.join(sorted(missing))}")
        for batch in file.iter_batches(_BATCH_ROWS, columns=wanted.names):
            rows = _readable(pa.Table.from_batches([batch]))
            yield _in_ms(rows).select(wanted.names).cast(wanted)
    except (
        pa.ArrowInvalid,
        pa.ArrowTypeError,
        pa.ArrowNotImplementedError,
        OSError,
    ) as error:
        raise DataError(f"{path} is damaged or no Parquet file of {name}: {error}") from error


def _readable(table: pa.Table) -> pa.Table:
    """With what is no UTF-8 in columns of text escaped, as Arrow takes its writer's word for it."""
    try:
        table.validate(full=True)
    except pa.ArrowInvalid:
        for place, field in enumerate(table.schema):
            if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
                values = table.column(place).cast(pa.large_binary()).to_pylist()
                texts = [v if v is None else v.decode(errors="backslashreplace") for v in values]
                table = table.set_column(place, field.name, pa.array(texts, pa.string()))
    return table


def _in_ms(table: pa.Table) -> pa.Table:
    """With times of a timestamp type as what the log's own are."""
    place = table.schema.get_field_index("timestamp_ms")
    times = table.column(place)
    if arrow_types.meaning(times.type) in ("date", "duration"):
        raise pa.ArrowTypeError(f"column timestamp_ms is of type {times.type}: write a timestamp")
    return table.set_column(place, "timestamp_ms", arrow_types.arrow_in_ms(times))


def _files(directory: Path, name: str) -> list[str]:
    paths = sorted(str(path) for path in directory.glob("*.parquet"))
    if not paths and name == REQUESTS:
        raise DataError(f"{directory} holds no Parquet file of served requests")
    if not directory.is_dir():
        # An empty log says that nobody did anything; none at all says that the path is wrong.
        raise DataError(f"there is no directory {directory}: where was the feedback written?")
    return paths
