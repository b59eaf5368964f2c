"""Confidence sequences: intervals that hold at all looks at once.

A 95% confidence interval misses the truth with a chance of 5% at *one* look. A reader looking every
day and stops when it excludes 0 is wrong far more often. A confidence sequence is a sequence of
intervals all of which hold the truth together with that chance, however often one looks and
whenever one stops.

This is the Gaussian mixture boundary of Robbins (1970), for an estimate whose variance is itself
estimated: the asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas
(2021, arXiv:2103.06476, theorem 2.2),

    estimate +- sigma * sqrt(2 (t rho^2 + 1) / (t^2 rho^2) * log(sqrt(t rho^2 + 1) / alpha)),

written in the estimate's variance ``v = sigma^2 / t`` and the scale ``s = sigma * rho``. It is the
same as the mixture sequential probability ratio test (Johari, Pekelis and Walsh 2017) with effects
drawn from N(0, s^2).
"""

from __future__ import annotations

import numpy as np


def margins(variances: np.ndarray, scale: float, alpha: float) -> np.ndarray:
    """Half widths of the intervals.

    Relative to an interval for one look a sequence is tightest where its half width is about
    ``scale``; there, at alpha = 0.05, it is 1.55 times as wide. The scale may not be chosen from
    the data that it is used on.

    Args:
      variances: Of the estimate at each look, positive, `[look]`.
      scale: Differences of about this size shall be found; in the estimate's unit.
      alpha: Chance that any of the intervals misses the truth.

    Returns:
      `[look]`, in the estimate's unit.

    Raises:
      ValueError: if the scale or a variance is not positive, or alpha is not between 0 and 1.
    """
    variances = _checked(variances, scale)
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be between 0 and 1, got {alpha}")
    information = scale**2 / variances
    return np.sqrt(variances * (1 + 1 / information) * (np.log1p(information) - 2 * np.log(alpha)))


def always_valid_p(estimates: np.ndarray, variances: np.ndarray, scale: float) -> np.ndarray:
    """P-values against 0 that hold at all looks at once.

    At a look it is at most alpha exactly if the sequence of that alpha has excluded 0 by then; it
    never rises.

    Args:
      estimates: At each look, `[look]`.
      variances: Of the estimates, positive, `[look]`.
      scale: As in :func:`margins`.

    Returns:
      `[look]`.

    Raises:
      ValueError: as :func:`margins`.
    """
    variances = _checked(variances, scale)
    information = scale**2 / variances
    squared = np.asarray(estimates, np.float64) ** 2 / variances
    log_ratio = 0.5 * (squared * information / (1 + information) - np.log1p(information))
    return np.exp(-np.maximum(np.maximum.accumulate(log_ratio), 0.0))


def _checked(variances: np.ndarray, scale: float) -> np.ndarray:
    values = np.asarray(variances, np.float64)
    if not (np.isfinite(values) & (values > 0)).all():
        raise ValueError(f"variances must be positive, got {values.tolist()}")
    if not 0 < scale < np.inf:
        raise ValueError(f"the scale must be positive, got {scale}")
    return values
