"""Percentile bootstrap over sessions.

A resample draws as many sessions as there are, with replacement; the interval holds the middle
95% of the resamples' estimates (Efron and Tibshirani, 1993). Sessions and not transitions are
drawn, as the transitions of one session depend on each other.

What it covers: how the estimate would differ with other sessions. For estimators that fit a Q
network (fqe, conservative) the network is kept and only the initial states are drawn anew, so the
interval does *not* cover the error of the fit: a Q that is wrong is wrong in every resample.
With ``FittedQConfig.num_fits`` of two or more, every resample also draws among networks fitted from
different seeds, which covers the chance of the fit (weights, order of minibatches), but still not
its bias: function approximation, missing data, steps too few.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from evaluation.ope.config import BootstrapConfig

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
    """The interval of a mean over fits and sessions.

    Args:
      values: `[fit, session]`. With more than one fit, each resample also draws fits with
        replacement.
      config: Resamples and confidence.
      seed: Of the resamples.

    Returns:
      Lower and upper end.

    Raises:
      ValueError: if ``values`` is not a matrix with at least one entry.
    """
    if values.ndim != 2 or values.size == 0:
        raise ValueError(f"values must be [fit, session], got shape {values.shape}")
    fits, sessions = values.shape
    rng = np.random.default_rng(seed)
    means = []
    for counts in resample_counts(sessions, config.resamples, rng):
        by_fit = counts @ values.T / sessions
        drawn = rng.integers(fits, size=by_fit.shape)
        means.append(np.take_along_axis(by_fit, drawn, axis=1).mean(axis=1))
    return _percentiles(np.concatenate(means), config.confidence)


def _percentiles(estimates: np.ndarray, confidence: float) -> tuple[float, float]:
    if np.isnan(estimates).all():
        return float("nan"), float("nan")
    tail = (1.0 - confidence) / 2.0
    low, high = np.nanquantile(estimates, [tail, 1.0 - tail])
    return float(low), float(high)
