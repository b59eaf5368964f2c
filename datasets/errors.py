"""The error that names what is wrong with somebody's data, and how it survives a Beam worker."""

from __future__ import annotations

import re


class DataError(ValueError):
    """Input that cannot be used; the message names file, row or column and how to mend it."""


# Beam hands a worker's exception on as text, so the message is fenced to be found again.
_BEGIN, _END = "<<data error: ", " :data error>>"
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
