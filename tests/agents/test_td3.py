"""TD3's loss, noise and delays (Fujimoto et al., 2018, Algorithm 1) against NumPy."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.trajectories import time_step as ts

from mtfx.agents.building import build_agent, q_values
from mtfx.agents.config import Td3Config
from mtfx.agents.transition_tensors import TransitionTensors, experience
from tests.agents.numpy_networks import actor, critic, draw, moved, shift, slope, values_of

STATES, ACTIONS, ROWS = 4, 3, 8
CONFIG = Td3Config(
    hidden_units=(7, 6), gamma=0.8, target_noise=0.0, target_update_tau=0.3, policy_delay=3
)


def networks(agent):
    return {
        "actor": (agent._actor_network, agent._target_actor_network),
        "critic_1": (agent._critic_network_1, agent._target_critic_network_1),
        "critic_2": (agent._critic_network_2, agent._target_critic_network_2),
    }


def small_agent(config=CONFIG, actions=ACTIONS):
    agent = build_agent("td3", STATES, actions, config, seed=1)
    shift([network for pair in networks(agent).values() for network in pair])
    return agent


@pytest.fixture
def agent():
    return small_agent()


@pytest.fixture
def data():
    return TransitionTensors(
        tf.constant(draw(ROWS, STATES)),
        tf.constant(np.tanh(draw(ROWS, ACTIONS, seed=1))),
        tf.constant(draw(ROWS, seed=2)),
        tf.constant(draw(ROWS, STATES, seed=3)),
        tf.constant(np.resize([1.0, 1.0, 0.0], ROWS).astype(np.float32)),
    )


def time_steps(data):
    return (
        ts.TimeStep(tf.fill([ROWS], 1), tf.zeros([ROWS]), tf.ones([ROWS]), data.states),
        ts.TimeStep(tf.fill([ROWS], 1), data.rewards, data.discounts, data.next_states),
    )


def numpy_targets(agent, data, noise=0.0):
    states = data.next_states.numpy()
    chosen = np.clip(actor(agent._target_actor_network, states) + noise, -1, 1)
    values = [
        critic(network, states, chosen)
        for network in (agent._target_critic_network_1, agent._target_critic_network_2)
    ]
    return data.rewards.numpy() + 0.8 * data.discounts.numpy() * np.minimum(*values)


def numpy_critic_loss(agent, data, targets):
    pair = (agent._critic_network_1, agent._critic_network_2)
    found = [critic(network, data.states.numpy(), data.actions.numpy()) for network in pair]
    return sum(np.mean(np.square(targets - values)) for values in found)


def test_critic_loss(agent, data):
    now, after = time_steps(data)
    expected = numpy_critic_loss(agent, data, numpy_targets(agent, data))
    loss = agent.critic_loss(now, data.actions, after, training=True)
    assert float(loss) == pytest.approx(expected, rel=1e-4)


def test_actor_loss(agent, data):
    now, _ = time_steps(data)
    states = data.states.numpy()
    values = critic(agent._critic_network_1, states, actor(agent._actor_network, states))
    assert float(agent.actor_loss(now)) == pytest.approx(-values.mean(), rel=1e-4)


def test_target_noise_is_clipped_and_so_are_the_actions():
    """Noise so wide that it is at one clip or the other: each loss is one of two."""
    clip = 0.4
    agent = small_agent(
        Td3Config(hidden_units=(7, 6), gamma=0.8, target_noise=1e6, target_noise_clip=clip), 1
    )
    # Near the upper bound, so that one of the two is cut there.
    agent._target_actor_network.mlp.biases[-1].assign([1.2])
    agent._target_actor_network.mlp.kernels[-1].assign(
        tf.zeros_like(agent._target_actor_network.mlp.kernels[-1])
    )
    state, following = draw(1, STATES), draw(1, STATES, seed=3)
    data = TransitionTensors(
        tf.constant(state),
        tf.constant([[0.3]]),
        tf.constant([0.5]),
        tf.constant(following),
        tf.constant([1.0]),
    )
    now = ts.restart(data.states, 1)
    after = ts.transition(data.next_states, data.rewards, data.discounts)
    expected = [
        numpy_critic_loss(agent, data, numpy_targets(agent, data, noise)) for noise in (-clip, clip)
    ]
    assert actor(agent._target_actor_network, following) + clip > 1
    assert abs(expected[0] - expected[1]) > 1e-3
    seen = set()
    for _ in range(30):
        loss = float(agent.critic_loss(now, data.actions, after))
        nearest = int(np.argmin(np.abs(loss - np.asarray(expected))))
        assert loss == pytest.approx(expected[nearest], rel=1e-4)
        seen.add(nearest)
    assert seen == {0, 1}


def test_the_critics_go_down_their_loss(agent, data):
    """Adam's first step is the learning rate against the sign of the gradient, weight by weight."""
    targets = numpy_targets(agent, data)
    slopes, before = {}, {}
    kernels = agent._critic_network_1.mlp.kernels
    for number, variable in enumerate(kernels):
        for index in [(0, 0), (1, 0), (2, variable.shape[1] - 1)]:
            before[number, index] = variable.numpy()[index]
            slopes[number, index] = slope(
                lambda: numpy_critic_loss(agent, data, targets), variable, index
            )
    agent.train(experience(data, tf.range(ROWS)))
    steep = {place: value for place, value in slopes.items() if abs(value) > 1e-3}
    assert len(steep) > 4
    for (number, index), value in steep.items():
        step = kernels[number].numpy()[index] - before[number, index]
        assert step == pytest.approx(-CONFIG.critic_learning_rate * np.sign(value), rel=1e-2)


