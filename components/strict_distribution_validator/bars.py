"""Bars between two samples: a margin, and what their sizes add to it by chance.

Each bar tests the hypothesis that the worlds behind two samples differ by no more than the margin
(a test of a relevant difference: Hodges and Lehmann 1954, "Testing the approximate validity of
statistical hypotheses"). As the samples grow, the bar falls to the margin.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

#: Beyond it the noncentral chi-square distribution is normal to the digits that matter.
_NORMAL_FROM = 1e4


def divergence_bar(margin: float, cells: int, sizes: tuple[float, float], level: float) -> float:
    """What the Jensen-Shannon divergence of two samples exceeds with probability ``level``.

    With d = p - q, each half of the divergence is sum d^2 / 8m nats to second order, m the mean of
    p and q (Lin 1991 defines it; the expansion is that of any f-divergence). The counts' variances
    make ``8 ln(2) D / (1/n + 1/m)``, D in bits, a chi-square variable of ``cells - 1`` degrees of
    freedom where both samples have one distribution, and noncentral by the same multiple of the
    true divergence where they have not. Two samples of one distribution thus lie
    ``(cells - 1) (1/n + 1/m) / (8 ln 2)`` apart on average.

    Args:
      margin: The divergence in bits that the true distributions may have.
      cells: Number of cells, at least 2.
      sizes: Effective sizes of the samples.
      level: Probability of a false alarm at the margin.

    Returns:
      The bar in bits, at most 1.
    """
    unit = (1 / sizes[0] + 1 / sizes[1]) / (8 * math.log(2))
    freedom, centrality = cells - 1, margin / unit
    if centrality > _NORMAL_FROM:
        spread = math.sqrt(2 * (freedom + 2 * centrality))
        point = freedom + centrality + float(stats.norm.isf(level)) * spread
    else:
        point = float(stats.ncx2.isf(level, freedom, centrality))
    return min(point * unit, 1.0)


def share_bar(margin: float, sizes: tuple[float, float], level: float) -> float:
    """What the change of a value's share exceeds with probability ``level``, whatever the share."""
    spread = math.sqrt(0.25 / sizes[0] + 0.25 / sizes[1])
    return min(margin + float(stats.norm.isf(level / 2)) * spread, 1.0)


def ratio_bar(margin: float, sizes: tuple[float, float], level: float) -> float:
    """What the ratio of two counts of impressions, the larger to the smaller, exceeds.

    The relative variance of a sum over independent users is the reciprocal of its effective size.
    """
    spread = math.sqrt(1 / sizes[0] + 1 / sizes[1])
    return margin * math.exp(float(stats.norm.isf(level / 2)) * spread)


def odds_ratio(rates: tuple[float, float]) -> float:
    """The odds of the first rate to those of the second; NaN where both are 0 or both 1."""
    first, second = (rate / (1 - rate) if rate < 1 else math.inf for rate in rates)
    if first == second:
        return 1.0 if 0 < first < math.inf else math.nan
    return first / second if second > 0 else math.inf


def odds_score(rates: tuple[float, float], sizes: tuple[float, float], margin: float) -> float:
    """By how many standard errors two rates' odds differ by more than the factor ``margin``.

    The score statistic of Miettinen and Nurminen 1985 ("Comparative analysis of two rates"), with
    the rates estimated under the hypothesis that the odds differ by just the margin. It holds for
    rare labels, where the logarithm of the odds ratio is far from normal or infinite.

    Args:
      rates: Of the label in the two samples.
      sizes: Effective sizes of the samples.
      margin: Factor above 1.

    Returns:
      Positive if the odds lie further apart than the margin, else negative.
    """
    low, high = sorted(zip(rates, sizes, strict=True))
    (p, n), (q, m) = low, high
    # Under the hypothesis the lower rate's odds are the higher rate's divided by the margin, and
    # the expected number of labels is the number seen: a quadratic equation in the higher rate.
    total = n * p + m * q
    a, b, c = m * (1 - margin), n + m * margin + total * (margin - 1), -total * margin
    upper = _root(a, b, c)
    lower = upper / (margin * (1 - upper) + upper)
    variance = _inverse(n * lower * (1 - lower)) + _inverse(m * upper * (1 - upper))
    return n * (lower - p) * math.sqrt(variance) if math.isfinite(variance) else -math.inf


def score_limit(level: float) -> float:
    """What :func:`odds_score` exceeds with probability ``level`` at the margin, at most."""
    return float(stats.norm.isf(level / 2))


def odds_bar(
    margin: float, rate: float, sizes: tuple[float, float], level: float, rises: bool
) -> float:
    """The odds ratio, larger to smaller, at which a sample of the first size is refused.

    Args:
      margin: By what factor the true odds may differ.
      rate: Of the second sample.
      sizes: Effective sizes of both samples.
      level: Probability of a false alarm at the margin.
      rises: Whether the first sample's rate lies above the second's.

    Returns:
      Infinity where even no label, or nothing but labels, could be chance.
    """
    limit = score_limit(level)
    far = 1.0 if rises else 0.0
    if not odds_score((far, rate), sizes, margin) > limit:
        return math.inf
    near = rate
    for _ in range(60):
        middle = (near + far) / 2
        if odds_score((middle, rate), sizes, margin) > limit:
            far = middle
        else:
            near = middle
    ratio = odds_ratio((far, rate))
    return ratio if rises else (1 / ratio if ratio > 0 else math.inf)


def _root(a: float, b: float, c: float) -> float:
    """The root in (0, 1) of ``a x^2 + b x + c``."""
    return float(-2 * c / (b + np.sqrt(max(b * b - 4 * a * c, 0.0))))


def _inverse(value: float) -> float:
    return 1 / value if value > 0 else math.inf
