"""The fusion formulas against NumPy, and what must hold for any predictions and weights."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mtfx.models.fusion.base import check_finite, check_predictions
from mtfx.models.fusion.config import FORMULAS, FusionConfig, build_fusion

BETAS = (0.01, 0.0, 0.2)


def reference(config: FusionConfig, predictions: np.ndarray, action: np.ndarray) -> np.ndarray:
    """The formulas as printed, by loops in float64."""
    result = np.zeros(predictions.shape[:2])
    for row, candidate in np.ndindex(*result.shape):
        terms = []
        for k, o in enumerate(predictions[row, candidate].astype(float)):
            alpha = config.low + (action[row, k] - -1) / (1 - -1) * (config.high - config.low)
            beta = config.beta[k] if isinstance(config.beta, tuple) else config.beta
            if config.formula == "formula1":
                terms.append(alpha * o)
            elif config.formula == "formula2":
                terms.append(alpha * math.log(o + beta))
            else:
                terms.append(o**alpha)
        result[row, candidate] = (
            math.prod(terms) if config.formula == "formula3" else math.fsum(terms)
        )
    return result


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-0.5, 2.0)])
def test_scores_are_the_printed_formula(formula, bounds):
    rng = np.random.default_rng(0)
    predictions = rng.uniform(1e-4, 1, (4, 7, 3)).astype(np.float32)
    action = rng.uniform(-1, 1, (4, 3)).astype(np.float32)
    config = FusionConfig(formula, *bounds, beta=BETAS)
    scores = build_fusion(config, 3).scores(tf.constant(predictions), tf.constant(action))
    assert scores.dtype == tf.float32
    np.testing.assert_allclose(scores, reference(config, predictions, action), rtol=2e-5, atol=1e-6)


def test_the_ends_of_an_action_are_the_bounds_and_what_is_beyond_is_clipped():
    fusion = build_fusion(FusionConfig("formula1", -2.0, 6.0), 4)
    weights = fusion.weights(tf.constant([[-1.0, 1.0, 0.0, 1.7]]))
    np.testing.assert_allclose(weights, [[-2.0, 6.0, 2.0, 6.0]])


probabilities = arrays(np.float32, (1, 1, 4), elements=st.floats(0, 1, width=32))
actions = arrays(np.float32, (1, 4), elements=st.floats(-1, 1, width=32))


@pytest.mark.parametrize("formula", FORMULAS)
@settings(max_examples=60)
@given(predictions=probabilities, action=actions, which=st.integers(0, 3), raised=st.floats(0, 1))
def test_no_score_falls_when_a_prediction_rises(formula, predictions, action, which, raised):
    """For weights that are not negative, which is the default."""
    higher = predictions.copy()
    higher[..., which] = max(predictions[0, 0, which], raised)
    both = tf.concat([predictions, higher], axis=1)
    low, high = build_fusion(FusionConfig(formula), 4).scores(both, tf.constant(action))[0].numpy()
    assert high >= low - 1e-6 * max(1.0, abs(low))


@settings(max_examples=60)
@given(
    predictions=arrays(np.float32, (1, 6, 3), elements=st.floats(0.015625, 1, width=32)),
    action=arrays(np.float32, (1, 3), elements=st.floats(-1, 1, width=32)),
)
def test_the_product_orders_as_the_sum_of_logarithms(predictions, action):
    scores = [
        build_fusion(FusionConfig(formula, beta=0.0), 3)
        .scores(tf.constant(predictions), tf.constant(action))[0]
        .numpy()
        for formula in ("formula2", "formula3")
    ]
    # Pairs which the logarithms tell apart by more than rounding are in the same order.
    gaps, products = (values[:, None] - values[None, :] for values in scores)
    assert np.all(products[gaps > 1e-5] >= 0)
    assert np.all(np.abs(products[gaps == 0]) == 0)


@pytest.mark.parametrize("formula", FORMULAS)
@settings(max_examples=30)
@given(
    predictions=arrays(np.float32, (1, 5, 3), elements=st.floats(0, 1, width=32)),
    action=arrays(np.float32, (1, 3), elements=st.floats(-1, 1, width=32)),
    seed=st.integers(0, 99),
)
def test_a_candidates_score_does_not_depend_on_its_place_or_company(
    formula, predictions, action, seed
):
    fusion = build_fusion(FusionConfig(formula), 3)
    order = np.random.default_rng(seed).permutation(5)
    scores = fusion.scores(tf.constant(predictions), tf.constant(action)).numpy()
    shuffled = fusion.scores(tf.constant(predictions[:, order]), tf.constant(action)).numpy()
    alone = fusion.scores(tf.constant(predictions[:, :1]), tf.constant(action)).numpy()
    np.testing.assert_allclose(shuffled, scores[:, order], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(alone, scores[:, :1], rtol=1e-6, atol=1e-6)


@settings(max_examples=40)
@given(
    predictions=arrays(np.float32, (1, 6, 3), elements=st.floats(0, 1, width=32)),
    action=arrays(np.float32, (1, 3), elements=st.floats(-1, 1, width=32)),
    factor=st.floats(0.5, 4),
)
def test_a_common_factor_of_the_weights_keeps_the_order(predictions, action, factor):
    one, many = (
        build_fusion(FusionConfig("formula2", 0.0, high), 3)
        .scores(tf.constant(predictions), tf.constant(action))[0]
        .numpy()
        for high in (1.0, factor)
    )
    np.testing.assert_allclose(many, factor * one, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("beta", [0.0, 1e-3])
@pytest.mark.parametrize("extreme", [-1.0, 0.3, 1.0])
def test_scores_and_gradients_are_finite_where_a_prediction_is_0_or_1(formula, beta, extreme):
    fusion = build_fusion(FusionConfig(formula, beta=beta), 3)
    predictions = tf.constant([[[0.0, 0.0, 0.0], [0.0, 1.0, 1e-12], [1.0, 1.0, 1.0]]])
    action = tf.fill([1, 3], extreme)
    with tf.GradientTape() as tape:
        tape.watch([predictions, action])
        scores = fusion.scores(predictions, action)
    for value in (scores, *tape.gradient(scores, [predictions, action])):
        assert np.all(np.isfinite(value))


def test_inputs_of_another_size_are_named():
    fusion = build_fusion(FusionConfig(), 3)
    with pytest.raises(ValueError, match=r"Formula2: predictions .* last of size 3, got .*2\)"):
        fusion.scores(tf.zeros([1, 5, 2]), tf.zeros([1, 3]))
    with pytest.raises(ValueError, match="Formula2: action must have 2 axes"):
        fusion.scores(tf.zeros([1, 5, 3]), tf.zeros([3]))


@pytest.mark.parametrize("config", [FusionConfig(), FusionConfig("formula3", -1, 2, beta=BETAS)])
def test_the_configuration_survives_json(config):
    assert FusionConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"formula": "sum"}, "no fusion formula 'sum'; there are: formula1, formula2, formula3"),
        ({"low": 1.0}, "low < high"),
        ({"high": math.nan}, "low < high"),
        ({"beta": -1.0}, "beta must be finite and not negative, got -1.0"),
        ({"beta": [0.1, math.inf]}, "beta must be finite"),
        ({"weights": 3}, "FusionConfig has no 'weights'"),
    ],
)
def test_a_bad_configuration_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        FusionConfig.from_dict(values)


def test_betas_must_fit_the_predictions():
    with pytest.raises(ValueError, match="beta has 3 values for 2 predictions"):
        build_fusion(FusionConfig(beta=BETAS), 2)
    with pytest.raises(ValueError, match="at least one prediction"):
        build_fusion(FusionConfig(), 0)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -0.01, 1.01])
@pytest.mark.parametrize("wrap", [lambda f: f, tf.function], ids=["eager", "graph"])
def test_a_prediction_that_is_no_probability_is_refused_unless_masked(bad, wrap):
    predictions = tf.constant([[[0.0, 1.0], [bad, 0.5]]])
    check = wrap(check_predictions)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"predictions must lie in \[0, 1\]"):
        check(predictions)
    with pytest.raises(tf.errors.InvalidArgumentError, match="must lie"):
        check(predictions, tf.constant([[False, True]]))
    np.testing.assert_array_equal(
        check(predictions, tf.constant([[True, False]])), [[[0, 1], [0, 0]]]
    )


@pytest.mark.parametrize("wrap", [lambda f: f, tf.function], ids=["eager", "graph"])
def test_values_that_are_no_numbers_are_refused(wrap):
    check = wrap(lambda values: check_finite(values, "state"))
    np.testing.assert_array_equal(check(tf.constant([7.0, -8.0])), [7, -8])
    for wrong in (math.nan, math.inf, -math.inf):
        with pytest.raises(tf.errors.InvalidArgumentError, match="state must not hold NaN"):
            check(tf.constant([0.0, wrong]))
