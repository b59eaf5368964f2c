"""Counts that Beam workers add up: what was read, dropped, split and written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import apache_beam as beam

#: Kind of the count whose key says why time cannot split what was read.
NO_SPLITS = "no splits"


class Counts:
    """Sums by key, and the span of times seen."""

    def __init__(self) -> None:
        self.sums: Counter[tuple[str, ...]] = Counter()
        self.first_ms: int | None = None
        self.last_ms: int | None = None

    def add(self, key: tuple[str, ...], number: float) -> None:
        """Adds to the sum under ``key``."""
        self.sums[key] += number  # type: ignore[assignment]

    def span(self, first_ms: int, last_ms: int) -> None:
        """Widens the span of times, in ms."""
        self.first_ms = first_ms if self.first_ms is None else min(first_ms, self.first_ms)
        self.last_ms = last_ms if self.last_ms is None else max(last_ms, self.last_ms)

    def merge(self, other: Counts) -> None:
        """Adds another worker's counts."""
        self.sums.update(other.sums)
        if other.first_ms is not None and other.last_ms is not None:
            self.span(other.first_ms, other.last_ms)


class MergeCounts(beam.CombineFn):
    """Adds up :class:`Counts`."""

    def create_accumulator(self) -> Counts:
        """Nothing yet."""
        return Counts()

    def add_input(self, accumulator: Counts, element: Counts) -> Counts:
        """Adds one worker's counts."""
        accumulator.merge(element)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[Counts]) -> Counts:
        """Adds up partial sums."""
        merged = Counts()
        for part in accumulators:
            merged.merge(part)
        return merged

    def extract_output(self, accumulator: Counts) -> Counts:
        """The total."""
        return accumulator
