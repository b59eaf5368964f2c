"""Deliveries of a log by number: where each lies, and what identifies its files."""

from __future__ import annotations

import datetime
import os
import re
from collections.abc import Sequence

from mtfx.errors import require
from mtfx.serving.plausible_time import EARLIEST_MS, LATEST_MS

_SPAN = re.compile(r"\{SPAN(?::(\d+))?\}")
_YEARS = [
    datetime.datetime.fromtimestamp(bound / 1000, datetime.timezone.utc).year
    for bound in (EARLIEST_MS, LATEST_MS)
]


def has_span(pattern: str) -> bool:
    """Whether a pattern selects one of several deliveries."""
    return _SPAN.search(pattern) is not None


def check_spans(pattern: str, span: int, earlier_spans: Sequence[int], example: str) -> None:
    """Refuses flags that name no delivery, or several that are not distinguished.

    Args:
      pattern: Of the files.
      span: Number of the delivery.
      earlier_spans: Of those that are read together with it.
      example: A pattern that tells deliveries apart.

    Raises:
      UserError: naming the flag.
    """
    require(span >= 0, f"--span must not be negative, got {span}")
    require(
        not earlier_spans or has_span(pattern),
        f"--pattern {pattern!r} has no {{SPAN}}, by which several deliveries could differ",
        f"for example --pattern '{example}'",
    )


def at_span(pattern: str, span: int) -> str:
    """The pattern with a delivery's number in it; ``{SPAN:3}`` writes it with three digits."""
    return _SPAN.sub(lambda found: f"{span:0{found.group(1) or 1}d}", pattern)


def span_range(first: int, last: int) -> tuple[int, ...]:
    """The numbers from ``first`` to ``last``; calendar days where both are dates (YYYYMMDD)."""
    begin, end = _date(first), _date(last)
    if begin is None or end is None:
        return tuple(range(first, last + 1))
    days = (end - begin).days
    return tuple(int(f"{begin + datetime.timedelta(days=n):%Y%m%d}") for n in range(days + 1))


def next_span(span: int) -> int:
    """The number after ``span``: tomorrow's where it is a date (YYYYMMDD)."""
    date = _date(span)
    return span + 1 if date is None else int(f"{date + datetime.timedelta(days=1):%Y%m%d}")


def _date(span: int) -> datetime.date | None:
    text = str(span)
    if len(text) != 8:
        return None
    try:
        date = datetime.datetime.strptime(text, "%Y%m%d").date()
    except ValueError:
        return None
    # No log is of another year: such a number counts deliveries.
    return date if _YEARS[0] <= date.year < _YEARS[1] else None


def day_of_span(span: int, utc_offset_hours: float) -> tuple[int, int] | None:
    """Begin and end in Unix ms of the day that a number names as a date (YYYYMMDD); else None."""
    date = _date(span)
    if date is None:
        return None
    zone = datetime.timezone(datetime.timedelta(hours=utc_offset_hours))
    begin = datetime.datetime(date.year, date.month, date.day, tzinfo=zone).timestamp() * 1000
    return round(begin), round(begin) + 86_400_000


def span_folders(pattern: str, spans: Sequence[int]) -> tuple[str, ...]:
    """The folders of some deliveries, relative to the data directory.

    Raises:
      ValueError: if the pattern has no ``{SPAN}``: then all deliveries would be the same one.
    """
    if spans and not has_span(pattern):
        raise ValueError(f"the pattern {pattern!r} has no {{SPAN}} to tell deliveries apart by")
    return tuple(os.path.dirname(at_span(pattern, span)) for span in spans)


def available_spans(data_dir: str, pattern: str) -> tuple[int, ...]:
    """Numbers of the deliveries of which there is a folder, ascending.

    Args:
      data_dir: A directory on this machine.
      pattern: With ``{SPAN}`` in one of its folders.
    """
    folder = os.path.dirname(pattern)
    depth = next(i for i, part in enumerate(folder.split("/")) if has_span(part))
    parts = folder.split("/")[: depth + 1]
    parent = os.path.join(data_dir, *parts[:-1])
    before, after = _SPAN.split(parts[-1])[0], _SPAN.split(parts[-1])[-1]
    name = re.compile(re.escape(before) + r"(\d+)" + re.escape(after) + r"\Z")
    if not os.path.isdir(parent):
        return ()
    found = (name.match(entry.name) for entry in os.scandir(parent) if entry.is_dir())
    return tuple(sorted(int(match.group(1)) for match in found if match))
