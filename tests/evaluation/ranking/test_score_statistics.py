"""AUC, log loss and session log loss against sklearn and direct NumPy computation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from mtfx.evaluation.ranking.score_statistics import EPSILON, ScoreStatistics, bucket_of

floats = st.floats(0.0, 1.0, width=32)


def test_buckets_ascend_with_the_prediction():
    grid = np.concatenate([np.geomspace(1e-12, 0.5, 5000), 1.0 - np.geomspace(0.5, 1e-12, 5000)])
    grid = np.concatenate([[0.0], grid, [1.0]])
    keys = bucket_of(grid)
    assert (np.diff(keys) >= 0).all()
    assert np.unique(keys).size > 9000


def test_one_half_has_neighbours_on_both_sides():
    below, half, above = bucket_of(np.array([0.4995, 0.5, 0.5005]))
    assert below < half < above


@given(st.lists(st.tuples(st.booleans(), floats), min_size=2, max_size=60))
@settings(max_examples=200)
def test_auc_equals_sklearn_on_bucketed_scores(rows):
    labels = np.array([label for label, _ in rows], float)
    scores = np.array([score for _, score in rows])
    auc = ScoreStatistics.of(labels, scores, np.ones(len(rows))).auc()
    if 0 < labels.sum() < len(rows):
        assert auc == pytest.approx(sklearn_metrics.roc_auc_score(labels, bucket_of(scores)))
    else:
        assert np.isnan(auc)


@given(st.lists(st.tuples(st.booleans(), floats, st.integers(1, 9)), max_size=40), st.data())
@settings(max_examples=100)
def test_merging_parts_equals_the_whole(rows, data):
    columns = np.array(rows, float).reshape(-1, 3)
    cut = data.draw(st.integers(0, len(rows)))
    whole = ScoreStatistics.of(*columns.T)
    parts = ScoreStatistics.merge(
        [ScoreStatistics.of(*columns[:cut].T), ScoreStatistics.of(*columns[cut:].T)]
    )
    np.testing.assert_array_equal(parts.buckets, whole.buckets)
    np.testing.assert_array_equal(parts.positives, whole.positives)
    np.testing.assert_allclose(parts.predictions, whole.predictions)
    for figure in ("auc", "mean_logloss", "session_logloss"):
        np.testing.assert_allclose(getattr(parts, figure)(), getattr(whole, figure)())


def test_auc_of_rare_feedback_is_accurate():
    rng = np.random.default_rng(0)
    probabilities = np.exp(rng.normal(np.log(1e-3), 0.7, 200_000)).clip(0, 0.5)
    labels = rng.random(probabilities.size) < probabilities
    exact = sklearn_metrics.roc_auc_score(labels, probabilities)
    auc = ScoreStatistics.of(labels, probabilities, np.ones(labels.size)).auc()
    assert auc == pytest.approx(exact, abs=2e-5)
    equal_steps = sklearn_metrics.roc_auc_score(labels, np.floor(probabilities * 10_000))
    assert abs(equal_steps - exact) > 10 * abs(auc - exact)


def test_logloss_is_clipped_and_in_nats():
    statistics = ScoreStatistics.of(np.array([1, 0]), np.array([0.0, 0.25]), np.ones(2))
    expected = -(np.log(EPSILON) + np.log(0.75)) / 2
    assert statistics.mean_logloss() == pytest.approx(expected)


def test_session_logloss_is_the_mean_of_session_means():
    labels = np.array([1, 0, 0, 1, 1, 0])
    scores = np.array([0.9, 0.2, 0.4, 0.3, 0.5, 0.1])
    session = np.array([0, 0, 0, 1, 2, 2])
    losses = -np.log(np.where(labels == 1, scores, 1 - scores))
    expected = np.mean([losses[session == s].mean() for s in range(3)])
    statistics = ScoreStatistics.of(labels, scores, np.bincount(session)[session])
    assert statistics.session_logloss() == pytest.approx(expected)
    assert statistics.session_weight == pytest.approx(3)
    assert statistics.session_logloss() != pytest.approx(statistics.mean_logloss())


def test_groups_are_about_equal():
    rng = np.random.default_rng(1)
    scores = rng.beta(1, 30, 10_000)
    statistics = ScoreStatistics.of(rng.random(10_000) < scores, scores, np.ones(10_000))
    starts = statistics.groups(20)
    sizes = np.add.reduceat(statistics.positives + statistics.negatives, starts)
    assert starts[0] == 0
    assert len(sizes) == 20
    assert abs(sizes - 500).max() < 60


@pytest.mark.parametrize(
    ("label", "score", "length", "message"),
    [
        (2, 0.5, 1, "must be 0 or 1"),
        (1, 1.5, 1, "probabilities"),
        (1, float("nan"), 1, "probabilities"),
        (1, 0.5, 0, "session_length"),
    ],
)
def test_bad_values_are_refused(label, score, length, message):
    with pytest.raises(ValueError, match=message):
        ScoreStatistics.of(np.array([label]), np.array([score]), np.array([length]))


def test_normalised_entropy_is_the_log_loss_over_that_of_the_rate():
    labels, predictions = np.array([0, 0, 1, 0]), np.array([0.1, 0.2, 0.6, 0.3])
    found = ScoreStatistics.of(labels, predictions, np.ones(4))
    loss = -np.mean(np.log([0.9, 0.8, 0.6, 0.7]))
    assert found.normalized_entropy() == pytest.approx(
        loss / -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
    )
    constant = ScoreStatistics.of(labels, np.full(4, 0.25), np.ones(4))
    assert constant.normalized_entropy() == pytest.approx(1.0)
    one_class = ScoreStatistics.of(np.zeros(4), predictions, np.ones(4))
    assert np.isnan(one_class.normalized_entropy())
