"""The error a user can mend: shown as one message with a hint, never as a traceback."""

from __future__ import annotations


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


def require(holds: bool, message: str, hint: str = "") -> None:
    """Raises :class:`UserError` unless ``holds``."""
    if not holds:
        raise UserError(message, hint)
