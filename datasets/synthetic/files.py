"""Tables written a piece at a time, byte for byte the same each time."""

from __future__ import annotations

import dataclasses
import gzip
import os
from types import TracebackType
from typing import IO, Protocol, cast

import polars as pl
import pyarrow.parquet as pq

from mtfx.datasets.synthetic.config import Format


@dataclasses.dataclass(frozen=True)
class WrittenFile:
    """A file that is finished.

    Attributes:
      name: File name.
      rows: Rows, without the header.
      size: Bytes.
    """

    name: str
    rows: int
    size: int


class _Sink(Protocol):
    def append(self, frame: pl.DataFrame) -> None: ...

    def close(self) -> None: ...


class TableFiles:
    """The files of a directory, each created when its first piece arrives.

    Use it as a context manager: leaving it closes every file.
    """

    def __init__(self, directory: str, file_format: Format):
        self._directory = directory
        self._format = file_format
        self._sinks: dict[str, _Sink] = {}
        self._rows: dict[str, int] = {}

    def __enter__(self) -> TableFiles:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for sink in self._sinks.values():
            sink.close()

    def append(self, stem: str, frame: pl.DataFrame) -> None:
        """Adds rows to the file ``stem`` (without extension)."""
        name = f"{stem}.{self._format}"
        if name not in self._sinks:
            path = os.path.join(self._directory, name)
            parquet = self._format == "parquet"
            self._sinks[name] = _ParquetSink(path, frame) if parquet else _CsvSink(path, frame)
            self._rows[name] = 0
        if frame.height:
            self._sinks[name].append(frame)
        self._rows[name] += frame.height

    def written(self) -> tuple[WrittenFile, ...]:
        """The files by name; call it after leaving the context."""
        return tuple(
            WrittenFile(name, rows, os.path.getsize(os.path.join(self._directory, name)))
            for name, rows in sorted(self._rows.items())
        )


class _CsvSink:
    def __init__(self, path: str, like: pl.DataFrame):
        self._file: IO[bytes] = open(path, "wb")  # noqa: SIM115
        self._out = self._file
        if path.endswith(".gz"):
            # Neither name nor time go into the header, so that the bytes repeat.
            zipped = gzip.GzipFile("", "wb", compresslevel=4, fileobj=self._file, mtime=0)
            self._out = cast("IO[bytes]", zipped)
        like.clear().write_csv(self._out)

    def append(self, frame: pl.DataFrame) -> None:
        frame.write_csv(self._out, include_header=False)

    def close(self) -> None:
        if self._out is not self._file:
            self._out.close()
        self._file.close()


class _ParquetSink:
    def __init__(self, path: str, like: pl.DataFrame):
        self._writer = pq.ParquetWriter(path, like.to_arrow().schema, compression="zstd")

    def append(self, frame: pl.DataFrame) -> None:
        self._writer.write_table(frame.to_arrow())

    def close(self) -> None:
        self._writer.close()
