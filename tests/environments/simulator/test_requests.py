"""One request: which candidate is shown, and actions and scores that are none."""

import numpy as np
import pytest
import tensorflow as tf

from mtfx.environments.simulator.config import SimulatorConfig
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.requests import check_action, check_fit, choose
from mtfx.environments.simulator.response import response_model_name
from mtfx.environments.simulator.session import Candidates
from mtfx.models.fusion.config import FusionConfig
from mtfx.models.fusion.formulas import LOG_FLOOR, Formula1, Formula2, Formula3
from tests.simulator_worlds import random_world

STATES = tf.zeros([1, 1])


def candidates(predictions, real):
    count = len(predictions)
    return Candidates(
        tf.range(count)[tf.newaxis],
        tf.constant([predictions], tf.float32),
        tf.constant([[place < real for place in range(count)]]),
    )


def test_the_first_among_equals_is_shown_and_nothing_that_is_masked():
    fusion = Formula1(FusionConfig(formula="formula1"), 1)
    offered = candidates([[0.2], [0.7], [0.7], [0.9]], real=3)
    assert choose(fusion, offered, tf.ones([1, 1]), STATES).numpy().tolist() == [1]


def test_a_candidate_without_a_score_is_refused_unless_masked():
    fusion = Formula1(FusionConfig(formula="formula1"), 1)
    offered = candidates([[0.2], [np.nan]], real=1)
    assert choose(fusion, offered, tf.ones([1, 1]), STATES).numpy().tolist() == [0]
    with pytest.raises(tf.errors.InvalidArgumentError, match="fused scores"):
        choose(fusion, candidates([[0.2], [np.nan]], real=2), tf.ones([1, 1]), STATES)


def test_actions_may_exceed_their_bounds_by_rounding_alone():
    rounded = tf.constant([[1.0 + 5e-6, -1.0]])
    np.testing.assert_array_equal(check_action(rounded, 2), rounded)
    for bad in (1.001, np.nan):
        with pytest.raises(tf.errors.InvalidArgumentError, match="clip it in the policy"):
            check_action(tf.constant([[bad, 0.0]]), 2)
    with pytest.raises(ValueError, match=r"\[batch, 3\]"):
        check_action(rounded, 3)


def test_a_fusion_of_other_predictions_names_the_worlds():
    world = random_world(users=3, pool=5)
    simulator = Simulator(world, SimulatorConfig(candidates=2))
    check_fit(simulator, Formula1(FusionConfig(formula="formula1"), 3))
    with pytest.raises(ValueError, match=f"takes 2.*has 3: {', '.join(world.prediction_names)}"):
        check_fit(simulator, Formula1(FusionConfig(formula="formula1"), 2))
    assert response_model_name(world.response) == "table"


@pytest.mark.parametrize("kind", [Formula1, Formula2, Formula3])
def test_a_formula_is_finite_with_its_gradient_at_both_ends(kind):
    config = FusionConfig(formula=kind.__name__.lower())
    fusion = kind(config, 2)
    predictions = tf.Variable([[[0.0, 1.0], [1.0, 0.0], [LOG_FLOOR, 0.5]]])
    with tf.GradientTape() as tape:
        scores = fusion.scores(predictions, tf.constant([[-5.0, 5.0]]))
    assert np.isfinite(scores).all()
    assert np.isfinite(tape.gradient(scores, predictions)).all()
    # Actions beyond the bounds are those of the bounds.
    np.testing.assert_allclose(fusion.weights([[-5.0, 5.0]]), [[config.low, config.high]])
