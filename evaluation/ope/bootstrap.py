"""Percentile bootstrap over sessions.

A resample draws as many sessions as there are, with replacement; the interval holds the middle
95% of the resamples' estimates (Efron and Tibshirani, 1993). Sessions and not transitions are
drawn, as the transitions of one session depend on each other.

What it covers: how the estimate would differ with other sessions. For estimators that fit a Q
network (fqe, conservative) the network is kept and only the initial states are drawn anew, so the
interval does *not* cover the error of the fit: a Q that is wrong is wrong in every resample.
With ``FittedQConfig.num_fits`` of two or more, each network is fitted on a resample of the sessions
(:func:`refit_interval`). That covers the chance of the log and of the fit, but still not its bias:
function approximation, missing data, steps too few.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from mtfx.evaluation.ope.config import BootstrapConfig

#: Counts held at once, to bound memory.
_CHUNK_CELLS = 4_000_000


def resample_counts(
    num_sessions: int, resamples: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """How often each session is in each resample: int64 `[resample, session]`, in parts."""
    chunk = max(1, _CHUNK_CELLS // num_sessions)
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        drawn = rng.integers(num_sessions, size=(rows, num_sessions))
        drawn += np.arange(rows)[:, None] * num_sessions
        counts = np.bincount(drawn.ravel(), minlength=rows * num_sessions)
        yield counts.reshape(rows, num_sessions)


def percentile_interval(
    statistic: Callable[[np.ndarray], np.ndarray],
    num_sessions: int,
    config: BootstrapConfig,
    seed: int,
) -> tuple[float, float]:
    """The interval of any statistic of weighted sessions.

    Args:
      statistic: Counts `[resample, session]` to estimates `[resample]`.
      num_sessions: Number of sessions.
      config: Resamples and confidence.
      seed: Of the resamples.

    Returns:
      Lower and upper end; NaN if the statistic is NaN in every resample. Those in which it is
      undefined are left out.
    """
    rng = np.random.default_rng(seed)
    parts = [statistic(part) for part in resample_counts(num_sessions, config.resamples, rng)]
    return _percentiles(np.concatenate(parts), config.confidence)


def mean_interval(values: np.ndarray, config: BootstrapConfig, seed: int) -> tuple[float, float]:
    """The interval of a mean over sessions.

    Args:
      values: float64 `[session]`.
      config: Resamples and confidence.
      seed: Of the resamples.

    Returns:
      Lower and upper end.

    Raises:
      ValueError: if ``values`` is not a vector with at least one entry.
    """
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"values must be [session], got shape {values.shape}")

    def means(counts: np.ndarray) -> np.ndarray:
        return counts @ values / len(values)

    return percentile_interval(means, len(values), config, seed)


def refit_interval(values: np.ndarray, confidence: float) -> tuple[float, float]:
    """The interval around the mean over networks, each fitted on a resample of the sessions.

    Bootstrapped fitted Q evaluation (Hao et al., "Bootstrapping Fitted Q-Evaluation for Off-Policy
    Inference", ICML 2021): how much such networks differ is how much an estimate would with another
    log. They take percentiles of a hundred networks and more; of the few that one has time for,
    this takes the variance, with Student's t as it is known from so few, and an F-th of it more:
    the mean over F networks has their own chance as well as the log's.

    Args:
      values: Each network's value of each initial state, float64 `[fit, state]`.
      confidence: Probability that the interval should cover the mean.

    Returns:
      Lower and upper end.

    Raises:
      ValueError: if there are fewer than two fits or states.
    """
    if values.ndim != 2 or min(values.shape) < 2:
        raise ValueError(f"values must be [fit, state], two at least, got shape {values.shape}")
    # Takes a while to import.
    from scipy.stats import t

    fits, states = values.shape
    by_state = values.mean(axis=0)
    between = values.mean(axis=1).var(ddof=1) * (1.0 + 1.0 / fits)
    variance = between + by_state.var(ddof=1) / states
    reach = float(t.ppf(0.5 + confidence / 2.0, fits - 1) * np.sqrt(variance))
    center = float(values.mean())
    return center - reach, center + reach


def _percentiles(estimates: np.ndarray, confidence: float) -> tuple[float, float]:
    if np.isnan(estimates).all():
        return float("nan"), float("nan")
    tail = (1.0 - confidence) / 2.0
    low, high = np.nanquantile(estimates, [tail, 1.0 - tail])
    return float(low), float(high)
