"""The map to fused predictions: its NumPy twin, and scores that rise and fall as they should."""

import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from mtfx.datasets.fused_predictions import FusedPrediction, probabilities
from mtfx.datasets.request_state import RequestColumn
from mtfx.models.fusion.base import check_predictions
from mtfx.models.fusion.config import FORMULAS, CellsConfig, FusionConfig, build_fusion
from mtfx.models.fusion.formula_free import FormulaFreeFusion
from mtfx.models.fusion.monotonic_cells import build_cells
from mtfx.models.fusion.predictions import PredictionMap
from tests.request_examples import example

LENGTH = RequestColumn("length_ms", "int64")
FUSED = (
    FusedPrediction("click", "click"),
    FusedPrediction("hate", "hate", "negative"),
    FusedPrediction("watch", "watch", "regression", scale=8_000.0, unit=1_000.0),
    FusedPrediction("play_integrity", "watch", "play_integrity", scale=0.4, duration=LENGTH),
)
MAP = PredictionMap(FUSED)
#: From nothing to far beyond any training split: 1e6 scales are three months.
TIMES = st.floats(0.0, 8e9, width=32, allow_subnormal=False)
SHARES = st.floats(0.0, 1.0, width=32)
LENGTHS = st.sampled_from([0.0, 1.0, 12_000.0, 3e7])


def twin(click, hate, watch, length):
    """The map in float64, `[..., K]`."""
    click, hate, watch, length = np.broadcast_arrays(click, hate, watch, length)
    known = length > 0
    share = watch / np.where(known, length, 1.0)
    return np.stack(
        [
            click,
            1.0 - hate,
            watch / (watch + 8_000.0),
            np.where(known, share / (share + 0.4), 0.5),
        ],
        axis=-1,
    )


def mapped(click, hate, watch, length, predictions=MAP):
    raw = {"click": click, "hate": hate, "watch": watch}
    raw = {name: tf.constant(value, tf.float32) for name, value in raw.items()}
    return predictions(raw, tf.constant(length, tf.float32)).numpy()


@given(click=SHARES, hate=SHARES, watch=TIMES, length=LENGTHS)
@settings(deadline=None)
def test_the_map_is_its_twin_and_stays_in_0_to_1(click, hate, watch, length):
    found = mapped([click], [hate], [watch], [length])
    np.testing.assert_allclose(found, twin([click], [hate], [watch], [length]), 1e-6, 1e-30)
    assert ((found >= 0) & (found <= 1)).all()


@given(pair=st.tuples(TIMES, TIMES), length=LENGTHS)
@settings(deadline=None)
def test_it_never_falls_and_rises_where_values_differ_by_one_in_a_thousand(pair, length):
    low, high = sorted(pair)
    found = mapped([0.1, 0.1], [0.2, 0.2], [low, high], [length, length])
    assert (np.diff(found, axis=0) >= 0).all()
    # Beyond 10,000 scales so small a difference is less than float32 tells apart.
    if high > low * 1.001 and 1e-3 < high < 8e7:
        assert found[1, 2] > found[0, 2]


def test_neighbouring_numbers_keep_their_order():
    rng = np.random.default_rng(0)
    low = np.exp(rng.uniform(-20, 25, 200_000)).astype(np.float32)
    high = np.nextafter(low, np.float32(np.inf))
    some = np.zeros_like(low)
    before, after = (mapped(some, some, values, some + 7.0) for values in (low, high))
    assert (after >= before).all()


def test_order_is_kept_up_to_a_million_scales():
    # A fifth apart at 1e6 scales; at 1e8 they are one number, which the docstring says.
    at = np.float32(8e3) * np.array([1e6, 1.2e6, 1e8, 1.2e8], np.float32)
    found = mapped(np.zeros(4), np.zeros(4), at, np.ones(4))[:, 2]
    assert found[0] < found[1] < found[2] == found[3] == 1.0


def test_nothing_and_the_scale_itself():
    found = mapped(np.zeros(3), np.zeros(3), [0.0, -0.0, 8_000.0], [20_000.0] * 3)
    np.testing.assert_allclose(found[:, 2:], [[0, 0], [0, 0], [0.5, 0.5]], atol=1e-7)


