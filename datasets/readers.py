"""Beam sources over CSV, gzipped CSV and Parquet that know the row of every value.

A file is read as blocks of whole lines (or Parquet row groups), so that the parsing of a large
file is spread over workers while only one of them reads it. Every column of a CSV arrives as
text; types are checked in ``datasets.validation``, where a bad value can be quarantined with its
file and row instead of failing the file.
"""

from __future__ import annotations

import csv
import dataclasses
import gzip
import io
import os
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import apache_beam as beam
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from datasets import arrow_types
from datasets.errors import DataError, fenced
from datasets.spec import Column

BLOCK_BYTES = 16 << 20
#: Column of the parsed frames that holds the row's number in its file (the header is row 1).
ROW = "_row"
_REJECTS_SCHEMA = {"file": pl.String, "row": pl.Int64, "reason": pl.String, "text": pl.String}


@dataclasses.dataclass(frozen=True)
class Block:
    """Part of a file.

    Attributes:
      path: The file.
      first_row: Row number of the block's first row.
      header: The file's column names.
      payload: Lines of CSV, or an Arrow IPC stream.
      is_csv: Which of the two.
    """

    path: str
    first_row: int
    header: tuple[str, ...]
    payload: bytes
    is_csv: bool


def rejects_frame(rows: list[tuple[str, int, str, str]]) -> pl.DataFrame:
    """Quarantined rows as a frame of ``file, row, reason, text``."""
    return pl.DataFrame(rows, schema=_REJECTS_SCHEMA, orient="row")


def to_ipc(frame: pl.DataFrame) -> bytes:
    """Serialises a frame for a shuffle."""
    buffer = io.BytesIO()
    frame.write_ipc(buffer, compression="lz4")
    return buffer.getvalue()


def from_ipc(payload: bytes) -> pl.DataFrame:
    """Reads what :func:`to_ipc` wrote."""
    return pl.read_ipc(io.BytesIO(payload))


def match_files(directory: str, patterns: tuple[str, ...]) -> list[str]:
    """Paths below ``directory`` that match a pattern, sorted, each once."""
    results = FileSystems.match([os.path.join(directory, pattern) for pattern in patterns])
    return sorted({metadata.path for result in results for metadata in result.metadata_list})


def file_bytes(paths: list[str]) -> int:
    """Total size of the files, as stored."""
    return sum(m.size_in_bytes for r in FileSystems.match(paths) for m in r.metadata_list)


def read_header(path: str) -> tuple[str, ...]:
    """The column names of a file.

    Raises:
      DataError: if the file is empty, not readable as its extension says, or not UTF-8.
    """
    if path.endswith(".parquet"):
        with _open_parquet(path) as file:
            return tuple(file.schema_arrow.names)
    with _open_text(path) as stream:
        try:
            line = stream.readline()
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise _broken_gzip(path, 1, error) from error
    if not line.strip():
        raise DataError(f"{path} is empty: not even a header. Remove the file or copy it again")
    try:
        names = next(csv.reader([line.decode("utf-8-sig").strip("\r\n")]))
    except UnicodeDecodeError as error:
        raise DataError(f"{path}, row 1: the header is not UTF-8 ({error.reason})") from error
    return tuple(name.strip() for name in names)


def check_columns(path: str, header: tuple[str, ...], required: tuple[str, ...]) -> None:
    """Raises DataError if a required column is missing, guessing at a wrong delimiter."""
    missing = [name for name in required if name not in header]
    if not missing:
        return
    hint = ""
    for delimiter, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if len(header) == 1 and delimiter in header[0]:
            hint = f" The file seems to be separated by {name}; MTFX reads commas."
    raise DataError(
        f"{path}: missing column{'s' if len(missing) > 1 else ''} {', '.join(map(repr, missing))}; "
        f"the file has {', '.join(map(repr, header[:40]))}.{hint}"
    )


def check_types(path: str, columns: tuple[Column, ...]) -> None:
    """Raises DataError if a type of a Parquet file is none that its column can be read from."""
    if path.endswith(".parquet"):
        with _open_parquet(path) as file:
            arrow_types.check_types(path, file.schema_arrow, columns)


def read_blocks(
    path: str, block_bytes: int = BLOCK_BYTES, wanted: tuple[str, ...] | None = None
) -> Iterator[Block]:
    """Yields the data rows of a file in blocks of about ``block_bytes``.

    Args:
      path: The file.
      block_bytes: Size of a block of text; Parquet comes by row groups.
      wanted: The columns to read of Parquet, whose types :func:`check_types` has let through; all
        if None. Text is cut into columns later.

    Raises:
      DataError: if the file is empty or a gzip file ends early; nothing of it is then used.
    """
    header = read_header(path)
    if path.endswith(".parquet"):
        yield from _parquet_blocks(path, header, wanted)
        return
    with _open_text(path) as stream:
        stream.readline()
        row, rest = 2, b""
        while True:
            try:
                chunk = stream.read(block_bytes)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise _broken_gzip(path, row, error) from error
            end = chunk.rfind(b"\n") + 1
            payload = rest + (chunk[:end] if chunk else b"")
            rest = chunk[end:] if end else rest + chunk
            if not chunk:
                payload, rest = rest, b""
            elif not end:
                continue
            if payload:
                yield Block(path, row, header, payload, is_csv=True)
                row += payload.count(b"\n")
            if not chunk:
                return


