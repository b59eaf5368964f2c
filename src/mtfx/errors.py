"""Errors that a user can mend: shown as one message, never as a traceback."""

from __future__ import annotations

import re
from collections.abc import Mapping


class DataError(ValueError):
    """Input that cannot be used; the message names file, row or column and how to mend it."""


class UserError(Exception):
    """Something the person at the command line can put right.

    Attributes:
      message: What is wrong, naming the flag, file, row or column.
      hint: How to mend it, or an empty string.
    """

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message)
        self.message = message
        self.hint = hint


class StageError(Exception):
    """A pipeline stage failed; ``__cause__`` is what it raised.

    Attributes:
      stage: Node id of the stage.
    """

    def __init__(self, stage: str, message: str):
        super().__init__(message)
        self.stage = stage


class TrainingDivergedError(RuntimeError):
    """A loss or value is no longer a finite number."""


def require(holds: bool, message: str, hint: str = "") -> None:
    """Raises :class:`UserError` unless ``holds``."""
    if not holds:
        raise UserError(message, hint)


# Beam hands a worker's exception on as text, so the message is fenced to be found again.
_BEGIN, _END = "<<data error: ", " :data error>>"
#: Named in one message.
_REASONS = 5
_FENCED = re.compile(re.escape(_BEGIN) + "(.*?)" + re.escape(_END), re.DOTALL)


def fenced(error: DataError) -> DataError:
    """The same error, fit to be raised inside a Beam worker."""
    return DataError(f"{_BEGIN}{error}{_END}")


def data_error_in(error: BaseException) -> DataError | None:
    """The data error that ``error`` or one of its causes carries, else None."""
    seen: BaseException | None = error
    while seen is not None:
        if match := _FENCED.search(str(seen)):
            return DataError(match.group(1))
        if isinstance(seen, DataError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def why_unreadable(error: Exception) -> str:
    """What is wrong with a file of JSON, by what reading it raised: completes "FILE …".

    It tells apart what is mended in different ways: a file that is not there, one that may not be
    read, one that is damaged, and one that lacks what this version of MTFX looks for.
    """
    # TensorFlow's errors are known by name, as the lowest layer does not import it.
    if isinstance(error, FileNotFoundError) or type(error).__name__ == "NotFoundError":
        return "is not there"
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror or error}"
    if isinstance(error, ValueError):
        return f"is damaged, it holds no valid JSON: {error}"
    if isinstance(error, KeyError):
        return f"has no {error}: another version of MTFX wrote it, or it was edited"
    return f"holds something else than this version of MTFX writes: {error}"


def in_words(reasons: Mapping[str, int]) -> str:
    """Reasons and how often each occurs, the most frequent ones by name."""
    ordered = sorted(reasons.items(), key=lambda one: (-one[1], one[0]))
    named = [f"{number} x {reason}" for reason, number in ordered[:_REASONS]]
    further = sum(number for _, number in ordered[_REASONS:])
    return "; ".join(named) + (f"; {further} for other reasons" if further else "")
