"""Watch times drawn from the tables have the marginals of the observations they were made of."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from mtfx.environments.simulator.fitting.watch_tables import fit_watch_tables, no_watch_tables
from mtfx.environments.simulator.watch_time import expected_watch_s, sampled_watch_s


def planted(size, seed):
    """Far from normal: often nothing at all, two modes, a cut; it depends on the prediction."""
    rng = np.random.default_rng(seed)
    means = rng.normal(1.8, 0.7, (size, 2))
    primary = rng.random(size) < 0.4
    mean = np.where(primary, means[:, 0] + 0.8, means[:, 1])
    mode = np.where(rng.random(size) < 0.5, 0.9, -0.9)
    watch = np.expm1(np.maximum(mean + mode + 0.2 * rng.normal(size=size), 0))
    watch[rng.random(size) < np.where(primary, 0.02, 0.25)] = 0.0
    return means, primary, np.minimum(watch, 60.0), np.full(size, 60.0)


@pytest.fixture(scope="module")
def tables():
    return fit_watch_tables(*planted(20_000, 0))


def draw(tables, means, primary, longest, seed):
    positions = tables.positions(means)
    branch = np.where(primary, 0, 1).astype(np.int32)
    position = positions[np.arange(len(branch)), branch]
    uniform = np.random.default_rng(seed).random(len(branch)).astype(np.float32)
    arguments = (tf.constant(tables.quantiles), branch, position)
    longest = longest.astype(np.float32)
    return (
        sampled_watch_s(*arguments, uniform, longest).numpy(),
        expected_watch_s(*arguments, longest).numpy(),
    )


@pytest.mark.parametrize("seed", [1, 2])
def test_sampled_marginals_are_the_observed_ones(tables, seed):
    # Many: the mean of 8,000 is itself uncertain by one percent, as that of the tables is.
    means, primary, watch, longest = planted(200_000, seed)
    sampled, expected = draw(tables, means, primary, longest, 100 + seed)
    for rows in (primary, ~primary):
        # A level's hat function reaches one level to either side, which blurs the share of 0 s by
        # as much; and the 8,000 rows of the tables are 0.015 from the truth in 1 of 20 cases.
        bound = 2 / 64 + 0.015
        assert stats.ks_2samp(sampled[rows], watch[rows]).statistic < bound
        # A normal distribution of the logarithm, as good as any, is not within it.
        logs = np.log1p(watch[rows])
        normal = np.random.default_rng(seed).normal(logs.mean(), logs.std(), len(logs))
        normal = np.clip(np.expm1(normal), 0, 60)
        assert stats.ks_2samp(normal, watch[rows]).statistic > bound
        assert sampled[rows].mean() == pytest.approx(watch[rows].mean(), rel=0.04)
        assert expected[rows].mean() == pytest.approx(watch[rows].mean(), rel=0.04)


def test_they_follow_the_prediction(tables):
    means, primary, watch, longest = planted(200_000, 3)
    sampled, _ = draw(tables, means, primary, longest, 103)
    high = means[:, 0] > 2.5
    for rows in (primary & high, primary & ~high):
        assert sampled[rows].mean() == pytest.approx(watch[rows].mean(), rel=0.06)


def test_a_bins_mean_is_exactly_the_observed_one():
    watch = np.random.default_rng(4).exponential(10.0, 128)
    found = fit_watch_tables(np.zeros((128, 2)), np.ones(128, bool), watch, np.zeros(128))
    table = found.quantiles[0, 0]
    assert 0.5 * (table[1:] + table[:-1]).mean() == pytest.approx(watch.mean(), rel=1e-5)
    assert (np.diff(table) >= 0).all()
    assert watch.min() <= table[0]
    assert table[-1] <= watch.max()


def test_times_beyond_the_longest_are_cut_and_an_unknown_length_cuts_nothing():
    watch = np.array([5.0, 80.0] * 50)
    found = [
        fit_watch_tables(np.zeros((100, 2)), np.ones(100, bool), watch, np.full(100, longest))
        for longest in (30.0, 0.0)
    ]
    assert [table.quantiles.max() for table in found] == [30.0, 80.0]


def test_few_rows_share_a_bin_and_a_branch_without_rows_takes_all():
    rng = np.random.default_rng(5)
    means = rng.normal(size=(450, 2))
    found = fit_watch_tables(means, np.ones(450, bool), np.arange(450.0), np.zeros(450))
    assert found.quantiles.shape == (2, 4, 65)
    assert found.quantiles[1].mean() == pytest.approx(224.5, rel=0.02)
    positions = found.positions(np.array([[-9.0, -9.0], [9.0, 9.0]]))
    np.testing.assert_array_equal(positions, [[0, 0], [3, 3]])


def test_a_branch_with_fewer_bins_stays_within_its_own():
    rng = np.random.default_rng(6)
    primary = np.arange(1000) < 200
    found = fit_watch_tables(rng.normal(size=(1000, 2)), primary, np.ones(1000), np.zeros(1000))
    assert found.centres.shape == (2, 8)
    assert found.positions(np.full((1, 2), 9.0)).tolist() == [[1.0, 7.0]]


def test_no_watch_times_are_no_seconds():
    assert not no_watch_tables().quantiles.any()
