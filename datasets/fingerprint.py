"""Fingerprints of files as inputs, of their content: neither size nor time can hide a change."""

from __future__ import annotations

import concurrent.futures
import hashlib
import os
from collections.abc import Iterable

from apache_beam.io.filesystems import FileSystems

from mtfx.datasets.file_names import literal
from mtfx.errors import DataError

_THREADS = 4
_HEX_DIGITS = 32


def fingerprint(paths: Iterable[str], base: str) -> str:
    """First 32 hexadecimal digits of the SHA-256 over the files' names and contents.

    A local file is read whole, whatever its time says: copies keep times, and two edits may fall
    into one second. Of a file in an object store the store's own checksum is taken, with size and
    time, so that a large log is not fetched twice.

    Args:
      paths: Files, in any order; one that is named twice counts once.
      base: Directory that their names are relative to: a log that was moved is the same log.

    Raises:
      DataError: if a file cannot be read.
    """
    ordered = sorted(set(paths))
    digest = hashlib.sha256()
    # Hashing releases Python's lock.
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        for path, content in zip(ordered, pool.map(_content, ordered), strict=True):
            name = path if "://" in path else os.path.relpath(path, base)
            digest.update(f"{name}\0{content}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()[:_HEX_DIGITS]


def directory_fingerprint(directory: str) -> str:
    """The fingerprint of all files below a local directory; empty for a remote one.

    Raises:
      DataError: if a file cannot be read.
    """
    if "://" in directory:
        return ""
    files = (
        os.path.join(folder, name) for folder, _, names in os.walk(directory) for name in names
    )
    return fingerprint(files, directory)


def _content(path: str) -> str:
    try:
        if "://" in path:
            [found] = FileSystems.match([literal(path)])[0].metadata_list
            size, changed = found.size_in_bytes, found.last_updated_in_seconds
            return f"{FileSystems.checksum(path)} {size} {changed}"
        with open(path, "rb") as file:
            digest = hashlib.sha256()
            while chunk := file.read(1 << 20):
                digest.update(chunk)
        return digest.hexdigest()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise DataError(f"{path} cannot be read: {why}") from error
