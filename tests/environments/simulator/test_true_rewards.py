"""What items are worth, against probabilities and caps written out again."""

import numpy as np
import pytest
import tensorflow as tf

from mtfx.datasets.rewards import RewardConfig
from mtfx.environments.simulator.config import SimulatorConfig
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.true_rewards import true_rewards
from tests.simulator_worlds import random_world

WORLD = random_world(users=4, pool=6)


def of_reward(reward, samples, seed=0):
    return true_rewards(Simulator(WORLD, SimulatorConfig(reward=reward)), samples, seed)


def test_feedback_counts_by_its_probability():
    weights = (("click", 1.0), ("like", 3.0), ("long_view", 0.0))
    reward = RewardConfig(watch_weight=0, integrity_weight=0, feedback_weights=weights)
    found = of_reward(reward, samples=400)
    users, slots = np.repeat(np.arange(4), 6), np.tile(np.arange(6), 4)
    mood = tf.gather(tf.constant(WORLD.response.arrays()["mood"], tf.float32), users)
    chances = WORLD.response.probabilities(tf.constant(users), tf.constant(slots), mood).numpy()
    wanted = chances @ [1.0, 0.0, 3.0]
    # The mood varies from session to session, and the logistic function is not linear.
    np.testing.assert_allclose(found.ravel(), wanted, rtol=0.05, atol=0.01)


def test_watch_time_is_a_mean_over_responses():
    reward = RewardConfig(watch_weight=60.0, integrity_weight=0, interaction_weight=0)
    found = of_reward(reward, samples=600)
    users, slots = np.repeat(np.arange(4), 6), np.tile(np.arange(6), 4)
    mood = tf.gather(tf.constant(WORLD.response.arrays()["mood"], tf.float32), users)
    wanted = WORLD.response.expected_watch_s(tf.constant(users), tf.constant(slots), mood).numpy()
    assert np.corrcoef(found.ravel(), wanted)[0, 1] > 0.99
    np.testing.assert_allclose(found.mean(), wanted.mean(), rtol=0.1)


def test_another_seed_has_other_luck():
    one, same, other = (of_reward(RewardConfig(), 2, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    with pytest.raises(ValueError, match="samples must be at least 1"):
        of_reward(RewardConfig(), 0)
