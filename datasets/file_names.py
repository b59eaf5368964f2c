"""Names of files and directories where a library takes patterns.

Beam, TensorFlow and TFX take ``[``, ``*`` and ``?`` in a path for a pattern, also where a path is
meant, and then find nothing in a directory called ``logs [nov]``.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
from pathlib import Path

from mtfx.errors import DataError

_ESCAPED = re.compile(r"\[([*?[])\]")
#: TensorFlow's patterns have the backslash besides.
_SPECIAL = re.compile(r"[*?[\\]")


def literal(path: str) -> str:
    """A pattern that matches this one path, for Beam, TensorFlow and Python alike."""
    return glob.escape(path)


def name_of(pattern: str) -> str:
    """The path that :func:`literal` made a pattern of."""
    return _ESCAPED.sub(r"\1", pattern)


def pattern_free(directory: str | os.PathLike[str]) -> str:
    """A path of the same directory that no library takes for a pattern.

    Libraries make patterns of an output directory where nobody can escape its name: Beam's file
    sinks, TFMA's writers, TensorFlow's checkpoints, and those in Beam's worker processes. Such a
    directory is reached through a symbolic link, ``.mtfx-`` and a digest of its path, beside the
    first part of the path that looks like a pattern; it is the same at every call.

    Args:
      directory: On this machine, its part that looks like a pattern made if missing; or an address
        (``gs://``), which is returned as it is.

    Raises:
      DataError: if the link cannot be made.
    """
    path = os.fspath(directory)
    if "://" in path or not _SPECIAL.search(os.path.abspath(path)):
        return path
    parts = Path(os.path.abspath(path)).parts
    special = [place for place, part in enumerate(parts) if _SPECIAL.search(part)]
    above, target = Path(*parts[: special[0]]), Path(*parts[: special[-1] + 1])
    link = above / f".mtfx-{hashlib.sha256(str(target).encode()).hexdigest()[:12]}"
    try:
        target.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(target, target_is_directory=True)
    except FileExistsError:  # another process has made it in between, or it is no link
        pass
    except OSError as error:
        raise DataError(
            f"{target} has one of * ? [ \\ in its name, which TensorFlow and Beam take for a "
            f"pattern, and a link around it cannot be made in {above} ({error.strerror}): give a "
            "directory with another name"
        ) from error
    if os.path.realpath(link) != os.path.realpath(target):
        raise DataError(f"{link} is in the way of a link to {target}: remove it")
    return str(link.joinpath(*parts[special[-1] + 1 :]))
