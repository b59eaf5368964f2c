"""Files of transitions or of served requests, read a block of records at a time.

Two forms hold the same columns: TFRecords of ``tf.Example`` (gzipped or not) and Parquet, where a
column of several values is a list. A bad record is reported with its number and never stops the
file; a file that is damaged as a whole does.
"""

from __future__ import annotations

import dataclasses
import gzip
import io
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet
import tensorflow as tf
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from google.protobuf.message import DecodeError

from mtfx.datasets.logs import arrow_types
from mtfx.datasets.transitions import codec
from mtfx.datasets.transitions.checks import RecordFault, value_faults
from mtfx.datasets.transitions.codec import TransitionBatch
from mtfx.datasets.transitions.spec import TransitionSpec
from mtfx.errors import DataError

#: Columns of a transition that a served request does not have: joining it to the next makes them.
JOINED_COLUMNS = ("next_state", "reward", "discount")
_BLOCK_RECORDS = 2048
_BUFFER_BYTES = 1 << 20
_KINDS = {"float_list": codec.FLOAT_COLUMNS, "int64_list": codec.INT_COLUMNS}


@dataclasses.dataclass(frozen=True)
class RecordBlock:
    """Some consecutive records of a file.

    Attributes:
      batch: The good ones; columns that the records do not have are zeros.
      records: int64 `[N]`, the number in the file of each of the batch's rows, from 1.
      faults: The bad ones.
    """

    batch: TransitionBatch
    records: np.ndarray
    faults: list[RecordFault]


def read_blocks(path: str, spec: TransitionSpec, requests: bool = False) -> Iterator[RecordBlock]:
    """Reads a file.

    Args:
      path: The file; ``.parquet`` or a TFRecord file.
      spec: What its records should be.
      requests: Whether the records are served requests, without ``JOINED_COLUMNS``.

    Raises:
      DataError: naming the file, if it cannot be read to its end or lacks a column.
    """
    names = [name for name in codec.row_sizes(spec) if not (requests and name in JOINED_COLUMNS)]
    reader = _parquet_columns if path.endswith(".parquet") else _tfrecord_columns
    first = 1
    for columns, lengths, rows, faults, number in reader(path, spec, names):
        reasons = value_faults(columns, lengths, spec)
        good = reasons == ""
        numbers = first + rows
        reported = [(int(first + row), reason) for row, reason in faults]
        reported += [
            (int(record), str(reason))
            for record, reason in zip(numbers[~good], reasons[~good], strict=True)
        ]
        batch = _batch(columns, lengths, good, spec)
        yield RecordBlock(
            batch, numbers[good], [RecordFault(path, *fault) for fault in sorted(reported)]
        )
        first += number


def _batch(
    columns: dict[str, np.ndarray], lengths: np.ndarray, good: np.ndarray, spec: TransitionSpec
) -> TransitionBatch:
    size = int(good.sum())
    picked = {name: values[good] for name, values in columns.items() if name != "predictions"}
    flat = columns["predictions"][np.repeat(good, lengths)]
    picked["predictions"] = flat.reshape(-1, spec.num_predictions)
    picked["action"] = np.clip(picked["action"], -1, 1)
    if "reward" not in picked:
        picked["reward"] = picked["discount"] = np.zeros(size, np.float32)
        picked["next_state"] = np.zeros((size, spec.state_dim), np.float32)
    # 0 * NaN is NaN: what follows a session's end must not reach a target.
    picked["next_state"] = np.where(picked["discount"][:, None] > 0, picked["next_state"], 0)
    return TransitionBatch(**picked)


#: Columns, prediction values per row, each row's place, faults by place, records in all.
_Columns = tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, list[tuple[int, str]], int]


def _tfrecord_columns(path: str, spec: TransitionSpec, names: list[str]) -> Iterator[_Columns]:
    features = codec.feature_spec(spec)
    features = {name: features[name] for name in (*names, "predictions")}
    for records in _record_blocks(path):
        rows, faults = np.arange(len(records)), []
        try:
            parsed = tf.io.parse_example(records, features)
        except (tf.errors.InvalidArgumentError, tf.errors.DataLossError, UnicodeDecodeError):
            # (TensorFlow's message quotes the record, whose bytes need not be text.)
            # Rare and slow: look at every record of the block for what is wrong.
            reasons = [_fault_of(record, spec, names) for record in records]
            faults = [(row, reason) for row, reason in enumerate(reasons) if reason]
            rows = np.asarray([row for row, reason in enumerate(reasons) if not reason], np.int64)
            kept = tf.constant([records[row] for row in rows], tf.string)
            parsed = tf.io.parse_example(kept, features)
        columns = {name: parsed[name].numpy() for name in names}
        for name in set(names) & set(codec.BYTES_COLUMNS):
            columns[name] = np.char.decode(columns[name].astype(bytes), errors="replace")
        columns["predictions"] = parsed["predictions"].flat_values.numpy()
        yield columns, parsed["predictions"].row_lengths().numpy(), rows, faults, len(records)


def _fault_of(record: bytes, spec: TransitionSpec, names: list[str]) -> str:
    """What keeps a record from being parsed; empty if nothing does."""
    try:
        found = tf.train.Example.FromString(record).features.feature
    except DecodeError:
        return "is no tf.Example"
    sizes = codec.row_sizes(spec)
    for name in (*names, "predictions"):
        if name not in found or (held := found[name].WhichOneof("kind")) is None:
            return f"{name} is missing"
        kind = next((kind for kind, of in _KINDS.items() if name in of), "bytes_list")
        if held != kind:
            return f"{name} is a {held} instead of a {kind}"
        number = len(getattr(found[name], kind).value)
        if name != "predictions" and number != sizes[name]:
            return f"{name} has {number} values instead of {sizes[name]}"
    return ""


