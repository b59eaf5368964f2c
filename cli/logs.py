"""Log files: the terminal is kept for the user, and everything else goes to a file.

TensorFlow, Beam, TFX and Gym write to standard output and error from Python, from C++ and from
child processes, through loggers, warnings and plain prints. Redirecting the two file descriptors
catches all of it, and nothing is lost: it is in the log.
"""

from __future__ import annotations

import contextlib
import datetime
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from absl import logging as absl_logging

from mtfx.errors import UserError

_FORMAT = "%(asctime)s %(levelname).1s %(name)s: %(message)s"


@contextlib.contextmanager
def output_to_log(path: Path) -> Iterator[TextIO]:
    """Sends standard output and error to a log file while the context lasts.

    Args:
      path: The log file; its directory is made, and earlier content is kept.

    Yields:
      A stream to where standard output went before, for what the user shall see.

    Raises:
      OSError: if the log file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(path.open("a", encoding="utf-8", errors="replace", buffering=1))
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        sys.stdout.flush()
        sys.stderr.flush()
        terminal = stack.enter_context(
            os.fdopen(os.dup(1), "w", encoding=encoding, errors="replace", buffering=1)
        )
        for descriptor in (1, 2):
            stack.callback(_point, descriptor, os.dup(descriptor))
            os.dup2(log.fileno(), descriptor)
        stack.enter_context(contextlib.redirect_stdout(log))
        stack.enter_context(contextlib.redirect_stderr(log))
        stack.enter_context(_logging_to(log))
        logging.info("=== %s ===", datetime.datetime.now().isoformat(timespec="seconds"))
        yield terminal


def require_log(path: Path, flag: str, directory: str | Path) -> None:
    """Makes a log file and its directory, before anything slow starts.

    Args:
      path: The log file.
      flag: The command's flag that named the directory.
      directory: What it named.

    Raises:
      UserError: if it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as error:
        raise UserError(
            f"{flag} {directory} cannot be written: {error.strerror}",
            "choose a directory of your own, on a disk with space",
        ) from error


def write_errors_to(path: Path) -> None:
    """Sends standard error to a log file for the rest of the process's life."""
    sys.stderr.flush()
    try:
        with path.open("a", encoding="utf-8") as log:
            os.dup2(log.fileno(), 2)
    except OSError:
        return


def _point(descriptor: int, original: int) -> None:
    """Points a file descriptor back to where it went before."""
    os.dup2(original, descriptor)
    os.close(original)


@contextlib.contextmanager
def _logging_to(log: TextIO) -> Iterator[None]:
    handler = logging.StreamHandler(log)
    handler.setFormatter(logging.Formatter(_FORMAT))
    root = logging.getLogger()
    level, verbosity = root.level, absl_logging.get_verbosity()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    # TFX logs through absl, which has a level of its own.
    absl_logging.set_verbosity(absl_logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        absl_logging.set_verbosity(verbosity)
