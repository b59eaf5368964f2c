"""Means over seeds, their confidence intervals, and the paired t-test."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class Mean:
    """A mean over seeds.

    Attributes:
      n: Values it is of; undefined ones are not counted.
      mean: None if there is no value.
      half_width: Half the width of the confidence interval by Student's t distribution, in the unit
        of the values; None for fewer than two values.
    """

    n: int
    mean: float | None
    half_width: float | None


@dataclasses.dataclass(frozen=True)
class PairedTest:
    """Differences between pairs of values, such as two methods' with the same seed.

    Attributes:
      difference: Of the first less the second.
      p: Two-sided p-value of the paired t-test against a mean difference of 0; None for fewer than
        two pairs, and where all differences are the same, for which the test is undefined.
    """

    difference: Mean
    p: float | None


def mean_with_interval(values: Sequence[float | None], confidence: float = 0.95) -> Mean:
    """The mean of the values that are defined, with its confidence interval.

    Args:
      values: One per seed; None and NaN stand for an undefined value and are left out.
      confidence: Probability that the interval holds the true mean, where values are normal.
    """
    # Takes a while to import, and the command line's help imports this module.
    from scipy import stats

    defined = np.array([value for value in values if _is_defined(value)], np.float64)
    if defined.size == 0:
        return Mean(0, None, None)
    mean = float(defined.mean())
    if defined.size == 1:
        return Mean(1, mean, None)
    error = defined.std(ddof=1) / math.sqrt(defined.size)
    quantile = stats.t.ppf((1.0 + confidence) / 2.0, defined.size - 1)
    return Mean(int(defined.size), mean, float(quantile * error))


def paired_test(
    first: Sequence[float | None], second: Sequence[float | None], confidence: float = 0.95
) -> PairedTest:
    """Compares values that come in pairs.

    Pairing by seed takes out what both methods owe to the seed. RMTL's stars are of a two-sided
    t-test with p < 0.05 (its Table 1).

    Args:
      first: One value per seed; a pair counts only where both are defined.
      second: The same seeds in the same order.
      confidence: Of the interval of the mean difference.

    Raises:
      ValueError: if there are not as many of one as of the other.
    """
    from scipy import stats

    if len(first) != len(second):
        raise ValueError(f"pairs need as many of each, got {len(first)} and {len(second)}")
    differences = [
        one - other
        for one, other in zip(first, second, strict=True)
        if one is not None and other is not None
    ]
    difference = mean_with_interval(differences, confidence)
    defined = [value for value in differences if _is_defined(value)]
    p = None
    # Rounding alone can tell equal differences apart, and the test would call them significant.
    if len(defined) > 1 and not np.allclose(defined, defined[0], rtol=1e-12, atol=1e-15):
        p = float(stats.ttest_1samp(defined, 0.0).pvalue)
    return PairedTest(difference, p)


def _is_defined(value: float | None) -> bool:
    return value is not None and not math.isnan(value)
