"""xMTF's Table 2: cells express the order of every formula, on candidates they were not fitted to.

The setting: one user, six predictions, log-normal around rates as the feedbacks of a short-video
platform have (from 30% to 1 in 1,000), weights of a formula that all matter. The sum of the cells
(8) is fitted by Adam to the formula's weighted sum before its increasing outer function g, on which
the order does not depend (formula 3 is exp of Σ w log o), up to a scale and an offset that are
fitted with it. ``mlp`` cells see the prediction and its logarithm, ``basis`` cells have 32 pieces,
both as by default. The order is compared on 2,000 other candidates.
"""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from mtfx.models.fusion.config import (
    CELL_FAMILIES,
    FORMULAS,
    CellsConfig,
    FusionConfig,
    build_fusion,
)
from mtfx.models.fusion.monotonic_cells import build_cells
from mtfx.models.keras import keras

RATES = np.array([0.3, 0.2, 0.02, 0.005, 0.003, 0.001])
K = len(RATES)
STATES = tf.constant([[0.3, -0.7]])
#: A ReLU network is slow to bend for the rare predictions of formula 1.
STEPS = {"mlp": 4_000, "basis": 1_000}
#: Adam's at first. Softmax shares of many pieces move slowly.
RATES_OF_LEARNING = {"mlp": 1e-2, "basis": 3e-2}
#: So that every prediction moves the order: a rare one's weight is high in a plain sum.
ACTIONS = {
    "formula1": np.array([-0.9, -0.8, -0.4, 0.2, 0.5, 1.0]),
    "formula2": np.array([0.5, -0.5, 0.0, 1.0, -0.2, 0.3]),
    "formula3": np.array([-0.5, 0.8, 0.2, -0.3, 1.0, -0.1]),
}


def candidates(count, seed):
    noise = np.random.default_rng(seed).normal(0.0, 0.7, (1, count, K))
    return tf.constant(np.clip(RATES * np.exp(noise), 0.0, 1.0), tf.float32)


def formula_scores(name, predictions):
    formula = build_fusion(FusionConfig(name), K)
    return formula.scores(predictions, tf.constant(ACTIONS[name][None], tf.float32))


def fitted(family, name):
    """Cells whose sum follows a formula's weighted sum."""
    cells = build_cells(CellsConfig(family), K, STATES.shape[1], seed=0)
    predictions = candidates(1_000, seed=1)
    wanted = formula_scores(name, predictions)
    if name == "formula3":
        wanted = tf.math.log(wanted)
    wanted = (wanted - tf.reduce_mean(wanted)) / tf.math.reduce_std(wanted)
    scale = tf.Variable(4.0)
    # Centred, as cells that begin saturated hardly learn.
    total = tf.reduce_sum(cells.values(predictions, STATES), axis=-1)
    offset = tf.Variable(-4.0 * tf.reduce_mean(total))
    variables = [*cells.trainable_variables, scale, offset]
    rate = keras.optimizers.schedules.CosineDecay(RATES_OF_LEARNING[family], STEPS[family])
    optimizer = keras.optimizers.legacy.Adam(rate)

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(cells.values(predictions, STATES), axis=-1)
            loss = tf.reduce_mean(tf.square(scale * total + offset - wanted))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

    for _ in range(STEPS[family]):
        step()
    # Of a falling scale the order would be the reverse.
    assert float(scale) > 0
    return cells


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("family", CELL_FAMILIES)
def test_cells_have_the_order_of_a_formula(family, name):
    cells = fitted(family, name)
    others = candidates(2_000, seed=2)
    order = tf.reduce_sum(cells.values(others, STATES), axis=-1)[0].numpy()
    wanted = formula_scores(name, others)[0].numpy()
    assert stats.spearmanr(order, wanted).statistic > 0.999


@pytest.mark.parametrize("name", FORMULAS)
def test_no_single_prediction_has_that_order(name):
    """So that the correlation above says something."""
    others = candidates(2_000, seed=2)
    wanted = formula_scores(name, others)[0].numpy()
    for k in range(K):
        assert stats.spearmanr(others[0, :, k], wanted).statistic < 0.9
