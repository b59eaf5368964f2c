"""Policies as the simulator sees them."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from tf_agents.agents.ddpg import actor_network
from tf_agents.networks import actor_distribution_network
from tf_agents.policies import actor_policy, greedy_policy, random_tf_policy, tf_policy
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import policy_step
from tf_agents.trajectories import time_step as ts

from mtfx.environments.simulator.environment import TfAgentsPolicy
from mtfx.environments.simulator.policies import ConstantPolicy

STATES = tf.random.stateless_normal([6, 4], [0, 1])
USERS = tf.range(6)
TIME_STEP = ts.time_step_spec(tensor_spec.TensorSpec([4], tf.float32))
ACTION = tensor_spec.BoundedTensorSpec([2], tf.float32, -1.0, 1.0)


class OwnDraws(tf_policy.TFPolicy):
    """Draws in ``_action``, as BCQ does."""

    def _action(self, time_step, policy_state, seed):
        action = tf.random.stateless_normal([tf.shape(time_step.observation)[0], 2], seed)
        return policy_step.PolicyStep(action, policy_state, ())

    def _distribution(self, time_step, policy_state):
        raise NotImplementedError


def run(policy, seed=(1, 2)):
    sample = tf.function(policy.actions, autograph=False)(STATES, USERS, tf.constant(seed))
    return sample.action.numpy(), sample.log_density.numpy()


def test_constant():
    policy = ConstantPolicy(np.array([0.5, -1.0]))
    action, density = run(policy)
    assert action.tolist() == [[0.5, -1.0]] * 6
    assert np.isnan(density).all()
    policy.assign([0.0, 1.0])
    assert run(policy)[0].tolist() == [[0.0, 1.0]] * 6
    for bad in ([2.0], [float("nan")], [[0.0]]):
        with pytest.raises(ValueError, match="action"):
            ConstantPolicy(bad)


def test_deterministic_actor():
    network = actor_network.ActorNetwork(TIME_STEP.observation, ACTION, fc_layer_params=(8,))
    actor = actor_policy.ActorPolicy(TIME_STEP, ACTION, network)
    action, density = run(TfAgentsPolicy(actor))
    np.testing.assert_allclose(action, network(STATES, (), ())[0], rtol=1e-5)
    assert np.isnan(density).all()


def test_stochastic_actor_has_a_density_and_follows_the_seed():
    network = actor_distribution_network.ActorDistributionNetwork(
        TIME_STEP.observation, ACTION, fc_layer_params=(8,)
    )
    actor = actor_policy.ActorPolicy(TIME_STEP, ACTION, network, clip=False)
    policy = TfAgentsPolicy(actor)
    action, density = run(policy)
    distribution = network(STATES, (), ())[0]
    np.testing.assert_array_equal(run(policy)[0], action)
    assert not np.array_equal(run(policy, (1, 3))[0], action)
    inside = (np.abs(action) < 1).all(axis=1)
    np.testing.assert_allclose(
        density[inside], distribution.log_prob(action).numpy()[inside], rtol=1e-4
    )
    greedy, unknown = run(TfAgentsPolicy(greedy_policy.GreedyPolicy(actor)))
    np.testing.assert_allclose(greedy, np.clip(distribution.mode(), -1, 1), rtol=1e-5)
    assert np.isnan(unknown).all()


def test_policies_that_draw_themselves_get_the_seed_and_stay_in_bounds():
    policy = TfAgentsPolicy(OwnDraws(TIME_STEP, ACTION, automatic_state_reset=False))
    action, density = run(policy)
    np.testing.assert_array_equal(run(policy)[0], action)
    assert not np.array_equal(run(policy, (5, 5))[0], action)
    assert np.abs(action).max() == 1.0
    assert np.isnan(density).all()


def test_specs_are_checked():
    scalar = tensor_spec.BoundedTensorSpec([], tf.float32, -1.0, 1.0)
    with pytest.raises(ValueError, match="action must be one vector"):
        TfAgentsPolicy(random_tf_policy.RandomTFPolicy(TIME_STEP, scalar))
    state = tensor_spec.TensorSpec([1], tf.float32)
    with pytest.raises(ValueError, match="has a state"):
        TfAgentsPolicy(OwnDraws(TIME_STEP, ACTION, policy_state_spec=state))


def test_distributions_without_an_event_axis_are_summed():
    class Independent(tf_policy.TFPolicy):
        def _distribution(self, time_step, policy_state):
            normal = tfp.distributions.Normal(0.1 * time_step.observation[:, :2], 0.1)
            return policy_step.PolicyStep(normal, policy_state, ())

    action, density = run(TfAgentsPolicy(Independent(TIME_STEP, ACTION)))
    deviations = (action - 0.1 * STATES[:, :2].numpy()) / 0.1
    expected = (-0.5 * deviations**2 - np.log(0.1) - 0.5 * np.log(2 * np.pi)).sum(axis=1)
    np.testing.assert_allclose(density, expected, rtol=1e-3)
