"""Failures in the user's words: any exception as one readable message, a hint and an exit code."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mtfx.errors import StageError, UserError, data_error_in

#: Exit code of a shell command that was interrupted.
INTERRUPTED = 130
_RERUN = "a re-run of the same command continues after the last finished stage"
_LONGEST = 800


class Failure(NamedTuple):
    """What to tell the user."""

    message: str
    hint: str
    exit_code: int


def explain(error: BaseException, output_dir: Path | None, log_file: Path | None) -> Failure:
    """Explains an error to the person at the command line.

    Args:
      error: What was raised.
      output_dir: The run's output directory, if it has one.
      log_file: Where the full traceback is, if it was written.
    """
    stage = f"stage {error.stage}: " if isinstance(error, StageError) else ""
    log = f"full log: {log_file}" if log_file else "run again with --debug to see where"
    if isinstance(error, KeyboardInterrupt):
        return Failure("interrupted", _RERUN if output_dir else "", INTERRUPTED)
    if (full := _disk_full(error)) is not None:
        where = full or str(output_dir or "the output directory")
        hint = f"free some space; {_RERUN}" if output_dir else "free some space and run again"
        return Failure(f"{stage}disk full while writing to {where}", hint, 1)
    for cause in _chain(error):
        if isinstance(cause, UserError):
            return Failure(stage + cause.message, cause.hint, 1)
    if (data_error := data_error_in(error)) is not None:
        return Failure(stage + str(data_error), log if log_file else "", 1)
    if isinstance(error, StageError):
        return Failure(f"{stage}{_shorten(error)}", f"{log}; {_RERUN}", 1)
    if isinstance(error, OSError):
        name = f"{error.filename}: " if error.filename else ""
        return Failure(f"{name}{error.strerror or error}", "check the path and its permissions", 1)
    if isinstance(error, ValueError):
        return Failure(_shorten(error), log if log_file else "", 1)
    return Failure(f"unexpected {type(error).__name__}: {_shorten(error)}", log, 1)


def append_traceback(error: BaseException, log_file: Path) -> None:
    """Adds the full traceback to the log; a log that cannot be written is no second failure."""
    try:
        with log_file.open("a", encoding="utf-8") as log:
            log.writelines(traceback.format_exception(error))
    except OSError:
        return


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _disk_full(error: BaseException) -> str | None:
    """The path that could not be written ('' if unknown), or None if the disk is not full."""
    for cause in _chain(error):
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            return str(cause.filename or "")
        # TensorFlow and Beam carry the system's message on as text.
        if "No space left on device" in str(cause):
            return ""
    return None


def _shorten(error: BaseException) -> str:
    """The message without the traceback that Beam appends to it."""
    message = str(error).strip() or type(error).__name__
    lines = [line for line in message.splitlines() if line.strip()]
    if any(line.startswith("Traceback") for line in lines):
        lines = lines[-1:]
    text = "\n".join(lines)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " …"
