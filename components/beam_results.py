"""Results of a Beam pipeline that its executor needs: counts, rejected rows, an error to explain.

A pipeline returns nothing, so that workers leave counts and rejects in files.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import apache_beam as beam
import tensorflow as tf

from mtfx.errors import data_error_in

R = TypeVar("R")

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


def counts_path(uri: str, name: str) -> str:
    """Where the workers of an artifact's pipeline leave their counts."""
    return os.path.join(uri, ".temporary", name)


def write_counts(counts: Counts, path: str) -> None:
    """Keeps the workers' counts in a file."""
    tf.io.gfile.makedirs(os.path.dirname(path))
    with tf.io.gfile.GFile(path, "wb") as file:
        file.write(beam.coders.registry.get_coder(Counts).encode(counts))


def read_counts(path: str) -> Counts:
    """What :func:`write_counts` wrote; raises RuntimeError if it never ran."""
    if not tf.io.gfile.exists(path):
        raise RuntimeError(
            f"the Beam pipeline ended without its counts of what was {os.path.basename(path)}"
        )
    with tf.io.gfile.GFile(path, "rb") as file:
        return beam.coders.registry.get_coder(Counts).decode(file.read())


def remove_temporary(uri: str) -> None:
    """Removes what :func:`counts_path` gave, if anything is there."""
    directory = os.path.dirname(counts_path(uri, ""))
    if tf.io.gfile.exists(directory):
        tf.io.gfile.rmtree(directory)


def write_quarantine(rejects: list[R], path: str, write: Callable[[list[R], str], None]) -> None:
    """Lists rejected rows in a CSV file; an earlier run's file is removed.

    Args:
      rejects: Of all workers; empty leaves no file.
      path: Of the file.
      write: Writes it, whole or not at all.
    """
    if tf.io.gfile.exists(path):
        tf.io.gfile.remove(path)
    if rejects:
        write(rejects, path)


@contextlib.contextmanager
def data_errors() -> Iterator[None]:
    """Raises a worker's DataError itself, out of what Beam wraps around it."""
    try:
        yield
    except Exception as error:
        found = data_error_in(error)
        if found is None or found is error:
            raise
        raise found from error
