"""Files that appear whole or not at all, and what they hold: text, JSON, tables.

Paths with a scheme, such as ``gs://``, go through the file systems of TensorFlow, which is imported
only then.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

#: What reading a file of JSON and taking values out of it may raise; see ``errors.why_unreadable``.
UNREADABLE = (OSError, ValueError, KeyError, TypeError)


def write_atomically(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Writes a file under a temporary name beside ``path``, then renames it to ``path``.

    Args:
      path: Its directory is made if missing.
      content: Text is written as UTF-8.
    """
    target = os.fspath(path)
    data = content.encode() if isinstance(content, str) else content
    if _is_remote(target):
        _write_remotely(target, data)
        return
    directory, name = os.path.split(target)
    os.makedirs(directory or ".", exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=directory or ".", prefix=f".{name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files private; these are for everybody who may see the directory.
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A name beside ``path`` for a file or directory, which is renamed to ``path`` at the end.

    What an interrupted writer left under that name is removed, and so is what is there when the
    block raises.

    Args:
      path: Local; its directory is made if missing. If it is a directory, it must be empty.

    Yields:
      The name; nothing is there yet.
    """
    target = Path(path)
    partial = target.with_name(f".{target.name}.partial")
    _remove(partial)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
        os.replace(partial, target)
    except BaseException:
        _remove(partial)
        raise


def read_json(path: str | os.PathLike[str]) -> Any:
    """The content of a file of JSON.

    Raises:
      OSError: if it cannot be read, FileNotFoundError if it is not there.
      ValueError: if it is no JSON.
    """
    source = os.fspath(path)
    if _is_remote(source):
        return json.loads(_read_remotely(source))
    with open(source, encoding="utf-8") as file:
        return json.load(file)


def write_json(path: str | os.PathLike[str], content: Any, indent: int | None = 1) -> None:
    """Writes JSON, whole or not at all.

    Args:
      path: Its directory is made if missing.
      content: Of JSON's types.
      indent: Spaces per level; None for one line.

    Raises:
      ValueError: if a number is not finite.
    """
    text = json.dumps(content, indent=indent, ensure_ascii=False, allow_nan=False)
    write_atomically(path, text + "\n")


def write_csv(
    path: str | os.PathLike[str], columns: Iterable[str], rows: Iterable[Iterable[Any]]
) -> None:
    """Writes a table with its header, whole or not at all; its directory is made if missing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write_atomically(path, text.getvalue())


def jsonable(value: Any) -> Any:
    """``value`` in JSON's types: numbers that are not finite become None, other objects text."""
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [jsonable(item) for item in value]
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if hasattr(value, "item"):
        return jsonable(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value)


def _is_remote(path: str) -> bool:
    return "://" in path


def _write_remotely(path: str, data: bytes) -> None:
    import tensorflow as tf

    tf.io.gfile.makedirs(path.rpartition("/")[0])
    with tf.io.gfile.GFile(path + ".partial", "wb") as file:
        file.write(data)
    tf.io.gfile.rename(path + ".partial", path, overwrite=True)


def _read_remotely(path: str) -> str:
    import tensorflow as tf

    try:
        with tf.io.gfile.GFile(path) as file:
            return file.read()
    except tf.errors.NotFoundError as error:
        raise FileNotFoundError(path) from error
    except tf.errors.OpError as error:
        raise OSError(str(error)) from error


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
