"""Watch time of held-out impressions as quantiles by predicted watch time.

No distribution is assumed: among impressions of like prediction, the simulator watches as long as
was observed. On synthetic videos a normal distribution of log(1 + seconds) left 34% of the views at
0 s, where the log has 6% in its lowest bin.
"""

from __future__ import annotations

import dataclasses

import numpy as np

#: Bins of predicted watch time, at most and by how many impressions they are upheld.
_MOST_BINS, _ROWS_PER_BIN = 32, 100
#: Levels 0, 1/64, ..., 1.
_LEVELS = 65
#: Points of each interval between two levels over which the quantile function is averaged.
_POINTS = 32


@dataclasses.dataclass(frozen=True)
class WatchTables:
    """Quantiles of watch time, with the primary feedback (first axis: 0) and without it (1).

    Attributes:
      centres: Mean prediction of each bin, rising, float32 `[2, bin]`. A branch with fewer bins
        repeats its last one.
      quantiles: Seconds, float32 `[2, bin, level]`.
    """

    centres: np.ndarray
    quantiles: np.ndarray

    def positions(self, means: np.ndarray) -> np.ndarray:
        """Fractional bins float32 `[n, 2]` of predicted means of log(1 + seconds) `[n, 2]`."""
        found = np.empty(means.shape, np.float32)
        for branch, centres in enumerate(self.centres):
            known, first = np.unique(centres, return_index=True)
            found[:, branch] = np.interp(means[:, branch], known, first)
        return found


def fit_watch_tables(
    means: np.ndarray, primary: np.ndarray, watch_s: np.ndarray, longest_s: np.ndarray
) -> WatchTables:
    """Tabulates held-out impressions.

    Each branch is cut into bins of equally many impressions by its prediction. A bin's table is
    the piecewise linear function nearest its empirical quantile function in this sense: each value
    is the mean of the empirical function under the level's hat function. So it rises, stays within
    what was observed, and has exactly the observed mean.

    Args:
      means: Predicted means of log(1 + seconds), with and without the primary feedback, `[n, 2]`.
      primary: Whether it was given, bool `[n]`.
      watch_s: Observed seconds, `[n]`.
      longest_s: Longest times watched, `[n]`, 0 if unknown; observed times are cut there.

    Returns:
      The tables. A branch of which there is no impression takes all of them.
    """
    watched = np.minimum(watch_s, np.where(longest_s > 0, longest_s, np.inf)).astype(np.float64)
    branches = []
    for branch, wanted in enumerate((primary, ~primary)):
        rows = wanted if wanted.any() else np.ones_like(wanted)
        branches.append(_bins(means[rows, branch], watched[rows]))
    bins = max(len(centres) for centres, _ in branches)
    padded = [
        (
            np.pad(centres, (0, bins - len(centres)), mode="edge"),
            np.pad(table, ((0, bins - len(table)), (0, 0)), mode="edge"),
        )
        for centres, table in branches
    ]
    return WatchTables(
        np.stack([centres for centres, _ in padded]).astype(np.float32),
        np.stack([table for _, table in padded]).astype(np.float32),
    )


def no_watch_tables() -> WatchTables:
    """Of a log without watch times: always 0 s."""
    return WatchTables(np.zeros((2, 1), np.float32), np.zeros((2, 1, _LEVELS), np.float32))


def _bins(means: np.ndarray, watched: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centres `[bin]` and quantiles `[bin, level]` of one branch."""
    number = int(np.clip(len(means) // _ROWS_PER_BIN, 1, _MOST_BINS))
    parts = np.array_split(np.argsort(means, kind="stable"), number)
    return (
        np.array([means[part].mean() for part in parts]),
        np.array([_quantiles(watched[part]) for part in parts]),
    )


def _quantiles(watched: np.ndarray) -> np.ndarray:
    cells = _LEVELS - 1
    levels = (np.arange(cells * _POINTS) + 0.5) / (cells * _POINTS)
    # The empirical function's steps, their own share of the levels: the mean over the levels is
    # that of the observations.
    reach = (np.arange(len(watched)) + 1) / len(watched)
    order = np.sort(watched)
    value = order[np.minimum(np.searchsorted(reach, levels), len(order) - 1)]
    value = value.reshape(cells, _POINTS)
    rising = (np.arange(_POINTS) + 0.5) / _POINTS
    total, weight = np.zeros(_LEVELS), np.zeros(_LEVELS)
    for first, hat in ((0, 1 - rising), (1, rising)):
        total[first : first + cells] += value @ hat
        weight[first : first + cells] += hat.sum()
    return total / weight
