"""Requests and feedback that wait for the join of the next log, kept beside what is joined."""

from __future__ import annotations

import hashlib
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.ipc

from mtfx.components.feedback_join.joining import Waiting
from mtfx.errors import DataError

#: Below a join's directory. No reader of joined requests takes Arrow files for Parquet's.
WAITING = "waiting"


def write_waiting(waiting: Waiting, directory: str | Path, part: int) -> None:
    """Writes one part; empty tables are left out."""
    for name, rows in waiting._asdict().items():
        if rows.height:
            path = Path(directory, WAITING, f"{name}-{part:05d}.arrow")
            rows.write_ipc(path, compat_level=pl.CompatLevel.oldest())


def waiting_files(directory: str | Path) -> list[tuple[str, str]]:
    """Names of :class:`Waiting`'s tables and paths of their files, in order."""
    paths = sorted(Path(directory, WAITING).glob("*.arrow"))
    return [(path.name.rsplit("-", 1)[0], str(path)) for path in paths]


def read_waiting(path: str) -> pa.Table:
    """The rows of one file.

    Raises:
      DataError: if it is damaged.
    """
    try:
        with pa.OSFile(path) as file:
            return pa.ipc.open_file(file).read_all()
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(
            f"{path} is damaged ({error}): join that directory's log again, then this one"
        ) from error


def digest(directory: str | Path) -> str:
    """Of all that waits; the same for the same rows."""
    found = hashlib.sha256()
    for name, path in waiting_files(directory):
        found.update(f"{name} {Path(path).name}\n".encode())
        found.update(Path(path).read_bytes())
    return found.hexdigest()[:16]
