"""Exploration: densities against SciPy, distributions of the draws, and who gets which policy."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from mtfx.agents.config import EXPLORATIONS
from mtfx.agents.exploration import (
    ActionNoise,
    MixedExploration,
    RandomExploration,
    build_exploration,
)
from mtfx.models.action_policy import ActionSample

NUMBER, DIM = 20_000, 2


class Tilted:
    """A policy whose action depends on the state and reaches the bound."""

    def actions(self, states, users, seed):
        del users, seed
        action = tf.clip_by_value(states[:, :DIM], -1.0, 1.0)
        return ActionSample(action, tf.fill([tf.shape(states)[0]], float("nan")))


def draw(policy, states=None, users=None, seed=(1, 2)):
    states = tf.zeros([NUMBER, 3]) if states is None else states
    users = tf.range(len(states)) if users is None else users
    return tf.function(policy.actions, autograph=False)(states, users, tf.constant(seed, tf.int32))


def scipy_log_density(actions, centres, deviation):
    low, high = (-1 - centres) / deviation, (1 - centres) / deviation
    return stats.truncnorm.logpdf(actions, low, high, centres, deviation).sum(axis=-1)


def test_random_exploration_draws_what_it_says():
    policy = RandomExploration(DIM, 0.5)
    sample = draw(policy)
    low, high = -1 / 0.5, 1 / 0.5
    for column in sample.action.numpy().T:
        assert stats.kstest(column, stats.truncnorm(low, high, 0, 0.5).cdf).pvalue > 1e-3
    assert abs(np.corrcoef(sample.action.numpy().T)[0, 1]) < 0.03
    expected = scipy_log_density(sample.action.numpy(), np.zeros(DIM), 0.5)
    np.testing.assert_allclose(sample.log_density, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        policy.log_density(tf.zeros([NUMBER, 3]), sample.action), sample.log_density, rtol=1e-5
    )


@pytest.mark.parametrize("centre", [-1.0, 0.2, 0.97])
def test_action_noise_is_around_the_policys_action(centre):
    states = tf.fill([NUMBER, 3], centre)
    sample = draw(ActionNoise(Tilted()), states)
    actions = sample.action.numpy()
    assert np.abs(actions).max() <= 1
    low, high = (-1 - centre) / 0.1, (1 - centre) / 0.1
    assert stats.kstest(actions[:, 0], stats.truncnorm(low, high, centre, 0.1).cdf).pvalue > 1e-3
    expected = scipy_log_density(actions, np.full(DIM, centre), 0.1)
    np.testing.assert_allclose(sample.log_density, expected, rtol=1e-4, atol=1e-3)


def test_far_from_the_bounds_noise_is_equation_8():
    states = tf.random.stateless_uniform([NUMBER, 3], (0, 1), -0.4, 0.4)
    sample = draw(ActionNoise(Tilted(), 0.1), states)
    noise = sample.action.numpy() - states.numpy()[:, :DIM]
    assert stats.kstest(noise[:, 1], stats.norm(0, 0.1).cdf).pvalue > 1e-3


def mixed():
    return MixedExploration(RandomExploration(DIM), ActionNoise(Tilted()))


def test_half_of_the_users_explore_at_random_for_good():
    policy = mixed()
    users = tf.range(NUMBER)
    parts = policy.parts(users).numpy()
    assert policy.part_names == ("random", "noise")
    # Three standard deviations of a fair coin.
    assert abs(parts.mean() - 0.5) < 3 * 0.5 / np.sqrt(NUMBER)
    # The hash is stable: these are what it gave when this was written.
    assert parts[:12].tolist() == [1, 0, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1]
    order = np.random.default_rng(0).permutation(NUMBER)
    np.testing.assert_array_equal(policy.parts(tf.gather(users, order)), parts[order])


def test_each_half_has_its_own_distribution_and_density():
    policy = mixed()
    states = tf.fill([NUMBER, 3], 0.5)
    sample = draw(policy, states)
    parts = policy.parts(tf.range(NUMBER)).numpy()
    actions, densities = sample.action.numpy(), sample.log_density.numpy()
    for part, centre, deviation in ((0, 0.0, 0.5), (1, 0.5, 0.1)):
        rows = parts == part
        expected = scipy_log_density(actions[rows], np.full(DIM, centre), deviation)
        np.testing.assert_allclose(densities[rows], expected, rtol=1e-4, atol=1e-3)
        cdf = stats.truncnorm(
            (-1 - centre) / deviation, (1 - centre) / deviation, centre, deviation
        ).cdf
        assert stats.kstest(actions[rows, 0], cdf).pvalue > 1e-3


@pytest.mark.parametrize("name", EXPLORATIONS)
def test_actions_follow_from_the_seed(name):
    policy = build_exploration(name, DIM, Tilted())
    first, again = draw(policy).action, draw(policy).action
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, draw(policy, seed=(1, 3)).action)


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="no exploration 'greedy'; there are: mixed"):
        build_exploration("greedy", DIM, Tilted())
    for deviation in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="standard deviation must be positive"):
            RandomExploration(DIM, deviation)
    with pytest.raises(ValueError, match="at least one coordinate"):
        RandomExploration(0)
