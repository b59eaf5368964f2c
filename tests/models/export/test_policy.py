"""A policy on disk answers as the one in memory, in a process that has only TensorFlow."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from mtfx.agents.building import build_agent
from mtfx.agents.config import Td3Config
from mtfx.errors import DataError
from mtfx.models.export.policy import (
    PolicyMetadata,
    PolicyModule,
    SavedPolicy,
    agent_function,
    export_policy,
    read_policy_metadata,
)

STATE_DIM, ACTION_DIM = 5, 2


def metadata(**changes):
    values = {
        "method": "linear",
        "state_dim": STATE_DIM,
        "action_dim": ACTION_DIM,
        "prediction_names": ("click", "like"),
        "fusion": {"formula": "formula2"},
        "config": {"seed": 3},
        "code_version": "abc",
    }
    return PolicyMetadata(**{**values, **changes})


def linear(scale=1.0):
    kernel = tf.Variable(scale * np.linspace(-1, 1, STATE_DIM * ACTION_DIM).reshape(STATE_DIM, -1))
    return PolicyModule(
        lambda state: tf.matmul(state, tf.cast(kernel, tf.float32)), [kernel], STATE_DIM
    )


def test_the_metadata_come_back(tmp_path):
    export_policy(linear(), str(tmp_path), metadata())
    assert read_policy_metadata(str(tmp_path)) == metadata()


def test_actions_are_clipped_to_their_bounds(tmp_path):
    export_policy(linear(scale=100.0), str(tmp_path), metadata())
    policy = SavedPolicy(str(tmp_path))
    states = tf.random.stateless_normal([50, STATE_DIM], [0, 1])
    sample = policy.actions(states, tf.zeros([50], tf.int32), tf.constant([0, 0]))
    assert sample.action.shape == (50, ACTION_DIM)
    assert float(tf.reduce_max(tf.abs(sample.action))) == 1.0
    assert np.isnan(sample.log_density.numpy()).all()


def test_an_agents_policy_answers_the_same_without_our_code(tmp_path):
    agent = build_agent("td3", STATE_DIM, ACTION_DIM, Td3Config(hidden_units=(8,)), seed=1)
    function = agent_function(agent.policy)
    module = PolicyModule(function, agent.policy.variables(), STATE_DIM)
    export_policy(module, str(tmp_path), metadata(method="td3"))
    states = np.random.default_rng(0).normal(size=(7, STATE_DIM)).astype(np.float32)
    np.save(tmp_path / "states.npy", states)
    code = (
        "import numpy as np, tensorflow as tf\n"
        f"model = tf.saved_model.load({str(tmp_path)!r})\n"
        f"states = tf.constant(np.load({str(tmp_path / 'states.npy')!r}))\n"
        "action = model.signatures['actions'](state=states)['action']\n"
        f"np.save({str(tmp_path / 'action.npy')!r}, action)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    np.testing.assert_allclose(np.load(tmp_path / "action.npy"), function(states), atol=1e-6)


def test_a_state_that_is_not_finite_is_refused(tmp_path):
    export_policy(linear(), str(tmp_path), metadata())
    policy = SavedPolicy(str(tmp_path))
    states = tf.constant([[0.0, np.nan, 0.0, 0.0, 0.0]])
    with pytest.raises(tf.errors.InvalidArgumentError, match="state"):
        policy.actions(states, tf.zeros([1], tf.int32), tf.constant([0, 0]))


@pytest.mark.parametrize(
    ("module", "changes"),
    [
        (linear(), {"action_dim": 3}),
        (PolicyModule(lambda state: state[:, :2] / 0.0, [], STATE_DIM), {}),
    ],
)
def test_a_policy_of_wrong_actions_is_not_exported(tmp_path, module, changes):
    with pytest.raises(ValueError, match="linear gives actions"):
        export_policy(module, str(tmp_path / "out"), metadata(**changes))
    assert not (tmp_path / "out").exists()


def test_a_directory_without_a_policy_is_named(tmp_path):
    with pytest.raises(DataError, match=str(tmp_path)):
        SavedPolicy(str(tmp_path))
