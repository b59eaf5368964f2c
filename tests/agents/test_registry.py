"""Agents by name: all of them act, value and can be distinguished by their seeds."""

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.trajectories import time_step as ts

from mtfx.agents.building import build_agent, q_values, specs
from mtfx.agents.config import BcqConfig, Td3Config, UwacTd3Config
from mtfx.agents.registry import AGENTS
from mtfx.models.action_policy import MASK, PREDICTIONS, STATE

STATES, ACTIONS, ROWS, CANDIDATES = 4, 3, 6, 5


@pytest.fixture(scope="module", params=AGENTS)
def pair(request):
    """Two agents of equal seed and one of another."""
    entry = AGENTS[request.param]
    config = entry.config(hidden_units=(8,))
    candidates = CANDIDATES if entry.needs_candidates else 0
    return [
        build_agent(request.param, STATES, ACTIONS, config, seed, candidates) for seed in (1, 1, 2)
    ]


@pytest.fixture(scope="module")
def states():
    return tf.constant(np.random.default_rng(0).normal(size=(ROWS, STATES)).astype(np.float32))


def test_the_names_are_those_of_the_experiments():
    assert set(AGENTS) == {"bcq", "td3", "uwac_td3", "cql_sac", "xmtf"}
    assert all(AGENTS[name].summary for name in AGENTS)


def test_agents_act_within_bounds_and_from_their_seed(pair, states):
    seed = tf.constant([3, 4])
    first, again, other = (agent.greedy_actions(10.0 * states, seed).numpy() for agent in pair)
    assert first.shape == (ROWS, ACTIONS)
    assert np.abs(first).max() <= 1
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other, atol=1e-3)
    observation = states
    if isinstance(pair[0].time_step_spec.observation, dict):
        predictions = tf.zeros([ROWS, CANDIDATES, ACTIONS])
        observation = {STATE: states, PREDICTIONS: predictions, MASK: predictions[..., 0] == 0}
    action = pair[0].policy.action(ts.restart(observation, ROWS)).action
    assert pair[0].action_spec.shape == action.shape[1:]


def test_values_are_of_given_actions(pair, states):
    actions = tf.zeros([ROWS, ACTIONS])
    values = q_values(pair[0], states, actions)
    assert values.shape == (ROWS,)
    np.testing.assert_array_equal(values, q_values(pair[1], states, actions))
    assert not np.allclose(values, q_values(pair[0], states, actions + 0.5))


def test_bounds_are_scalars():
    """With bounds per dimension TF-Agents' CQL has the wrong density of uniform actions."""
    time_step_spec, action_spec = specs(5, 2)
    assert time_step_spec.observation.shape == [5]
    assert (action_spec.minimum.shape, action_spec.maximum.shape) == ((), ())
    assert (float(action_spec.minimum), float(action_spec.maximum)) == (-1.0, 1.0)


def test_what_cannot_be_built_is_refused():
    with pytest.raises(ValueError, match="no fusion agent 'ddpg'; there are: bcq, td3"):
        build_agent("ddpg", STATES, ACTIONS)
    with pytest.raises(ValueError, match="'bcq' is configured by BcqConfig, not by Td3Config"):
        build_agent("bcq", STATES, ACTIONS, Td3Config())
    # A subclass of the right class is another algorithm's.
    with pytest.raises(ValueError, match="'td3' is configured by Td3Config, not by UwacTd3Config"):
        build_agent("td3", STATES, ACTIONS, UwacTd3Config())
    for sizes in ((0, 1), (1, 0)):
        with pytest.raises(ValueError, match="states and actions need a size"):
            build_agent("bcq", *sizes, BcqConfig())
