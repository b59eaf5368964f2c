"""The bootstrap: against a direct resampling, its coverage, several fits."""

import numpy as np
import pytest

from mtfx.evaluation.ope.bootstrap import (
    mean_interval,
    percentile_interval,
    refit_interval,
    resample_counts,
)
from mtfx.evaluation.ope.config import BootstrapConfig

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
    np.testing.assert_allclose(mean_interval(values, MANY, 3), expected, atol=0.015)
    by_statistic = percentile_interval(lambda counts: counts @ values / 80, 80, MANY, 3)
    np.testing.assert_allclose(by_statistic, expected, atol=0.015)


def test_it_covers_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(3)
    config = BootstrapConfig(resamples=400, confidence=0.9)
    inside = 0
    for trial in range(300):
        low, high = mean_interval(rng.normal(5, 2, 60), config, trial)
        inside += low < 5 < high
    assert 0.84 < inside / 300 < 0.95


def test_networks_fitted_on_resamples_cover_the_mean_as_often_as_they_say():
    # A network that gives every state the mean of the sessions it was fitted on.
    rng = np.random.default_rng(4)
    inside = 0
    for _ in range(600):
        sample = rng.normal(5, 2, 60)
        fitted = rng.choice(sample, (5, 60)).mean(axis=1)
        low, high = refit_interval(np.repeat(fitted[:, None], 7, axis=1), 0.9)
        inside += low < 5 < high
    assert 0.87 < inside / 600 < 0.93


def test_the_interval_of_several_networks_by_hand():
    # Networks' means 6 and 8: variance 2, half as much again; states' means 6 and 8: variance 2, of
    # two states. Student's t with one degree of freedom at 0.75 is 1.
    values = np.array([[5.0, 7.0], [7.0, 9.0]])
    assert refit_interval(values, 0.5) == pytest.approx((7.0 - 2.0, 7.0 + 2.0))


def test_undefined_resamples_are_left_out():
    gaps = percentile_interval(lambda c: np.where(c[:, 0] > 0, 2.0, np.nan), 9, MANY, 0)
    assert gaps == (2.0, 2.0)
    assert np.isnan(percentile_interval(lambda c: c[:, 0] * np.nan, 9, MANY, 0)).all()
    with pytest.raises(ValueError, match=r"must be \[session\], got shape \(3, 1\)"):
        mean_interval(np.zeros((3, 1)), MANY, 0)
    with pytest.raises(ValueError, match=r"must be \[fit, state\], two at least"):
        refit_interval(np.zeros((1, 3)), 0.9)
