"""Columns of a request to a ranker, as the ranker's metadata list them.

Plain data: who builds requests needs no TensorFlow to read it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Literal

from mtfx.config import Config

#: What the names of lists of earlier impressions begin with.
HISTORY_PREFIX = "history_"
#: Column of the request's time, Unix time in ms; one value.
TIMESTAMP_MS = "timestamp_ms"

#: ``user``: one value. ``context``: the circumstances, such as the tab and the request's time, one
#: value that may be repeated for each candidate. ``history``: lists of one length, of the user's
#: earlier impressions. ``candidate``: lists of one length, of the candidates.
Level = Literal["user", "context", "history", "candidate"]
_LEVELS: tuple[Level, ...] = ("user", "context", "history", "candidate")


@dataclasses.dataclass(frozen=True)
class RequestField(Config):
    """A column of a request.

    Attributes:
      name: Of the feature in the request's ``tf.Example``.
      dtype: Of its values.
      level: What it is about.
      per_candidate: Whether the request holds a value for each candidate; always so for
        ``candidate``, and for circumstances that the ranking model reads with each of them.
      required: Whether a request without it is refused.
      default: What one without it is read as; None where it is required, and for lists.
    """

    name: str
    dtype: Literal["int64", "float32", "string"]
    level: Level
    per_candidate: bool = False
    required: bool = False
    default: int | float | str | None = None


def merged(*lists: Iterable[RequestField]) -> tuple[RequestField, ...]:
    """The columns of a request that several readers share.

    What one reads as a circumstance and another with each candidate is a circumstance that is
    repeated. Of different defaults the first counts: each reader fills in its own.

    Args:
      *lists: Of each reader.

    Returns:
      By level, within a level in the order of the lists.

    Raises:
      ValueError: if readers take a column for different types, or for the user's and the
        candidates'.
    """
    found: dict[str, RequestField] = {}
    for field in (one for fields in lists for one in fields):
        known = found.get(field.name)
        found[field.name] = field if known is None else _both(known, field)
    return tuple(sorted(found.values(), key=lambda field: _LEVELS.index(field.level)))


def _both(one: RequestField, other: RequestField) -> RequestField:
    levels = {one.level, other.level}
    if one.dtype != other.dtype or not (len(levels) == 1 or "context" in levels):
        raise ValueError(
            f"{one.name} is read as {one.dtype} of the {one.level} and as {other.dtype} of the "
            f"{other.level}: a request can have one of them"
        )
    return dataclasses.replace(
        one,
        level="context" if "context" in levels else one.level,
        per_candidate=one.per_candidate or other.per_candidate,
        required=one.required or other.required,
        default=None if other.required else one.default,
    )
