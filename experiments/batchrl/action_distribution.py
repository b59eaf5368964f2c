"""Where a policy's actions lie, and how far from those of a log (Figures 6 and 7)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

#: Bins of the histograms over [-1, 1].
BINS = 20
#: Actions beyond this count as at a bound.
AT_BOUND = 0.95


class ActionFigures(NamedTuple):
    """Figures of a policy's actions, means over the coordinates.

    Attributes:
      distance: 1-Wasserstein distance between its actions and the logged ones in the same states,
        in units of the actions: how far they must be moved to be distributed like the logged ones.
      extreme: Share of the actions at a bound, where an agent ends that trusts an ever-rising Q.
      spread: Standard deviation.
    """

    distance: float
    extreme: float
    spread: float


def action_figures(actions: np.ndarray, logged: np.ndarray) -> ActionFigures:
    """Compares actions with logged ones.

    Args:
      actions: `[n, A]` in [-1, 1].
      logged: `[m, A]`.

    Raises:
      ValueError: if the sizes of the actions differ.
    """
    # Takes a while to import.
    from scipy.stats import wasserstein_distance

    if actions.ndim != 2 or actions.shape[1:] != logged.shape[1:]:
        raise ValueError(f"actions {actions.shape} cannot be compared with {logged.shape}")
    distances = [
        wasserstein_distance(own, other) for own, other in zip(actions.T, logged.T, strict=True)
    ]
    return ActionFigures(
        float(np.mean(distances)),
        float(np.mean(np.abs(actions) > AT_BOUND)),
        float(np.mean(actions.std(axis=0))),
    )


def action_histograms(actions: np.ndarray, names: tuple[str, ...]) -> dict[str, list[float]]:
    """Share of the actions in each bin, by coordinate.

    Args:
      actions: `[n, A]` in [-1, 1].
      names: Of the coordinates, A of them.
    """
    shares: dict[str, Any] = {}
    for name, values in zip(names, actions.T, strict=True):
        counts, _ = np.histogram(np.clip(values, -1.0, 1.0), bins=BINS, range=(-1.0, 1.0))
        shares[name] = (counts / len(values)).tolist()
    return shares
