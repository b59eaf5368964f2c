"""Watch times from quantile tables against NumPy's interpolation and a numeric integral."""

import numpy as np
import pytest
import tensorflow as tf

from mtfx.environments.simulator.watch_time import (
    UNKNOWN_LONGEST_S,
    expected_watch_s,
    sampled_watch_s,
)

BINS, LEVELS, ROWS = 5, 9, 300


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(0)
    quantiles = np.sort(rng.gamma(1.0, 20.0, (2, BINS, LEVELS)), axis=-1).astype(np.float32)
    # An atom: a flat piece of the quantile function.
    quantiles[0, 1, :4] = 0.0
    branch = rng.integers(0, 2, ROWS).astype(np.int32)
    position = rng.uniform(0, BINS - 1, ROWS).astype(np.float32)
    position[:2] = 0.0, BINS - 1
    longest = rng.choice([0.0, 3.0, 15.0, 200.0], ROWS).astype(np.float32)
    return quantiles, branch, position, longest


def twin(quantiles, branch, position, uniform, longest):
    """One row after the other."""
    found = []
    for k, place, u, most in zip(branch, position, uniform, longest, strict=True):
        at = [np.interp(place, np.arange(BINS), quantiles[k, :, level]) for level in range(LEVELS)]
        seconds = np.interp(u, np.linspace(0, 1, LEVELS), at)
        found.append(min(seconds, most or UNKNOWN_LONGEST_S))
    return np.array(found)


def test_samples_are_numpys(case):
    quantiles, branch, position, longest = case
    uniform = np.random.default_rng(1).random(ROWS).astype(np.float32)
    uniform[:4] = 0.0, 1 - 1e-7, 0.0, 1 - 1e-7
    found = sampled_watch_s(
        *(tf.constant(v) for v in (quantiles, branch, position)), uniform, longest
    )
    expected = twin(quantiles, branch, position, uniform, longest)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


def test_the_expectation_is_the_mean_of_the_samples(case):
    quantiles, branch, position, longest = case
    grid = (np.arange(1000) + 0.5) / 1000
    rows = range(0, ROWS, 15)
    found = expected_watch_s(*(tf.constant(v) for v in case)).numpy()
    for row in rows:
        args = [np.repeat(v[row], len(grid)) for v in (branch, position)]
        values = twin(quantiles, *args, grid, np.repeat(longest[row], len(grid)))
        assert found[row] == pytest.approx(values.mean(), rel=1e-3, abs=1e-4)


def test_one_bin_is_enough():
    quantiles = tf.constant([[[0.0, 10.0]], [[1.0, 3.0]]])
    branch, zero, longest = tf.constant([0, 1]), tf.zeros(2), tf.fill([2], 60.0)
    half = tf.fill([2], 0.5)
    np.testing.assert_allclose(sampled_watch_s(quantiles, branch, zero, half, longest), [5, 2])
    np.testing.assert_allclose(expected_watch_s(quantiles, branch, zero, longest), [5, 2])