@pytest.mark.parametrize("wrong", [math.nan, -1.0, -1e30, math.inf, -math.inf, -8_000.0])
def test_a_regression_that_is_no_number_from_0_on_is_found_by_the_check(wrong):
    found = tf.constant(mapped([0.1], [0.1], [wrong], [9.0]))
    with pytest.raises(tf.errors.InvalidArgumentError, match="regression must be finite from 0 on"):
        check_predictions(found)


@pytest.mark.parametrize("wrong", [math.nan, 1.5, -0.5])
def test_a_probability_that_is_none_is_found_by_the_check(wrong):
    for place in range(2):
        raw = [[0.1], [0.1]]
        raw[place] = [wrong]
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"must lie in \[0, 1\]"):
            check_predictions(tf.constant(mapped(*raw, [1.0], [9.0])))


def test_an_unknown_duration_is_in_the_middle():
    lengths = [0.0, -1.0, math.nan]
    found = mapped([0.1] * 3, [0.1] * 3, [1.0, 10.0, 1e9], lengths)
    assert found[:, 3].tolist() == [0.5, 0.5, 0.5]


FORMULA_WEIGHTS = st.lists(st.floats(-1.0, 1.0, width=32), min_size=4, max_size=4)


def _fusions():
    for formula in FORMULAS:
        yield formula, build_fusion(FusionConfig(formula), 4)
    for family in ("basis", "mlp"):
        config = CellsConfig(family, hidden_units=(6,))
        # What only a loss makes increasing promises nothing before it is trained.
        cells = build_cells(config, 4, 3, seed=1) if family == "basis" else None
        yield f"xmtf {family}", FormulaFreeFusion(4, config, cells)


@pytest.mark.parametrize(("name", "fusion"), list(_fusions()))
@given(
    action=FORMULA_WEIGHTS,
    state=st.lists(st.floats(-3.0, 3.0, width=32), min_size=3, max_size=3),
    rows=st.lists(st.tuples(SHARES, SHARES, TIMES, LENGTHS), min_size=2, max_size=2),
    place=st.integers(0, 2),
)
@settings(deadline=None, max_examples=60)
def test_a_score_rises_with_what_is_wanted_and_falls_with_what_is_not(
    name, fusion, action, state, rows, place
):
    low, high = sorted(row[place] for row in rows)
    pair = [list(rows[0]), list(rows[0])]
    pair[0][place], pair[1][place] = low, high
    found = mapped(*np.array(pair, np.float64).T)
    scores = fusion.scores(
        tf.constant(found[np.newaxis]), tf.constant([action]), tf.constant([state])
    ).numpy()[0]
    # float32 sums of many pieces round each other's last bits.
    slack = 1e-5 * max(1.0, float(np.abs(scores).max()))
    if place == 1:  # hate
        assert scores[1] <= scores[0] + slack, name
    else:
        assert scores[1] >= scores[0] - slack, name


def test_durations_are_the_requests_own():
    requests = [example(length_ms=[5, 7], other=1.0), example(other=2.0)]
    found = MAP.durations(tf.constant(requests))
    assert found.to_list() == [[5.0, 7.0], []]


def test_predictions_that_are_probabilities_stay_as_they_are():
    plain = PredictionMap(probabilities(("b", "a")))
    assert (plain.names, plain.tasks, plain.needs_duration) == (("b", "a"), ("b", "a"), False)
    values = {"a": tf.constant([0.1, 0.2]), "b": tf.constant([0.3, 0.4])}
    np.testing.assert_array_equal(plain(values), np.float32([[0.3, 0.1], [0.4, 0.2]]))


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match="distinct names"):
        PredictionMap(probabilities(("a", "a")))
    with pytest.raises(ValueError, match="distinct names"):
        PredictionMap(())
    raw = dict.fromkeys(("click", "hate", "watch"), tf.constant([0.5]))
    with pytest.raises(ValueError, match="give the items' durations"):
        MAP(raw)
