"""The bootstrap: against a direct resampling, its coverage, several fits."""

import numpy as np
import pytest

from evaluation.ope.bootstrap import mean_interval, percentile_interval, resample_counts
from evaluation.ope.config import BootstrapConfig

MANY = BootstrapConfig(resamples=4000, confidence=0.9)


def test_counts_are_of_draws_with_replacement():
    counts = np.concatenate(list(resample_counts(50, 3000, np.random.default_rng(0))))
    assert counts.shape == (3000, 50)
    assert (counts.sum(axis=1) == 50).all()
    # Binomial(50, 1/50): mean 1, variance 49/50.
    assert counts.mean() == 1
    assert counts.var() == pytest.approx(0.98, abs=0.02)


def test_the_interval_is_that_of_direct_resampling():
    values = np.random.default_rng(1).exponential(size=80)
    rng = np.random.default_rng(2)
    direct = [rng.choice(values, 80).mean() for _ in range(4000)]
    expected = np.quantile(direct, [0.05, 0.95])
    np.testing.assert_allclose(mean_interval(values[None], MANY, 3), expected, atol=0.015)
    by_statistic = percentile_interval(lambda counts: counts @ values / 80, 80, MANY, 3)
    np.testing.assert_allclose(by_statistic, expected, atol=0.015)


def test_it_covers_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(3)
    config = BootstrapConfig(resamples=400, confidence=0.9)
    inside = 0
    for trial in range(300):
        low, high = mean_interval(rng.normal(5, 2, (1, 60)), config, trial)
        inside += low < 5 < high
    assert 0.84 < inside / 300 < 0.95


def test_fits_that_differ_widen_it():
    values = np.random.default_rng(4).normal(size=100)
    same = mean_interval(np.stack([values] * 4), MANY, 0)
    apart = mean_interval(np.stack([values + shift for shift in (-3, -1, 1, 3)]), MANY, 0)
    np.testing.assert_allclose(same, mean_interval(values[None], MANY, 1), atol=0.02)
    # The standard deviation of the mean of 4 draws from those shifts is sqrt(5) / 2.
    assert apart[1] - apart[0] > 0.8 * 2 * 1.645 * np.sqrt(5) / 2


def test_undefined_resamples_are_left_out():
    gaps = percentile_interval(lambda c: np.where(c[:, 0] > 0, 2.0, np.nan), 9, MANY, 0)
    assert gaps == (2.0, 2.0)
    assert np.isnan(percentile_interval(lambda c: c[:, 0] * np.nan, 9, MANY, 0)).all()
    with pytest.raises(ValueError, match=r"must be \[fit, session\]"):
        mean_interval(np.zeros(3), MANY, 0)
