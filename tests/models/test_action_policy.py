"""Truncated noise around actions: densities against SciPy, and draws that have them."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import trapezoid

from mtfx.models.action_policy import draw_around, truncated_normal_log_density

DIM = 2


def scipy_log_density(actions, centres, deviation):
    low, high = (-1 - centres) / deviation, (1 - centres) / deviation
    return stats.truncnorm.logpdf(actions, low, high, centres, deviation).sum(axis=-1)


@settings(max_examples=40)
@given(
    st.lists(st.floats(-1, 1, width=32), min_size=DIM, max_size=DIM),
    st.lists(st.floats(-1, 1, width=32), min_size=DIM, max_size=DIM),
    st.floats(0.05, 2),
)
def test_the_density_is_scipys(action, centre, deviation):
    action, centre = np.float32([action]), np.float32([centre])
    found = truncated_normal_log_density(tf.constant(action), tf.constant(centre), deviation)
    np.testing.assert_allclose(
        found, scipy_log_density(action, centre, deviation), rtol=1e-4, atol=1e-3
    )


def test_a_density_integrates_to_one():
    grid = np.linspace(-1, 1, 4001, dtype=np.float32)[:, None]
    for centre in (-1.0, -0.3, 0.95):
        density = np.exp(truncated_normal_log_density(grid, tf.constant([centre]), 0.1))
        assert trapezoid(density, grid[:, 0]) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("centre", [-1.0, 0.2, 0.97])
def test_draws_are_distributed_as_their_densities_say(centre):
    centres = tf.fill([20_000, DIM], centre)
    sample = draw_around(centres, 0.1, tf.constant([1, 2]))
    actions = sample.action.numpy()
    assert np.abs(actions).max() <= 1
    low, high = (-1 - centre) / 0.1, (1 - centre) / 0.1
    assert stats.kstest(actions[:, 0], stats.truncnorm(low, high, centre, 0.1).cdf).pvalue > 1e-3
    expected = scipy_log_density(actions, centres.numpy(), 0.1)
    np.testing.assert_allclose(sample.log_density, expected, rtol=1e-4, atol=1e-3)
    again = draw_around(centres, 0.1, tf.constant([1, 2]))
    np.testing.assert_array_equal(actions, again.action)
