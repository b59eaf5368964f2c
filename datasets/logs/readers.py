"""Beam sources over CSV, gzipped CSV and Parquet that know the row of every value.

A file is read as blocks of whole records (or Parquet row groups), so that the parsing of a large
file is spread over workers while only one of them reads it. Every column of a CSV arrives as
text; types are checked in ``mtfx.datasets.logs.validation``, where a bad value can be quarantined
with its file and row instead of failing the file. A row's number is its first line's in the file.
"""

from __future__ import annotations

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
import pyarrow.parquet
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from mtfx.datasets.file_names import literal
from mtfx.datasets.logs import arrow_types, csv_parsing, csv_records
from mtfx.datasets.spec import Column
from mtfx.errors import DataError, fenced

BLOCK_BYTES = 16 << 20
#: A record of more bytes is none: a quote was left open, or the file has no lines.
RECORD_BYTES = 16 << 20
#: Column of the parsed frames that holds the row's number in its file (the header is row 1).
ROW = "_row"
_REJECTS_SCHEMA = {"file": pl.String, "row": pl.Int64, "reason": pl.String, "text": pl.String}


@dataclasses.dataclass(frozen=True)
class FilePart:
    """Part of a file.

    Attributes:
      path: The file.
      first_row: Row number of the block's first row.
      header: The file's column names.
      payload: Records of CSV, or an Arrow IPC stream.
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


def readable(rejects: pl.DataFrame) -> pl.DataFrame:
    """Quarantined rows whose text is short enough, and fit, for a CSV file that people open."""
    text = pl.col("text").str.replace_all("\0", "\\x00", literal=True)
    most = csv_parsing.SHOWN_CHARACTERS
    short = pl.format("{}… ({} characters)", text.str.slice(0, most), text.str.len_chars())
    # What is cut already says so in the few characters that it has more.
    return rejects.with_columns(
        text=pl.when(text.str.len_chars() > most + 40).then(short).otherwise(text)
    )


def to_ipc(frame: pl.DataFrame) -> bytes:
    """Serialises a frame for a shuffle."""
    buffer = io.BytesIO()
    frame.write_ipc(buffer, compression="lz4")
    return buffer.getvalue()


def from_ipc(payload: bytes) -> pl.DataFrame:
    """Reads what :func:`to_ipc` wrote."""
    return pl.read_ipc(io.BytesIO(payload))


def match_files(directory: str, patterns: tuple[str, ...]) -> list[str]:
    """Paths below ``directory``, a name, that match a pattern, sorted, each once."""
    base = literal(directory)
    results = FileSystems.match([os.path.join(base, pattern) for pattern in patterns])
    return sorted({metadata.path for result in results for metadata in result.metadata_list})


def file_bytes(paths: list[str]) -> int:
    """Total size of the files, as stored."""
    results = FileSystems.match([literal(path) for path in paths])
    return sum(metadata.size_in_bytes for result in results for metadata in result.metadata_list)


def read_header(path: str) -> tuple[str, ...]:
    """The column names of a file.

    Raises:
      DataError: if the file is empty, not readable as its extension says, or not UTF-8.
    """
    if path.endswith(".parquet"):
        with _open_parquet(path) as file:
            return tuple(file.schema_arrow.names)
    with _open_text(path) as stream:
        return csv_parsing.header_of(path, _read(path, stream, csv_parsing.HEADER_BYTES, 1))[0]


def check_columns(path: str, header: tuple[str, ...], required: tuple[str, ...]) -> None:
    """Raises DataError if a required column is missing or there twice.

    A wrong delimiter is guessed at.
    """
    if twice := [name for name in required if header.count(name) > 1]:
        raise DataError(
            f"{path}: {header.count(twice[0])} columns are named {twice[0]!r}; rename all but one"
        )
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
    path: str,
    block_bytes: int = BLOCK_BYTES,
    wanted: tuple[str, ...] | None = None,
    record_bytes: int = RECORD_BYTES,
) -> Iterator[FilePart]:
    """Yields the data rows of a file in blocks of about ``block_bytes``.

    Args:
      path: The file.
      block_bytes: Size of a block of text; Parquet comes by row groups.
      wanted: The columns to read of Parquet, whose types :func:`check_types` has let through; all
        if None. Text is cut into columns later.
      record_bytes: What a row of text may have, so that an open quote cannot fill the memory.

    Raises:
      DataError: if the file is empty, a gzip file ends early, or a record does not end; nothing of
        it is then used.
    """
    if path.endswith(".parquet"):
        yield from _parquet_blocks(path, read_header(path), wanted)
        return
    with _open_text(path) as stream:
        ahead = _read(path, stream, csv_parsing.HEADER_BYTES, 1)
        header, size, lines = csv_parsing.header_of(path, ahead)
        ahead, rest, row = ahead[size:], b"", 1 + lines
        while True:
            chunk, ahead = ahead[:block_bytes], ahead[block_bytes:]
            chunk = chunk or _read(path, stream, block_bytes, row)
            data = rest + chunk
            ends = csv_records.find_records(data, final=not chunk).ends
            used = int(ends[-1]) if len(ends) else 0
            if used:
                yield FilePart(path, row, header, data[:used], is_csv=True)
                row += data.count(b"\n", 0, used)
            if not chunk:
                return
            rest = data[used:]
            if len(rest) > record_bytes:
                raise DataError(
                    f"{path}, row {row}: the row does not end within {record_bytes:,} bytes. Close "
                    "its quote, or mend its line breaks; nothing of the file was used"
                )


def parse_block(block: FilePart, wanted: tuple[str, ...]) -> tuple[pl.DataFrame, pl.DataFrame]:
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
    frame, rejects = csv_parsing.parse_records(
        block.payload, block.path, block.first_row, block.header, columns, ROW
    )
    return frame, rejects_frame(rejects)


class ReadBlocks(beam.PTransform):
    """Beam source: paths to a collection of :class:`FilePart`, spread over the workers."""

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


def _raise_fenced(blocks: Iterator[FilePart]) -> Iterator[FilePart]:
    try:
        yield from blocks
    except DataError as error:
        raise fenced(error) from error


def _open_text(path: str) -> BinaryIO | gzip.GzipFile:
    # Beam's own decompression takes a truncated gzip file for a whole one.
    try:
        raw = FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    return gzip.GzipFile(fileobj=raw) if path.endswith(".gz") else raw


def _read(path: str, stream: BinaryIO | gzip.GzipFile, size: int, row: int) -> bytes:
    try:
        return stream.read(size)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"{path} is a damaged or truncated gzip file (near row {row}: {error}). "
            "Copy it again; nothing of it was used"
        ) from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


def _open_parquet(path: str) -> pa.parquet.ParquetFile:
    try:
        return pa.parquet.ParquetFile(FileSystems.open(path))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is not a readable Parquet file: {error}") from error


def _parquet_blocks(
    path: str, header: tuple[str, ...], wanted: tuple[str, ...] | None
) -> Iterator[FilePart]:
    columns = header if wanted is None else tuple(name for name in header if name in wanted)
    with _open_parquet(path) as file:
        row = 2
        for index in range(file.num_row_groups):
            try:
                table = file.read_row_group(index, columns=list(columns)).select(list(columns))
                frame = _frame_of(table)
            except (pa.ArrowException, pl.exceptions.PolarsError, OSError) as error:
                raise DataError(f"{path}, row group {index}: {error}. Copy it again") from error
            yield FilePart(path, row, columns, to_ipc(frame), is_csv=False)
            row += frame.height


def _frame_of(table: pa.Table) -> pl.DataFrame:
    try:
        # Parquet takes a writer's word that text is UTF-8.
        table.validate(full=True)
    except pa.ArrowInvalid:
        fields = [
            field.with_type(pa.large_binary())
            if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
            else field
            for field in table.schema
        ]
        table = table.cast(pa.schema(fields))
    return arrow_types.frame_of(table)
