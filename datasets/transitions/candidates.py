"""The candidates of transitions, kept in memory while files are read."""

from __future__ import annotations

import numpy as np

from mtfx.datasets.transitions.codec import TransitionBatch
from mtfx.errors import DataError

#: Bytes of predictions that are kept at most; a padded table of them is made on top.
MAX_BYTES = 4 * 1024**3
#: 11 bits of precision tell predictions apart that differ by 0.1%, at half the memory of float32.
DTYPE = np.float16


class CandidateRows:
    """Predictions of the requests read so far, a random part of each where there are too many."""

    def __init__(self, limit: int, max_bytes: int = MAX_BYTES) -> None:
        """Starts empty.

        Args:
          limit: Candidates of a request that are kept, drawn at random; 0 keeps all.
          max_bytes: See ``MAX_BYTES``.

        Raises:
          ValueError: if the limit is negative.
        """
        if limit < 0:
            raise ValueError(f"candidates must be at least 0, which keeps all; got {limit}")
        self._limit, self._max_bytes = limit, max_bytes
        self._predictions: list[np.ndarray] = []
        self._counts: list[np.ndarray] = []
        self._shown: list[np.ndarray] = []
        self._bytes = 0
        # What is kept of a request does not depend on time or place of the run.
        self._random = np.random.default_rng(0)

    def add(self, batch: TransitionBatch) -> None:
        """Keeps a batch's candidates.

        Raises:
          DataError: if they are too many for the memory.
        """
        counts = batch.candidate_count.astype(np.int64)
        predictions = batch.predictions
        # Before any are left out, as what was shown may be among them.
        self._shown.append(predictions[np.cumsum(counts) - counts + batch.chosen].astype(DTYPE))
        if self._limit and counts.max(initial=0) > self._limit:
            kept = self._drawn(counts)
            predictions, counts = predictions[kept], np.minimum(counts, self._limit)
        self._predictions.append(predictions.astype(DTYPE))
        self._counts.append(counts)
        self._bytes += self._predictions[-1].nbytes
        if self._bytes > self._max_bytes:
            raise DataError(
                f"the candidates' predictions of {sum(map(len, self._counts)):,} transitions take "
                f"more than {self._max_bytes / 1024**3:.1f} GiB: read fewer transitions "
                "(buffer_size) or fewer candidates of each (inner_candidates)"
            )

    def padded(self, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The candidates of some requests, side by side.

        Args:
          order: Numbers of the requests in the order in which they were added, int `[N]`.

        Returns:
          Predictions float16 `[N, C, K]`, 0 where there is no candidate, and the mask, bool
          `[N, C]`; C is the number of the largest request's candidates, at least 1.
        """
        counts = np.concatenate(self._counts)
        flat = np.concatenate(self._predictions)
        first = np.cumsum(counts) - counts
        width = max(int(counts[order].max(initial=0)), 1)
        mask = np.arange(width) < counts[order][:, None]
        predictions = np.zeros((*mask.shape, flat.shape[1]), DTYPE)
        places = first[order][:, None] + np.arange(width)
        predictions[mask] = flat[places[mask]]
        return predictions, mask

    def shown(self, order: np.ndarray) -> np.ndarray:
        """Predictions of the candidates that were shown, float16 `[N, K]`, as of :meth:`padded`."""
        return np.concatenate(self._shown)[order]

    def _drawn(self, counts: np.ndarray) -> np.ndarray:
        """Which candidates are kept, in their order: bool `[candidate]`."""
        request = np.repeat(np.arange(len(counts)), counts)
        shuffled = np.lexsort((self._random.random(len(request)), request))
        # Sorted by request, a candidate's place among those of its request.
        place = np.arange(len(request)) - np.repeat(np.cumsum(counts) - counts, counts)
        kept = np.zeros(len(request), bool)
        kept[shuffled[place < self._limit]] = True
        return kept
