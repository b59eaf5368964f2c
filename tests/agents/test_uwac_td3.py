"""UWAC's weights (Wu et al., 2021, equations (4) and (5)) and its losses against NumPy."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from tf_agents.trajectories import time_step as ts

from mtfx.agents.building import build_agent
from mtfx.agents.config import UwacTd3Config
from mtfx.agents.transition_tensors import TransitionTensors, experience
from tests.agents.numpy_networks import actor, critic, draw, moved, shift, values_of

STATES, ACTIONS, ROWS = 4, 3, 6
CONFIG = UwacTd3Config(
    hidden_units=(9,), gamma=0.8, target_noise=0.0, dropout=0.2, uncertainty_samples=7, beta=0.02
)


def small_agent(config=CONFIG):
    agent = build_agent("uwac_td3", STATES, ACTIONS, config, seed=1)
    shift(
        [
            agent._actor_network,
            agent._target_actor_network,
            *(agent._critic_network_1, agent._critic_network_2),
            *(agent._target_critic_network_1, agent._target_critic_network_2),
        ]
    )
    return agent


@pytest.fixture(scope="module")
def agent():
    return small_agent()


@pytest.fixture(scope="module")
def steps():
    ends = np.resize([1.0, 1.0, 0.0], ROWS).astype(np.float32)
    return (
        ts.TimeStep(tf.fill([ROWS], 1), tf.zeros([ROWS]), tf.ones([ROWS]), draw(ROWS, STATES)),
        np.tanh(draw(ROWS, ACTIONS, seed=1)),
        ts.TimeStep(
            tf.fill([ROWS], 1),
            tf.constant(draw(ROWS, seed=2)),
            tf.constant(ends),
            tf.constant(draw(ROWS, STATES, seed=3)),
        ),
    )


@settings(max_examples=50)
@given(
    variance=st.lists(st.floats(0, 1e6, width=32), min_size=1, max_size=9),
    beta=st.floats(1e-3, 10),
    bound=st.floats(1e-2, 10),
)
def test_weights_are_inverse_variances_up_to_a_bound(variance, beta, bound):
    agent = WEIGHER
    agent.config = UwacTd3Config(hidden_units=(2,), beta=beta, max_weight=bound)
    with np.errstate(divide="ignore"):
        expected = np.minimum(beta / np.float64(variance), bound)
    np.testing.assert_allclose(agent.weights(tf.constant(variance)), expected, rtol=1e-4)


WEIGHER = build_agent("uwac_td3", 2, 1, UwacTd3Config(hidden_units=(2,)))


def test_the_uncertainty_is_that_of_dropout(agent, steps):
    """With one hidden layer it has a closed form: w_i h_i m_i / (1 - p) with independent masks."""
    agent = small_agent(
        UwacTd3Config(hidden_units=(9,), dropout=0.2, uncertainty_samples=6000, beta=0.02)
    )
    now, actions, _ = steps
    pair = (agent._critic_network_1, agent._critic_network_2)
    means, variance = agent.uncertain_values(pair, now.observation, tf.constant(actions), 1)
    expected = np.zeros(ROWS)
    for number, network in enumerate(pair):
        joined = np.concatenate([now.observation, actions], axis=1).astype(np.float64)
        kernels, biases = network.mlp.kernels, network.mlp.biases
        hidden = np.maximum(joined @ kernels[0].numpy() + biases[0].numpy(), 0)
        terms = hidden * kernels[1].numpy()[:, 0]
        expected += np.square(terms).sum(axis=1) * 0.2 / 0.8
        deviation = np.sqrt(np.square(terms).sum(axis=1) * 0.25 / 6000)
        off = np.abs(means[number] - (terms.sum(axis=1) + biases[1].numpy()))
        assert (off < 5 * deviation + 1e-5).all()
    np.testing.assert_allclose(variance, expected, rtol=0.12)


def test_critic_loss(agent, steps):
    now, actions, after = steps
    states = after.observation.numpy()
    chosen = actor(agent._target_actor_network, states)
    targets = (agent._target_critic_network_1, agent._target_critic_network_2)
    means, variance = agent.uncertain_values(targets, states, tf.constant(chosen, tf.float32), 1)
    factor = 0.8 * after.discount.numpy()
    y = after.reward.numpy() + factor * np.min(means, axis=0)
    with np.errstate(divide="ignore"):
        weights = np.minimum(0.02 / (factor**2 * variance.numpy()), 1.0)
    ended = factor == 0
    # A session's last reward is certain, and others are not all equally so.
    assert (weights[ended] == 1).all()
    assert weights[~ended].min() < 0.9
    pair = (agent._critic_network_1, agent._critic_network_2)
    expected = sum(
        np.mean(weights * np.square(y - critic(network, now.observation, actions)))
        for network in pair
    )
    loss = agent.critic_loss(now, tf.constant(actions), after)
    assert float(loss) == pytest.approx(expected, rel=1e-4)
    dropped = agent.critic_loss(now, tf.constant(actions), after, training=True)
    assert float(dropped) != pytest.approx(expected, rel=1e-3)
    double = agent.critic_loss(now, tf.constant(actions), after, tf.fill([ROWS], 2.0))
    assert float(double) == pytest.approx(2 * expected, rel=1e-4)


def test_actor_loss(agent, steps):
    states = steps[0].observation
    chosen = actor(agent._actor_network, states)
    pair = (agent._critic_network_1, agent._critic_network_2)
    _, variance = agent.uncertain_values(pair, states, tf.constant(chosen, tf.float32), 5)
    weights = np.minimum(0.02 / variance.numpy(), 1.0)
    expected = -np.mean(weights * critic(pair[0], states, chosen))
    assert float(agent.actor_loss(steps[0])) == pytest.approx(expected, rel=1e-4)


def test_weights_have_no_gradient(agent, steps):
    """Else the actor would climb to where critics are certain, not to where they are high."""
    states = tf.constant(steps[0].observation)
    variables = agent._actor_network.trainable_variables
    with tf.GradientTape() as tape:
        loss = agent.actor_loss(steps[0])
    found = tape.gradient(loss, variables)
    chosen = tf.constant(actor(agent._actor_network, states.numpy()), tf.float32)
    pair = (agent._critic_network_1, agent._critic_network_2)
    weights = agent.weights(agent.uncertain_values(pair, states, chosen, 5)[1]).numpy()
    with tf.GradientTape() as tape:
        values, _ = pair[0]((states, agent._actor_network(states)[0]))
        plain = -tf.reduce_mean(tf.constant(weights) * values)
    for first, second in zip(found, tape.gradient(plain, variables), strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-6)


def test_draws_are_a_function_of_the_step(steps):
    agent = small_agent()
    now, actions, _ = steps
    pair = (agent._critic_network_1, agent._critic_network_2)

    def variance(purpose):
        return agent.uncertain_values(pair, now.observation, tf.constant(actions), purpose)[1]

    first = variance(1)
    np.testing.assert_array_equal(first, variance(1))
    assert not np.allclose(first, variance(5))
    agent.train_step_counter.assign_add(1)
    assert not np.allclose(first, variance(1))


def test_training_moves_the_critics(steps):
    agent = small_agent()
    before = values_of(agent._critic_network_1)
    now, actions, after = steps
    data = TransitionTensors(
        now.observation, tf.constant(actions), after.reward, after.observation, after.discount
    )
    info = agent.train(experience(data, tf.range(ROWS)))
    assert np.isfinite(float(info.loss))
    assert moved(before, agent._critic_network_1)
