"""Policies of a parameter vector, and a search over them."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from mtfx.agents.search import evolution
from mtfx.agents.search.evolution import EvolutionConfig
from mtfx.agents.search.policies import (
    ConstantVectorPolicy,
    NetworkPolicy,
    NetworkShape,
    PopulationObjective,
)

SEED = tf.constant([0, 0])
SHAPE = NetworkShape(state_dim=4, action_dim=2, hidden_units=(3,))


def act(policy, states):
    states = tf.convert_to_tensor(states)
    return policy.actions(states, tf.zeros(tf.shape(states)[:1], tf.int32), SEED)


def network(parameters: np.ndarray, state: np.ndarray) -> np.ndarray:
    """One state through SHAPE, by hand."""
    w1, b1 = parameters[:12].reshape(4, 3), parameters[12:15]
    w2, b2 = parameters[15:21].reshape(3, 2), parameters[21:]
    return np.tanh(np.tanh(state @ w1 / 2 + b1) @ w2 / np.sqrt(3) + b2)


def test_every_member_acts_on_its_own_block():
    rng = np.random.default_rng(0)
    parameters = rng.normal(size=(3, SHAPE.parameters))
    states = rng.normal(size=(6, 4)).astype(np.float32)
    policy = NetworkPolicy(SHAPE, members=3)
    policy.assign(parameters)
    expected = [network(parameters[row // 2], states[row]) for row in range(6)]
    sample = tf.function(lambda s: act(policy, s), autograph=False)(states)
    np.testing.assert_allclose(sample.action, expected, rtol=1e-5, atol=1e-6)
    assert np.all(np.isnan(sample.log_density))
    assert sample.log_density.shape == (6,)


def test_constants_are_clipped_to_the_bounds_of_actions():
    policy = ConstantVectorPolicy(2, members=2)
    policy.assign(np.array([[0.5, -3.0], [0.0, 1.0]]))
    np.testing.assert_allclose(
        act(policy, np.zeros((4, 7), np.float32)).action,
        [[0.5, -1.0], [0.5, -1.0], [0.0, 1.0], [0.0, 1.0]],
    )


def test_one_vector_serves_all_members():
    policy = ConstantVectorPolicy(2, members=3)
    policy.assign(np.array([0.1, 0.2]))
    np.testing.assert_allclose(policy.parameters, [[0.1, 0.2]] * 3)


def test_bad_sizes_are_named():
    policy = ConstantVectorPolicy(2, members=3)
    with pytest.raises(ValueError, match=r"takes parameters \[3, 2\], got \[2, 2\]"):
        policy.assign(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="parameters must be finite"):
        policy.assign(np.array([np.nan, 0.0]))
    with pytest.raises(tf.errors.InvalidArgumentError, match="multiple of the policy's 3 members"):
        act(policy, np.zeros((4, 7), np.float32))
    with pytest.raises(ValueError, match="sizes must be positive"):
        NetworkShape(4, 2, (0,))
    with pytest.raises(ValueError, match="needs parameters and members"):
        ConstantVectorPolicy(2, members=0)


def test_any_number_of_points_is_evaluated_in_blocks():
    policy = ConstantVectorPolicy(1, members=4)
    calls = []

    def evaluate(policy):
        calls.append(policy.parameters.numpy()[:, 0])
        return 10 * calls[-1]

    points = np.linspace(-1, 1, 6)[:, np.newaxis]
    values = PopulationObjective(policy, evaluate)(points)
    np.testing.assert_allclose(values, 10 * points[:, 0], rtol=1e-6)
    np.testing.assert_allclose(calls[1], [0.6, 1.0, 1.0, 1.0])


def test_evolution_learns_a_personal_action_without_tracing_anew():
    """The best action is a function of the state, which no constant reaches."""
    members, sessions = 16, 32
    rng = np.random.default_rng(0)
    states = rng.normal(size=(sessions, 4)).astype(np.float32)
    wanted = np.stack([np.sign(states[:, 0]), -np.sign(states[:, 1])], axis=1).astype(np.float32)
    policy = NetworkPolicy(SHAPE, members)
    traces = []

    @tf.function(autograph=False)
    def member_rewards():
        traces.append(1)
        tiled = tf.tile(tf.constant(states), [members, 1])
        error = act(policy, tiled).action - tf.tile(tf.constant(wanted), [members, 1])
        return -tf.reduce_mean(tf.reshape(error**2, [members, -1]), axis=1)

    objective = PopulationObjective(policy, lambda _: member_rewards().numpy())
    result = evolution.maximise(
        objective, policy.size, EvolutionConfig(population=32, generations=80), seed=1
    )
    constant = -np.mean((wanted - wanted.mean(axis=0)) ** 2)  # what the best constant reaches
    assert constant < -0.9
    assert result.value > -0.35
    assert len(traces) == 1
