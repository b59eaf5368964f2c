"""A policy on disk answers as the one in memory, in a process that has only TensorFlow."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from mtfx.agents.building import build_agent
from mtfx.agents.config import BcqConfig, Td3Config
from mtfx.errors import DataError
from mtfx.models.export.policy import (
    PolicyMetadata,
    PolicyModule,
    SavedPolicy,
    agent_function,
    export_policy,
    read_policy_metadata,
)
from mtfx.models.fusion.config import FormulaFreeConfig, FusionConfig, build_fusion, fusion_config
from tests.small_rankers import CELLS, FREE, STATE, SmallPolicy, export_small_ranker

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


@pytest.mark.parametrize("config", [Td3Config(hidden_units=(8,)), BcqConfig(hidden_units=(8,))])
def test_an_agents_policy_answers_the_same_without_our_code(tmp_path, config):
    """BCQ's too, which chooses among sampled actions: the answer is a function of the state."""
    method = "bcq" if isinstance(config, BcqConfig) else "td3"
    agent = build_agent(method, STATE_DIM, ACTION_DIM, config, seed=1)
    function = agent_function(agent.policy)
    module = PolicyModule(function, agent.policy.variables(), STATE_DIM)
    export_policy(module, str(tmp_path), metadata(method=method))
    states = np.random.default_rng(0).normal(size=(7, STATE_DIM)).astype(np.float32)
    np.save(tmp_path / "states.npy", states)
    code = (
        "import numpy as np, tensorflow as tf\n"
        f"model = tf.saved_model.load({str(tmp_path)!r})\n"
        f"states = tf.constant(np.load({str(tmp_path / 'states.npy')!r}))\n"
        "act = model.signatures['actions']\n"
        "together = act(state=states)['action']\n"
        # In another order, and each by itself.
        "alone = [act(state=states[row : row + 1])['action'][0] for row in reversed(range(7))]\n"
        f"np.save({str(tmp_path / 'together.npy')!r}, together)\n"
        f"np.save({str(tmp_path / 'alone.npy')!r}, alone[::-1])\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    for name in ("together", "alone"):
        found = np.load(tmp_path / f"{name}.npy")
        np.testing.assert_allclose(found, function(states), atol=1e-6)


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


NAMES = ("click", "like")
STATES = len(STATE.state_names(NAMES))


@pytest.fixture(scope="module")
def policy():
    return SmallPolicy(NAMES, STATES)


@pytest.fixture(scope="module")
def directory(policy, tmp_path_factory):
    path = tmp_path_factory.mktemp("policy")
    export_policy(policy.module(), str(path), policy.metadata())
    return path


@pytest.fixture(scope="module")
def request_():
    rng = np.random.default_rng(0)
    return {
        "state": rng.normal(size=(3, STATES)).astype(np.float32),
        "predictions": rng.random((3, 6, 2)).astype(np.float32),
        "mask": np.arange(6) < np.array([[6], [4], [1]]),
    }


def test_states_are_normalised_before_the_cells(policy, request_):
    fusion = policy.fusion
    given = [tf.constant(request_[name]) for name in ("predictions", "state")]
    inner = fusion.fusion.cells.values(given[0], (given[1] - 1.0) / 2.0).numpy()
    action = np.array([[0.5, -1.0]] * 3, np.float32)
    wanted = inner * (1 + np.array([2.0, -0.45]) * inner)
    np.testing.assert_allclose(fusion.inner(*given), inner, rtol=1e-6)
    found = fusion.scores(given[0], tf.constant(action), given[1])
    np.testing.assert_allclose(found, wanted.sum(axis=2), rtol=1e-5)


def test_a_loaded_policy_has_the_fusion_it_was_saved_with(policy, directory, request_):
    fusion = policy.fusion
    saved = SavedPolicy(str(directory))
    loaded = saved.fusion(2)
    states, predictions = tf.constant(request_["state"]), tf.constant(request_["predictions"])
    action = saved.act(states)
    np.testing.assert_allclose(action, policy.act(states), rtol=1e-6)
    wanted = fusion.scores(predictions, action, states)
    np.testing.assert_allclose(loaded.scores(predictions, action, states), wanted, rtol=1e-6)
    grid = tf.linspace(0.0, 1.0, 7)
    np.testing.assert_allclose(
        loaded.curves(states, action, grid), fusion.curves(states, action, grid), rtol=1e-5
    )
    np.testing.assert_allclose(
        loaded.inner_curves(states, grid), fusion.inner_curves(states, grid), rtol=1e-5
    )
    with pytest.raises(ValueError, match="depend on the state"):
        loaded.scores(predictions, action)


ALONE = """
import json, sys
import numpy as np, tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
given = np.load(sys.argv[2])
fused = model.signatures["fuse"](**{n: tf.constant(given[n]) for n in given.files})
drawn = model.signatures["curves"](
    state=tf.constant(given["state"]), grid=tf.constant(np.linspace(0, 1, 5, dtype="f4"))
)
json.dump({n: v.numpy().tolist() for n, v in {**fused, **drawn}.items()}, sys.stdout)
"""


@pytest.mark.slow  # two processes load TensorFlow
def test_a_ranker_scores_as_policy_and_cells_do(request_, tmp_path):
    ranker, policy = export_small_ranker(tmp_path, NAMES, STATE)
    fusion = policy.fusion
    np.savez(tmp_path / "request.npz", **request_)
    command = [sys.executable, "-c", ALONE, str(ranker), str(tmp_path / "request.npz")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    answer = {name: np.array(value) for name, value in json.loads(done.stdout).items()}
    states, mask = tf.constant(request_["state"]), request_["mask"]
    action = policy.act(states)
    scores = fusion.scores(tf.constant(request_["predictions"]), action, states).numpy()
    np.testing.assert_allclose(answer["scores"][mask], scores[mask], rtol=1e-5)
    np.testing.assert_allclose(answer["action"], action, rtol=1e-5)
    assert answer["ranked_indices"][0].tolist() == np.argsort(-scores[0]).tolist()
    grid = tf.linspace(0.0, 1.0, 5)
    curves = fusion.curves(states, action, grid)
    np.testing.assert_allclose(answer["contribution"], curves, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(answer["inner"], fusion.inner_curves(states, grid), rtol=1e-4)


@pytest.mark.parametrize("formula", ["formula1", "formula2", "formula3"])
def test_the_contributions_of_a_formula_sum_to_its_score(formula):
    fusion = build_fusion(FusionConfig(formula, beta=(0.1, 0.01)), 2)
    point, action = 0.3, tf.constant([[0.2, -0.6]])
    curves = fusion.curves(tf.zeros([1, STATES]), action, tf.constant([point])).numpy()
    score = fusion.scores(tf.fill([1, 1, 2], point), action).numpy()
    total = np.exp(curves.sum()) if formula == "formula3" else curves.sum()
    assert total == pytest.approx(float(score[0, 0]), rel=1e-5)
    inner = {
        "formula1": [point, point],
        "formula2": np.log([point + 0.1, point + 0.01]),
        "formula3": np.log([point, point]),
    }[formula]
    np.testing.assert_allclose(curves[0, :, 0], np.array([0.6, 0.2]) * inner, rtol=1e-5)


def test_a_policy_says_which_fusion_is_its_own(policy, tmp_path):
    without = FormulaFreeConfig(-0.4, 3.0)
    export_policy(policy.module(with_cells=False), str(tmp_path), policy.metadata(without))
    fusion = SavedPolicy(str(tmp_path)).fusion(2)
    o, a = np.array([0.2, 0.7]), np.array([-0.4, 3.0])
    found = fusion.scores(tf.constant([[o]], tf.float32), tf.constant([[-1.0, 1.0]]))
    assert float(found[0, 0]) == pytest.approx((o * (1 + a * o)).sum(), rel=1e-5)
    assert fusion_config(json.loads(json.dumps(FREE.to_dict()))) == FREE
    assert FREE.action_meaning() == FormulaFreeConfig(CELLS.low, CELLS.high).action_meaning()
    assert FREE.action_meaning() != without.action_meaning() != FusionConfig().action_meaning()


def test_what_does_not_fit_is_refused(policy, directory, tmp_path):
    with pytest.raises(DataError, match=r"fuses 2 predictions \(click, like\), but there are 5"):
        SavedPolicy(str(directory)).fusion(5)
    for module, metadata, words in (
        (policy.module(with_cells=False), policy.metadata(), "no cells"),
        (policy.module(), policy.metadata(FusionConfig()), "cells of its own"),
    ):
        with pytest.raises(ValueError, match=words):
            export_policy(module, str(tmp_path / "out"), metadata)
    assert not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match="take the policy's fusion"):
        build_fusion(FREE, 2)
    with pytest.raises(ValueError, match=r"low must be in \(-0.5, 0\)"):
        FormulaFreeConfig(-0.7, 4.0)