def test_the_actor_climbs_the_first_critic(data):
    agent = small_agent(dataclasses.replace(CONFIG, actor_learning_rate=0.02, policy_delay=1))
    states = data.states.numpy()

    def value():
        return critic(agent._critic_network_1, states, actor(agent._actor_network, states)).mean()

    critics = {
        network: values_of(network)
        for name in ("critic_1", "critic_2")
        for network in networks(agent)[name]
    }
    first = value()
    for _ in range(8):
        agent.train(experience(data, tf.range(ROWS)))
        for network, weights in critics.items():
            for variable, start in zip(network.trainable_variables, weights, strict=True):
                variable.assign(start)
    assert value() > first + 0.01


def test_actor_and_targets_are_delayed(agent, data):
    batch = experience(data, tf.range(ROWS))
    moves = []
    for _ in range(7):
        pairs = networks(agent)
        before = {name: [values_of(network) for network in pair] for name, pair in pairs.items()}
        agent.train(batch)
        for name in ("critic_1", "critic_2"):
            assert moved(before[name][0], pairs[name][0])
        moves.append(moved(before["actor"][0], pairs["actor"][0]))
        due = int(agent.train_step_counter) % 3 == 0
        for name, (network, target) in pairs.items():
            rate = 0.3 if due else 0.0
            for source, old, new in zip(
                values_of(network), before[name][1], values_of(target), strict=True
            ):
                np.testing.assert_allclose(new, rate * source + (1 - rate) * old, atol=1e-6)
    assert int(agent.train_step_counter) == 7
    # One step of the actor for three of the critics.
    assert [sum(moves[start : start + 3]) for start in (0, 3)] == [1, 1]


def test_a_new_agent_starts_with_its_targets_and_two_critics():
    agent = build_agent("td3", STATES, ACTIONS, CONFIG, seed=3)
    for network, target in networks(agent).values():
        for first, second in zip(values_of(network), values_of(target), strict=True):
            np.testing.assert_array_equal(first, second)
    assert moved(values_of(agent._critic_network_1), agent._critic_network_2)


def test_values_and_policy(agent, data):
    states, actions = data.states.numpy(), data.actions.numpy()
    pair = (agent._critic_network_1, agent._critic_network_2)
    expected = np.minimum(*(critic(network, states, actions) for network in pair))
    np.testing.assert_allclose(q_values(agent, states, actions), expected, rtol=1e-4, atol=1e-5)
    chosen = actor(agent._actor_network, states)
    np.testing.assert_allclose(
        agent.greedy_actions(data.states, tf.constant([1, 2])), chosen, rtol=1e-4, atol=1e-5
    )
    step = agent.policy.action(ts.restart(data.states, ROWS))
    np.testing.assert_allclose(step.action, chosen, rtol=1e-4, atol=1e-5)