def _record_blocks(path: str) -> Iterator[list[bytes]]:
    """Framed records; TensorFlow's own reader takes a gzip cut in its head for an empty file."""
    block: list[bytes] = []
    number = 0
    try:
        with _open(path) as raw:
            magic = raw.read(2)
            if not magic:
                raise EOFError("it is empty, where even a file of no records has a gzip header")
            raw.seek(0)
            packed = magic == b"\x1f\x8b"
            stream = io.BufferedReader(gzip.GzipFile(fileobj=raw), _BUFFER_BYTES) if packed else raw
            while header := stream.read(12):
                length = struct.unpack("<Q", header[:8])[0] if len(header) == 12 else -1
                record = stream.read(length) if 0 <= length < 1 << 31 else b""
                if length != len(record) or len(stream.read(4)) != 4:
                    raise EOFError("a record is cut short")
                block.append(record)
                number += 1
                if len(block) == _BLOCK_RECORDS:
                    yield block
                    block = []
    except (EOFError, gzip.BadGzipFile, zlib.error, struct.error) as error:
        raise DataError(
            f"{path} is damaged or truncated after record {number} ({error}): write or copy it "
            "again"
        ) from error
    if block:
        yield block


def _open(path: str) -> BinaryIO:
    return FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)


def _parquet_columns(path: str, spec: TransitionSpec, names: list[str]) -> Iterator[_Columns]:
    sizes = codec.row_sizes(spec)
    try:
        with _open(path) as raw:
            file = pyarrow.parquet.ParquetFile(raw)
            wanted = [*names, "predictions"]
            if missing := [name for name in wanted if name not in file.schema_arrow.names]:
                raise DataError(f"{path} lacks the columns {', '.join(missing)}")
            for block in file.iter_batches(_BLOCK_RECORDS, columns=wanted):
                yield _from_arrow(block, sizes, names, path)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path} is damaged or no Parquet file: {error}") from error


def _from_arrow(
    block: pa.RecordBatch, sizes: dict[str, int], names: list[str], path: str
) -> _Columns:
    reasons = np.zeros(block.num_rows, dtype="U80")
    lengths = {name: _lengths(block.column(name)) for name in (*names, "predictions")}
    for name in names:
        bad = (lengths[name] != sizes[name]) & (reasons == "")
        for row in np.flatnonzero(bad):
            reasons[row] = f"{name} has {lengths[name][row]} values instead of {sizes[name]}"
    for name in set(names) & set(codec.BYTES_COLUMNS):
        reasons[_not_utf8(block.column(name)) & (reasons == "")] = f"{name} is not UTF-8"
    rows = np.flatnonzero(reasons == "")
    kept = block.take(pa.array(rows))
    columns = {}
    for name in (*names, "predictions"):
        column = kept.column(name)
        values = column.flatten() if _is_list(column) else column
        try:
            values = _timed(name, values).cast(
                pa.float32()
                if name in codec.FLOAT_COLUMNS
                else pa.int64()
                if name in codec.INT_COLUMNS
                else pa.string()
            )
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            raise DataError(
                f"{path}: column {name} is of type {column.type}, which cannot be read ({error})"
            ) from error
        array = values.to_numpy(zero_copy_only=False)
        if name in codec.BYTES_COLUMNS:
            array = array.astype(str)
        wide = name in ("state", "next_state", "action", "feedback")
        columns[name] = array.reshape(-1, sizes[name]) if wide else array
    faults = [(int(row), str(reasons[row])) for row in np.flatnonzero(reasons != "")]
    return columns, lengths["predictions"][rows], rows, faults, block.num_rows


def _timed(name: str, values: pa.Array) -> pa.Array:
    """Times in ms and durations in s, as their columns have them, whatever unit they come in.

    Raises:
      ArrowTypeError: if a time or duration is where neither is meant.
    """
    what = arrow_types.meaning(values.type)
    if (name, what) == ("timestamp_ms", "time"):
        return arrow_types.arrow_in_ms(values)
    if what == "duration" and name in ("watch_s", "duration_s"):
        ms = arrow_types.arrow_in_ms(values).cast(pa.float64())
        return pa.compute.divide(ms, 1000.0)
    if what in ("time", "date", "duration"):
        raise pa.ArrowTypeError(f"a {what} is no {name}: write a number")
    return values


def _is_list(column: pa.Array) -> bool:
    kinds = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(kind(column.type) for kind in kinds)


def _lengths(column: pa.Array) -> np.ndarray:
    """Values of each row: those of its list, or one; none where it is null."""
    if _is_list(column):
        lengths = pa.compute.list_value_length(column)
        return lengths.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    return column.is_valid().to_numpy(zero_copy_only=False).astype(np.int64)


def _not_utf8(column: pa.Array) -> np.ndarray:
    """Values of a column of text that are none: Arrow takes their writer's word for it."""
    values = column.flatten() if _is_list(column) else column
    try:
        values.cast(pa.string()).validate(full=True)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return np.asarray([_undecodable(column[row]) for row in range(len(column))], bool)
    return np.zeros(len(column), bool)


def _undecodable(value: pa.Scalar) -> bool:
    try:
        value.as_py()
    except UnicodeDecodeError:
        return True
    return False
