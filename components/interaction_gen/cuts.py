"""Cuts of the sessions by time: into the splits, and of each split into files."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import apache_beam as beam
import numpy as np

from mtfx.datasets.transitions.codec import TransitionBatch
from mtfx.errors import DataError

SPLITS = ("train", "eval")
#: With 100 candidates and 6 predictions a file then holds some 50 MB, unpacked.
TRANSITIONS_PER_SHARD = 20_000


def session_starts(batch: TransitionBatch) -> np.ndarray:
    """The first time of each row's session, int64 `[N]` in ms; sessions must be whole."""
    _, session = np.unique(batch.session_id, return_inverse=True)
    starts = np.full(batch.size, np.iinfo(np.int64).max)
    np.minimum.at(starts, session, batch.timestamp_ms)
    return starts[session]


def start_counts(batch: TransitionBatch) -> np.ndarray:
    """Sessions and transitions by the second in which the session starts.

    Returns:
      int64 `[seconds, 3]`: ascending Unix second, sessions, transitions.
    """
    seconds = session_starts(batch) // 1000
    return merge_counts(
        [np.stack([seconds, batch.step == 0, np.ones_like(seconds)], axis=1).astype(np.int64)]
    )


def merge_counts(parts: Iterable[np.ndarray]) -> np.ndarray:
    """Adds up `[seconds, 3]` arrays of :func:`start_counts` by second."""
    rows = np.concatenate([np.zeros((0, 3), np.int64), *parts])
    seconds, place = np.unique(rows[:, 0], return_inverse=True)
    sums = np.zeros((len(seconds), 2), np.int64)
    np.add.at(sums, place, rows[:, 1:])
    return np.concatenate([seconds[:, None], sums], axis=1)


class MergeStartCounts(beam.CombineFn):
    """:func:`merge_counts` over all workers."""

    def create_accumulator(self) -> list[np.ndarray]:
        """Nothing yet."""
        return []

    def add_input(self, accumulator: list[np.ndarray], element: np.ndarray) -> list[np.ndarray]:
        """Keeps the array for the merge."""
        return [*accumulator, element]

    def merge_accumulators(self, accumulators: Iterable[list[np.ndarray]]) -> list[np.ndarray]:
        """Merges partial results."""
        return [merge_counts(part for accumulator in accumulators for part in accumulator)]

    def extract_output(self, accumulator: list[np.ndarray]) -> np.ndarray:
        """The total."""
        return merge_counts(accumulator)


@dataclasses.dataclass(frozen=True)
class Cuts:
    """Time ranges of all files.

    Attributes:
      starts: By split, the first second of each of its files, ascending.
    """

    starts: dict[str, np.ndarray]

    def place(self, start_ms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Split (an index of ``SPLITS``) and file of sessions by their start, int64 `[N]` each."""
        seconds = start_ms // 1000
        split = (seconds >= self.starts["eval"][0]).astype(np.int64)
        shard = np.zeros_like(split)
        for index, name in enumerate(SPLITS):
            rows = split == index
            shard[rows] = np.searchsorted(self.starts[name], seconds[rows], side="right") - 1
        return split, shard


def cuts_from(counts: np.ndarray, eval_fraction: float, shards: int) -> Cuts:
    """Finds the cuts: sessions that start in the same second stay together.

    Args:
      counts: Of all sessions, as :func:`start_counts` has it.
      eval_fraction: Share of the sessions, the last ones, that go to ``eval``.
      shards: Files per split, at most; 0 for one per ``TRANSITIONS_PER_SHARD`` transitions.

    Raises:
      DataError: if there are no sessions, or all start in the same second.
    """
    first = _first_evaluated(counts, eval_fraction)
    parts = {"train": counts[:first], "eval": counts[first:]}
    return Cuts({name: _file_starts(part, shards) for name, part in parts.items()})


def evaluated_sessions(starts_ms: np.ndarray, eval_fraction: float) -> np.ndarray:
    """Which sessions :func:`cuts_from` puts into ``eval``, told by their starts.

    Args:
      starts_ms: Of all sessions, int64 `[session]`.
      eval_fraction: See :func:`cuts_from`.

    Returns:
      bool `[session]`.

    Raises:
      DataError: as :func:`cuts_from`.
    """
    seconds, sessions = np.unique(starts_ms // 1000, return_counts=True)
    counts = np.stack([seconds, sessions], axis=1)
    return starts_ms // 1000 >= seconds[_first_evaluated(counts, eval_fraction)]


def _first_evaluated(counts: np.ndarray, eval_fraction: float) -> int:
    """The row of the first second in ``eval``, of seconds and their sessions `[seconds, 2+]`."""
    if not len(counts):
        raise DataError("there is no transition: no session has a request that can be used")
    if len(counts) < 2:
        raise DataError(
            f"all {counts[0, 1]} sessions start in the same second, so that time cannot split them "
            "into train and eval: give a longer log"
        )
    before = np.append(0, np.cumsum(counts[:, 1])[:-1])
    wanted = (1 - eval_fraction) * counts[:, 1].sum()
    # Neither split may be empty, however few the sessions.
    return int(np.clip(np.searchsorted(before, wanted - 1e-9), 1, len(counts) - 1))


def _file_starts(counts: np.ndarray, shards: int) -> np.ndarray:
    total = int(counts[:, 2].sum())
    shards = shards or -(-total // TRANSITIONS_PER_SHARD)
    before = np.append(0, np.cumsum(counts[:, 2])[:-1])
    wanted = np.arange(shards) * total / shards
    places = np.minimum(np.searchsorted(before, wanted), len(counts) - 1)
    return counts[np.unique(places), 0]
