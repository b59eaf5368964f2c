"""The range of Unix times in a log: the one rule for all that reads or writes a time.

A device whose clock was never set reports 1970, and a time in another unit is thousands of years
off. One such row would stretch a log's days, or move its end.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

#: 2000-01-01 and 2100-01-01 in ms; times outside are a wrong clock's, or in a wrong unit.
EARLIEST_MS, LATEST_MS = 946_684_800_000, 4_102_444_800_000

_UNITS = ("s", "ms", "us", "ns")
_WEEK_MS, _YEAR_MS = 7 * 86_400_000, 365 * 86_400_000
_MS_RANGE = (-(2**63), 2**63 - 1)


class TimeFault(NamedTuple):
    """A range of implausible times, in ms, and what to say of one.

    Attributes:
      low: The first time of the range.
      high: The time after its last.
      reason: With a guess at the unit, where another one makes the time plausible.
    """

    low: int
    high: int
    reason: str


def time_faults(unit: str = "ms") -> tuple[TimeFault, ...]:
    """The ranges of implausible times; the first that holds a time says what is wrong with it.

    Args:
      unit: In which the times were said to be before they became ms: one of the four.
    """
    said = _UNITS.index(unit)
    found = []
    for place, other in enumerate(_UNITS):
        if place != said:
            low, high = (_scaled(bound, place - said) for bound in (EARLIEST_MS, LATEST_MS))
            when = "before 2000" if place < said else "after 2100"
            found.append(TimeFault(low, high, f"time {when} (is it in {other} instead of {unit}?)"))
    return (
        *found,
        TimeFault(_MS_RANGE[0], EARLIEST_MS, f"time before 2000 (is it in {unit}?)"),
        TimeFault(LATEST_MS, _MS_RANGE[1], f"time after 2100 (is it in {unit}?)"),
    )


def time_fault(time_ms: int) -> str:
    """What is wrong with a time; empty if it is plausible."""
    return next((f.reason for f in time_faults() if f.low <= time_ms < f.high), "")


def _scaled(bound_ms: int, places: int) -> int:
    """A bound as it looks in ms if the number is in a unit so many places finer."""
    scaled = bound_ms * 1000**places if places >= 0 else bound_ms // 1000**-places
    return min(scaled, _MS_RANGE[1])


def main_span(
    times_ms: np.ndarray, counts: np.ndarray | None = None, most_stray: float = 0.01
) -> tuple[int, int] | None:
    """First and last time of a log without the rows of clocks that are years off.

    Such times are plausible by themselves, but lie far from all others: before or after a year
    without any row, and not half of all; or a week, and few.

    Args:
      times_ms: int64 `[N]`, in any order; implausible ones do not count.
      counts: int64 `[N]`, rows of each time; one each without.
      most_stray: Share of the rows that are few.

    Returns:
      None if no time is plausible.
    """
    rows = np.ones_like(times_ms) if counts is None else counts
    plausible = (times_ms >= EARLIEST_MS) & (times_ms < LATEST_MS)
    order = np.argsort(times_ms[plausible], kind="stable")
    times, rows = times_ms[plausible][order], rows[plausible][order]
    if not len(times):
        return None
    for silence_ms, share in ((_YEAR_MS, 0.49), (_WEEK_MS, most_stray)):
        kept = _without_ends(times, rows, silence_ms, share)
        times, rows = times[kept], rows[kept]
    return int(times[0]), int(times[-1])


def _without_ends(times: np.ndarray, rows: np.ndarray, silence_ms: int, share: float) -> slice:
    """The places that are left of ascending times without the smaller parts at both ends."""
    begins = np.flatnonzero(np.append(True, np.diff(times) > silence_ms))
    sizes = np.add.reduceat(rows, begins)
    ends = np.append(begins[1:], len(times))
    first, last, spare = 0, len(begins) - 1, share * sizes.sum()
    while first < last and min(sizes[first], sizes[last]) <= spare:
        if sizes[first] < sizes[last]:
            spare, first = spare - sizes[first], first + 1
        else:
            spare, last = spare - sizes[last], last - 1
    return slice(begins[first], ends[last])
