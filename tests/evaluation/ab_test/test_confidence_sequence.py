"""Confidence sequences: the published equation, its error over many looks, and wrong arguments."""

import math

import numpy as np
import pytest

from mtfx.evaluation.ab_test.confidence_sequence import always_valid_p, margins

ALPHA = 0.05


def published(t, sigma, rho, alpha):
    """Waudby-Smith et al. (2021), theorem 2.2, as it is printed."""
    inside = 2 * (t * rho**2 + 1) / (t**2 * rho**2) * math.log(math.sqrt(t * rho**2 + 1) / alpha)
    return sigma * math.sqrt(inside)


def test_margins_are_the_published_ones():
    sigma, rho = 3.0, 0.2
    times = np.asarray([1, 10, 100, 10_000])
    found = margins(sigma**2 / times, sigma * rho, ALPHA)
    np.testing.assert_allclose(found, [published(t, sigma, rho, ALPHA) for t in times], rtol=1e-12)


def test_the_scale_is_where_the_sequence_is_tightest():
    variances = np.geomspace(1e-3, 1e3, 20_000)
    ratio = margins(variances, 1.0, ALPHA) / np.sqrt(variances)
    best = int(ratio.argmin())
    assert ratio[best] / 1.959964 == pytest.approx(1.55, abs=0.005)
    assert margins(variances, 1.0, ALPHA)[best] == pytest.approx(1.0, abs=0.07)


def test_p_values_say_what_the_sequence_says():
    rng = np.random.default_rng(1)
    variances = 1.0 / np.arange(1, 40)
    estimates = np.cumsum(rng.normal(0.7, 1.0, 39)) * variances
    outside = np.abs(estimates) > margins(variances, 0.3, ALPHA)
    p = always_valid_p(estimates, variances, 0.3)
    assert outside.any()
    assert not outside.all()
    np.testing.assert_array_equal(p <= ALPHA, np.logical_or.accumulate(outside))
    assert (np.diff(p) <= 0).all()
    assert p[0] <= 1.0


@pytest.mark.parametrize("scale", [0.05, 0.3, 1.0])
def test_many_looks_do_not_inflate_the_error(scale):
    """1,000 sequences without a difference, of exponential values, looked at 30 times each."""
    rng = np.random.default_rng(7)
    values = rng.exponential(size=(1000, 30, 40)) - 1.0
    sums, squares = values.sum(2).cumsum(1), (values**2).sum(2).cumsum(1)
    count = 40 * np.arange(1, 31)
    means = sums / count
    variances = (squares / count - means**2) / (count - 1)
    half = np.asarray([margins(row, scale, ALPHA) for row in variances])
    false_alarms = (np.abs(means) > half).any(axis=1).mean()
    every_day = (np.abs(means) > 1.959964 * np.sqrt(variances)).any(axis=1).mean()
    # Three standard errors of a share of 5% in 1,000.
    assert false_alarms <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / 1000)
    assert every_day > 0.2


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="variances must be positive"):
        margins(np.asarray([1.0, 0.0]), 1.0, ALPHA)
    with pytest.raises(ValueError, match="scale must be positive"):
        always_valid_p(np.ones(1), np.ones(1), 0.0)
    with pytest.raises(ValueError, match="alpha"):
        margins(np.ones(1), 1.0, 1.0)
