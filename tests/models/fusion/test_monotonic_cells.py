"""xMTF's cells against NumPy; monotone whatever state, weights and pair."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from mtfx.models.fusion.config import CellsConfig
from mtfx.models.fusion.formula_free import FormulaFreeFusion, OuterStage
from mtfx.models.fusion.monotonic_cells import BasisCells, MlpCells, build_cells

K, S = 3, 4
RNG = np.random.default_rng(0)
PREDICTIONS = RNG.random((2, 5, K)).astype(np.float32) ** 3
STATES = RNG.normal(size=(2, S)).astype(np.float32)
PROBABILITIES = st.floats(0, 1, width=32)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def mlp_by_hand(cells, transform, predictions, states):
    """(9), cell by cell and candidate by candidate."""
    values = np.zeros(predictions.shape)
    first = cells.input_kernel.shape[-1]
    for b, c, k in np.ndindex(predictions.shape):
        columns = slice(k * first, (k + 1) * first)
        hidden = states[b] @ cells.state_kernel.numpy()[:, columns]
        hidden = hidden + transform(predictions[b, c, k]) @ cells.input_kernel.numpy()[k]
        hidden = hidden + cells.biases[0].numpy()[k, 0]
        for kernel, bias in zip(cells.kernels, cells.biases[1:], strict=True):
            hidden = np.maximum(hidden, 0) @ kernel.numpy()[k] + bias.numpy()[k, 0]
        values[b, c, k] = sigmoid(hidden[0])
    return values


TRANSFORMS = {
    ("identity",): lambda o: np.array([o]),
    ("log", "tanh"): lambda o: np.array([1 + np.log(o + 1e-6) / np.log(1e6), np.tanh(10 * o)]),
    ("sigmoid", "identity"): lambda o: np.array(
        [*sigmoid(10 * (o - np.array([0.1, 0.3, 0.5]))), o]
    ),
}


@pytest.mark.parametrize("transforms", TRANSFORMS)
def test_mlp_cells(transforms):
    config = CellsConfig(hidden_units=(6, 5), transforms=transforms)
    cells = MlpCells(K, S, config, seed=1)
    for bias in cells.biases:
        bias.assign(RNG.normal(size=bias.shape))
    np.testing.assert_allclose(
        cells.values(tf.constant(PREDICTIONS), tf.constant(STATES)),
        mlp_by_hand(cells, TRANSFORMS[transforms], PREDICTIONS, STATES),
        rtol=1e-4,
        atol=1e-5,
    )


def test_the_seed_decides_and_every_cell_has_weights_of_its_own():
    one, same, other = (MlpCells(K, S, CellsConfig(), seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.kernels[0], same.kernels[0])
    assert not np.allclose(one.kernels[0], other.kernels[0])
    assert not np.allclose(one.kernels[0][0], one.kernels[0][1])


def basis_by_hand(cells, knots, predictions, states):
    """Linear interpolation between the knots, whose rises are a softmax."""
    logits = cells.network(tf.constant(states)).numpy().reshape(len(states), K, -1)
    shares = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    values = np.zeros(predictions.shape)
    for b, _, k in np.ndindex(predictions.shape):
        heights = np.concatenate([[0], np.cumsum(shares[b, k, :-1])])
        values[b, :, k] = np.interp(predictions[b, :, k], knots, heights)
    return values


def test_basis_cells():
    cells = BasisCells(K, S, CellsConfig("basis", knots=7), seed=1)
    knots = np.array([0, *sigmoid(np.linspace(-14, 4, 6)), 1])
    np.testing.assert_allclose(
        cells.values(tf.constant(PREDICTIONS), tf.constant(STATES)),
        basis_by_hand(cells, knots, PREDICTIONS, STATES),
        rtol=1e-4,
        atol=1e-6,
    )


BASIS = BasisCells(1, S, CellsConfig("basis", hidden_units=(5,), knots=9), seed=0)


@settings(max_examples=200)
@given(
    pair=st.tuples(PROBABILITIES, PROBABILITIES).map(sorted),
    state=st.lists(st.floats(-50, 50, width=32), min_size=S, max_size=S),
    weights=st.integers(0, 10_000),
    scale=st.floats(0.1, 100),
)
def test_no_state_weights_or_pair_break_the_basis(pair, state, weights, scale):
    rng = np.random.default_rng(weights)
    for variable in BASIS.network.trainable_variables:
        variable.assign(scale * rng.normal(size=variable.shape))
    predictions = tf.constant(np.float32(pair).reshape(1, 2, 1))
    low, high = BASIS.values(predictions, tf.constant([state]))[0, :, 0].numpy()
    assert 0 <= low <= high + 1e-6
    assert high <= 1 + 1e-6


@settings(max_examples=200)
@given(
    pair=st.tuples(PROBABILITIES, PROBABILITIES).map(sorted),
    action=st.floats(-2, 2, width=32),
    low=st.floats(-0.4999, -0.01),
    high=st.floats(0.01, 1e3),
)
def test_no_action_or_pair_breaks_the_outer_stage(pair, action, low, high):
    stage = OuterStage(CellsConfig(low=low, high=high))
    inner = tf.constant(np.float32(pair).reshape(1, 2, 1))
    one, other = stage.values(inner, tf.constant([[action]]))[0, :, 0].numpy()
    assert one <= other * (1 + 1e-6)


def test_the_outer_stage_is_the_papers():
    stage = OuterStage(CellsConfig(low=-0.4, high=3.0))
    np.testing.assert_allclose(
        stage.coefficients(tf.constant([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0])),
        [-0.4, -0.4, -0.2, 0, 1.5, 3],
        rtol=1e-6,
    )
    action = np.float32([[0.5, -1, 0], [1, 0, 0.2]])
    a = np.where(action < 0, 0.4 * action, 3.0 * action)
    np.testing.assert_allclose(
        stage.values(tf.constant(PREDICTIONS), tf.constant(action)),
        PREDICTIONS * (1 + a[:, None] * PREDICTIONS),
        rtol=1e-5,
    )


@pytest.mark.parametrize("family", ["mlp", "basis"])
def test_scores_are_the_sum_of_both_stages(family):
    config = CellsConfig(family)
    cells = build_cells(config, K, S, seed=3)
    fusion = FormulaFreeFusion(K, config, cells)
    action = tf.constant(RNG.uniform(-1, 1, (2, K)), tf.float32)
    inner = cells.values(tf.constant(PREDICTIONS), tf.constant(STATES)).numpy()
    a = np.where(action < 0, 0.45 * action.numpy(), 4.0 * action.numpy())
    scores = fusion.scores(tf.constant(PREDICTIONS), action, tf.constant(STATES))
    np.testing.assert_allclose(scores, (inner * (1 + a[:, None] * inner)).sum(axis=2), rtol=1e-4)
    grid = tf.constant(PREDICTIONS[0, :, 0])
    curves = fusion.curves(tf.constant(STATES), action, grid).numpy()
    assert curves.shape == (2, K, 5)
    values = inner * (1 + a[:, None] * inner)
    np.testing.assert_allclose(curves[0, 0], values[0, :, 0], rtol=1e-4)
    np.testing.assert_allclose(
        cells.curves(tf.constant(STATES), grid)[0, 0], inner[0, :, 0], rtol=1e-4
    )


def test_without_the_inner_stage_predictions_take_its_place():
    fusion = FormulaFreeFusion(K, CellsConfig(), None)
    action = np.float32([[0.5, -1, 0], [1, 0, 0.2]])
    a = np.where(action < 0, 0.45 * action, 4.0 * action)
    np.testing.assert_allclose(
        fusion.scores(tf.constant(PREDICTIONS), tf.constant(action)),
        (PREDICTIONS * (1 + a[:, None] * PREDICTIONS)).sum(axis=2),
        rtol=1e-5,
    )


def test_what_does_not_fit_is_refused():
    cells = build_cells(CellsConfig(), K, S, seed=0)
    with pytest.raises(ValueError, match="take 3 predictions, not 4"):
        FormulaFreeFusion(4, CellsConfig(), cells)
    with pytest.raises(ValueError, match="give the states"):
        FormulaFreeFusion(K, CellsConfig(), cells).scores(
            tf.constant(PREDICTIONS), tf.zeros([2, K])
        )
    with pytest.raises(ValueError, match="need a prediction and a state"):
        build_cells(CellsConfig(), 0, S, seed=0)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"family": "lattice"}, "no family of cells 'lattice'; there are: mlp, basis"),
        ({"hidden_units": ()}, "hidden_units needs layers"),
        ({"transforms": ("sqrt",)}, "got sqrt"),
        ({"transforms": ()}, "got none"),
        ({"knots": 1}, "knots must be at least 2"),
        ({"low": -0.5}, r"low must be in \(-0.5, 0\)"),
        ({"high": 0.0}, "high above 0"),
    ],
)
def test_bad_settings_are_named(values, words):
    with pytest.raises(ValueError, match=words):
        CellsConfig(**values)


def test_settings_survive_json():
    config = CellsConfig("basis", (8,), ("log",), knots=5)
    values = {k: list(v) if isinstance(v, tuple) else v for k, v in config.to_dict().items()}
    assert CellsConfig.from_dict(values) == config
