"""How well an estimator's values of policies agree with their true values."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Agreement(NamedTuple):
    """Agreement over policies; NaN where it is undefined.

    Attributes:
      kendall_tau: Kendall's τ-b between the orders of the policies: 1 for the same order, -1 for
        the reverse.
      tau_low: Lower end of the 95% percentile bootstrap interval over policies.
      tau_high: Upper end.
      relative_error: Mean of |estimate - truth| / |truth|.
      lower_bound: Share of the policies whose estimate is not above the truth.
      policies: Policies with a finite estimate, over which the others are taken.
    """

    kendall_tau: float
    tau_low: float
    tau_high: float
    relative_error: float
    lower_bound: float
    policies: int


def agreement(
    estimates: np.ndarray, truth: np.ndarray, seed: int, resamples: int = 1000
) -> Agreement:
    """Compares estimates with true values.

    Args:
      estimates: One per policy; those that are not finite are left out.
      truth: One per policy, in the same order.
      seed: Of the bootstrap.
      resamples: Of the bootstrap.

    Raises:
      ValueError: if there are not as many of one as of the other.
    """
    if estimates.shape != truth.shape or estimates.ndim != 1:
        raise ValueError(f"one estimate per policy: got {estimates.shape} for {truth.shape}")
    known = np.isfinite(estimates) & np.isfinite(truth)
    found, true = estimates[known], truth[known]
    count = len(found)
    if count < 2:
        nan = float("nan")
        return Agreement(nan, nan, nan, nan, nan, count)
    generator = np.random.default_rng(seed)
    taus = []
    for _ in range(resamples):
        drawn = generator.integers(count, size=count)
        taus.append(kendall_tau(found[drawn], true[drawn]))
    taus = np.array([tau for tau in taus if np.isfinite(tau)])
    low, high = np.quantile(taus, [0.025, 0.975]) if taus.size else (np.nan, np.nan)
    return Agreement(
        kendall_tau(found, true),
        float(low),
        float(high),
        float(np.mean(np.abs(found - true) / np.maximum(np.abs(true), 1e-12))),
        float(np.mean(found <= true)),
        count,
    )


def kendall_tau(first: np.ndarray, second: np.ndarray) -> float:
    """Kendall's τ-b of two vectors; NaN where one of them is constant."""
    # Takes a while to import.
    from scipy.stats import kendalltau

    return float(kendalltau(first, second).statistic)
