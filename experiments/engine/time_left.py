"""Estimates how long an experiment will still take, from the trials that have ended."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass
class TimeLeft:
    """Mean seconds per method, over what is left to do and the number of workers.

    A method that has not been seen counts as the mean of those that have. Workers that must wait
    for a required trial make it take longer than this.

    Attributes:
      methods: Method of each trial that is not done, by key.
      workers: Trials run side by side.
    """

    methods: Mapping[str, str] = dataclasses.field(default_factory=dict)
    workers: int = 1

    def __post_init__(self) -> None:
        self._left = dict(self.methods)
        self._begun: dict[str, float] = {}
        self._seen: dict[str, list[float]] = {}

    def learn(self, method: str, seconds: float) -> None:
        """Counts a trial that an earlier run finished."""
        self._seen.setdefault(method, []).append(seconds)

    def started(self, key: str, now: float) -> None:
        """A trial begins at ``now``, in seconds."""
        self._begun[key] = now

    def finished(self, key: str, seconds: float) -> None:
        """A trial ended well after ``seconds``."""
        self.learn(self._left[key], seconds)
        self.dropped(key)

    def dropped(self, key: str) -> None:
        """A trial needs no more time, although it did not end well."""
        del self._left[key]
        self._begun.pop(key, None)

    def seconds(self, now: float) -> float | None:
        """Seconds left at ``now``; None as long as no trial has ended."""
        if not self._seen:
            return None
        means = {method: sum(values) / len(values) for method, values in self._seen.items()}
        overall = sum(means.values()) / len(means)
        longest, total = 0.0, 0.0
        for key, method in self._left.items():
            spent = now - self._begun[key] if key in self._begun else 0.0
            left = max(means.get(method, overall) - spent, 0.0)
            longest, total = max(longest, left), total + left
        return max(longest, total / self.workers)


def clock(seconds: float) -> str:
    """A duration in words, such as ``50 s``, ``12 min`` or ``3 h 05 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