def parse_block(block: Block, wanted: tuple[str, ...]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Parses a block.

    Args:
      block: What to parse.
      wanted: The columns to keep; those that the file lacks are left out.

    Returns:
      A frame of the wanted columns (text for CSV, the file's types for Parquet) and ``_row``, and
      a frame of rejected rows ``file, row, reason, text``.
    """
    columns = tuple(name for name in wanted if name in block.header)
    if not block.is_csv:
        frame = from_ipc(block.payload).select(columns)
        rows = pl.int_range(block.first_row, block.first_row + frame.height, eager=True)
        text, bad = arrow_types.bytes_as_text(frame.with_columns(rows.alias(ROW)), ROW)
        return text, rejects_frame([(block.path, *reject) for reject in bad])
    try:
        block.payload.decode("utf-8")
    except UnicodeDecodeError:
        return _parse_lines(block, columns)
    invalid: list[tuple[str, int, str, str]] = []

    def on_invalid(row: pa.csv.InvalidRow) -> str:
        line = block.first_row + row.number - 1
        invalid.append((block.path, line, _wrong_width(row.actual_columns, block), row.text))
        return "skip"

    table = pa.csv.read_csv(
        pa.BufferReader(block.payload),
        read_options=pa.csv.ReadOptions(
            column_names=block.header, use_threads=False, block_size=len(block.payload) + 1
        ),
        parse_options=pa.csv.ParseOptions(invalid_row_handler=on_invalid, ignore_empty_lines=False),
        convert_options=pa.csv.ConvertOptions(
            column_types=dict.fromkeys(block.header, pa.string()),
            include_columns=columns,
            strings_can_be_null=False,
        ),
    )
    lines = block.payload.count(b"\n") + (not block.payload.endswith(b"\n"))
    if table.num_rows + len(invalid) != lines:  # a quoted field holds a line break
        return _parse_lines(block, columns)
    rows = pl.int_range(block.first_row, block.first_row + lines, eager=True).alias(ROW)
    if invalid:
        rows = rows.filter(~rows.is_in([line for _, line, _, _ in invalid]))
    frame = pl.DataFrame(pl.from_arrow(table)) if columns else pl.DataFrame()
    return frame.with_columns(rows), rejects_frame(invalid)


class ReadBlocks(beam.PTransform):
    """Beam source: a list of paths to a collection of :class:`Block`, spread over the workers."""

    def __init__(
        self,
        paths: list[str],
        block_bytes: int = BLOCK_BYTES,
        wanted: tuple[str, ...] | None = None,
    ):
        super().__init__()
        self._paths = paths
        self._block_bytes = block_bytes
        self._wanted = wanted

    def expand(self, pbegin: beam.pvalue.PBegin) -> beam.PCollection:
        """Reads every path and breaks fusion, so that blocks of one file parse in parallel."""
        block_bytes, wanted = self._block_bytes, self._wanted
        return (
            pbegin
            | "Paths" >> beam.Create(self._paths, reshuffle=True)
            | "Read"
            >> beam.FlatMap(lambda path: _raise_fenced(read_blocks(path, block_bytes, wanted)))
            | "Spread" >> beam.Reshuffle()
        )


def _raise_fenced(blocks: Iterator[Block]) -> Iterator[Block]:
    try:
        yield from blocks
    except DataError as error:
        raise fenced(error) from error


def _parse_lines(block: Block, columns: tuple[str, ...]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The slow, line by line way, for a block with undecodable or broken lines."""
    kept: list[tuple] = []
    invalid: list[tuple[str, int, str, str]] = []
    positions = [block.header.index(name) for name in columns]
    for offset, line in enumerate(block.payload.removesuffix(b"\n").split(b"\n")):
        row = block.first_row + offset
        try:
            text = line.decode("utf-8").rstrip("\r")
        except UnicodeDecodeError as error:
            shown = line.decode("utf-8", "backslashreplace")
            reason = f"not UTF-8 at byte {error.start}"
            invalid.append((block.path, row, reason, shown))
            continue
        fields = next(csv.reader([text]), [])
        if len(fields) != len(block.header):
            invalid.append((block.path, row, _wrong_width(len(fields), block), text))
        else:
            kept.append((*(fields[i] for i in positions), row))
    schema = {**dict.fromkeys(columns, pl.String), ROW: pl.Int64}
    return pl.DataFrame(kept, schema=schema, orient="row"), rejects_frame(invalid)


def _wrong_width(actual: int, block: Block) -> str:
    return f"{actual} fields where the header has {len(block.header)}"


def _open_text(path: str) -> BinaryIO | gzip.GzipFile:
    # Beam's own decompression takes a truncated gzip file for a whole one.
    raw = FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)
    return gzip.GzipFile(fileobj=raw) if path.endswith(".gz") else raw


def _broken_gzip(path: str, row: int, error: Exception) -> DataError:
    return DataError(
        f"{path} is a damaged or truncated gzip file (near row {row}: {error}). "
        "Copy it again; nothing of it was used"
    )


def _open_parquet(path: str) -> pa.parquet.ParquetFile:
    try:
        return pa.parquet.ParquetFile(FileSystems.open(path))
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path} is not a readable Parquet file: {error}") from error


def _parquet_blocks(
    path: str, header: tuple[str, ...], wanted: tuple[str, ...] | None
) -> Iterator[Block]:
    columns = header if wanted is None else tuple(name for name in header if name in wanted)
    with _open_parquet(path) as file:
        row = 2
        for index in range(file.num_row_groups):
            try:
                table = file.read_row_group(index, columns=list(columns)).select(list(columns))
            except (pa.ArrowInvalid, OSError) as error:
                raise DataError(f"{path}, row group {index}: {error}. Copy it again") from error
            frame = arrow_types.frame_of(table)
            yield Block(path, row, columns, to_ipc(frame), is_csv=False)
            row += frame.height
