"""Trials of xMTF's experiments in a small random world, one for each kind of learner."""

import numpy as np
import pytest
import tensorflow as tf

from mtfx.environments.simulator.world import save_world
from mtfx.experiments.engine.data import describe_world
from mtfx.experiments.xmtf.learners import XmtfLearner
from mtfx.experiments.xmtf.run import run_trial, training_reward
from mtfx.experiments.xmtf.trial import WATCH_TIME, XmtfTrial
from tests.simulator_worlds import random_world

SETTINGS = (
    ("candidates", 10),
    ("max_views", 6),
    ("eval_sessions", 40),
    ("lanes", 4),
    ("steps", 6),
    ("warmup", 5),
    ("hidden_units", 8),
    ("batch_size", 8),
    ("curve_points", 2),
    ("curve_sessions", 10),
    ("inner_candidates", 4),
    ("cell_units", 4),
    ("cem_population", 6),
    ("cem_generations", 2),
)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    directory = tmp_path_factory.mktemp("world")
    save_world(random_world(users=60, pool=20), directory)
    return describe_world(str(directory))


def test_the_reward_is_minutes_watched():
    reward = training_reward(WATCH_TIME)
    assert (reward.watch_weight, reward.integrity_weight, reward.interaction_weight) == (1, 0, 0)
    assert training_reward("default").interaction_weight == 1


@pytest.mark.parametrize(
    ("settings", "largest"), [((), 4.0), ((("largest_coefficient", 0.5),), 0.5)]
)
def test_the_outer_stage_reaches_as_far_as_the_setting_says(settings, largest):
    learner = XmtfLearner(XmtfTrial("xmtf", 0, settings), state_dim=3, num_predictions=2)
    inner = tf.constant([[[1.0, 0.5]]])
    both = learner.fusion.contributions(inner, tf.ones([1, 2]))
    np.testing.assert_allclose(both, [[[1 + largest, 0.5 * (1 + largest * 0.5)]]])


@pytest.mark.parametrize(
    ("settings", "scale", "margin"),
    [((), 10.0, 0.03), ((("cell_scale", 3.0), ("margin", 0.0)), 3.0, 0.0)],
)
def test_the_cells_losses_are_of_the_range_and_margin_that_the_settings_say(
    settings, scale, margin
):
    learner = XmtfLearner(XmtfTrial("xmtf", 0, settings), state_dim=3, num_predictions=2)
    config = learner.agent.inner_stage.config
    assert (config.cell_scale, config.monotonicity_margin) == (scale, margin)


@pytest.mark.slow
def test_equal_weights_and_cem_are_measured_on_the_same_sessions(world):
    equal = run_trial(world, XmtfTrial("equal", 0, SETTINGS), {})
    found = run_trial(world, XmtfTrial("cem_2", 0, SETTINGS), {})
    figures = equal["metrics"]["simulator"]
    assert figures["watch_s"] > figures["views"] >= 1
    assert found["curves"]["points"] == [6, 12, 13]
    action = np.asarray(found["notes"]["action"])
    assert (np.abs(action) <= 1).all()
    # As many sessions as the requests of an agent make: 4 lanes, 11 steps, shared by 13 points.
    assert found["notes"]["sessions_per_point"] == 1
    # The sessions are the same, so that equal figures mean equal choices.
    again = run_trial(world, XmtfTrial("equal", 0, SETTINGS), {})
    assert again["metrics"] == equal["metrics"]
    other = run_trial(world, XmtfTrial("equal", 1, SETTINGS), {})
    assert other["metrics"] != equal["metrics"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "subject", ["td3_1", "batchrl_2", "xmtf", "xmtf_no_outer", "xmtf_no_inner", "xmtf_basis"]
)
def test_agents_learn_online_and_are_measured(world, subject):
    result = run_trial(world, XmtfTrial(subject, 0, SETTINGS), {})
    curves = result["curves"]
    assert curves["step"] == [3, 6]
    for name in ("watch_s", "true_return", "reward", "loss"):
        assert np.isfinite(curves[name]).all()
    assert result["notes"]["transitions"] == 4 * (5 + 6)
    figures = result["metrics"]["simulator"]
    assert set(figures) == {"true_return", "watch_s", "positive_rate", "views"}
    has_cells = subject in ("xmtf", "xmtf_no_outer", "xmtf_basis")
    assert ("cells" in curves) == ("cells" in result["metrics"]) == has_cells
    if has_cells:
        cells = curves["cells"]
        assert np.shape(cells["both"]) == np.shape(cells["inner"]) == (8, 3, len(cells["grid"]))
        assert (np.diff(cells["ranges"]) > 0).all()
    if subject == "xmtf_basis":
        assert result["metrics"]["cells"] == {"inner_violations": 0.0, "violations": 0.0}
        assert (np.diff(curves["cells"]["both"]) >= -1e-6).all()
