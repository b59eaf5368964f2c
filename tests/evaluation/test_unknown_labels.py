"""A task is judged by impressions whose label is known, in statistics, TFMA and arrays alike."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from mtfx.datasets.labels import UNKNOWN
from mtfx.datasets.spec import Task
from mtfx.evaluation.ranking.error_statistics import ErrorStatistics
from mtfx.evaluation.ranking.eval_config import build_eval_config, build_evaluation_schema
from mtfx.evaluation.ranking.ranking_metrics import task_figures
from mtfx.evaluation.ranking.results import read_evaluation
from mtfx.evaluation.ranking.score_statistics import ScoreStatistics
from mtfx.evaluation.simulator.session_sample import sample_of_impressions

LIKE = Task("click", may_be_unknown=True)
WATCH = Task("watch_time_ms", kind="regression", may_be_unknown=True)


@st.composite
def sessions_with_gaps(draw, labels=(0, 1)):
    """Labels, some unknown, predictions and session lengths."""
    lengths = draw(st.lists(st.integers(1, 5), min_size=1, max_size=8))
    size = sum(lengths)
    known = st.sampled_from([*labels, UNKNOWN, UNKNOWN])
    found = draw(st.lists(known, min_size=size, max_size=size))
    scores = draw(st.lists(st.integers(0, 10), min_size=size, max_size=size))
    return np.array(found, float), np.array(scores) / 10, np.array(lengths)


def by_hand(labels, predictions, lengths):
    """Sums of log losses and weights, by loops over sessions and their known labels."""
    losses, session_sum, weight, row = [], 0.0, 0.0, 0
    for length in lengths:
        for _ in range(length):
            if labels[row] != -1:
                p = predictions[row] if labels[row] == 1 else 1 - predictions[row]
                loss = -math.log(min(max(p, 1e-7), 1 - 1e-7))
                losses.append(loss)
                session_sum += loss / length
                weight += 1 / length
            row += 1
    return losses, session_sum, weight


@given(sessions_with_gaps(), st.data())
@settings(max_examples=80)
def test_binary_statistics_are_those_of_the_known_labels(case, data):
    labels, predictions, lengths = case
    per_row = np.repeat(lengths, lengths)
    cut = data.draw(st.integers(0, len(labels)))
    parts = [
        ScoreStatistics.of(labels[part], predictions[part], per_row[part])
        for part in (slice(0, cut), slice(cut, None))
    ]
    found = ScoreStatistics.merge(parts)
    losses, session_sum, weight = by_hand(labels, predictions, lengths)
    known = labels != -1
    assert found.impressions == len(losses)
    assert found.label_sum == labels[known].sum()
    assert found.prediction_sum == pytest.approx(predictions[known].sum())
    if not losses:
        assert math.isnan(found.mean_logloss())
        assert math.isnan(found.session_logloss())
        with pytest.raises(ValueError, match="labels and predictions"):
            task_figures(labels, predictions, lengths)
        return
    assert found.mean_logloss() == pytest.approx(np.mean(losses))
    assert found.session_logloss() == pytest.approx(session_sum / weight)
    figures = task_figures(labels, predictions, lengths)
    assert figures["logloss"] == pytest.approx(np.mean(losses))
    assert figures["s_logloss"] == pytest.approx(session_sum / weight)
    if len(set(labels[known])) == 2:
        area = sklearn_metrics.roc_auc_score(labels[known], predictions[known])
        assert figures["auc"] == pytest.approx(area)
        assert found.auc() == pytest.approx(area, abs=1e-6)
    else:
        assert figures["auc"] is None


@given(sessions_with_gaps(labels=(0.0, 2.5, 4.0)))
@settings(max_examples=60)
def test_regression_statistics_are_those_of_the_known_labels(case):
    labels, predictions, _ = case
    found = ErrorStatistics.of(labels, predictions, np.ones(len(labels)))
    known = labels != -1
    wanted = ErrorStatistics.of(labels[known], predictions[known], np.ones(int(known.sum())))
    assert found == wanted
    assert found.impressions == known.sum()


def test_other_impossible_labels_still_are_errors():
    with pytest.raises(ValueError, match="must be 0 or 1"):
        ScoreStatistics.of(np.array([-2.0]), np.array([0.5]), np.array([1]))
    with pytest.raises(ValueError, match="must be finite"):
        ErrorStatistics.of(np.array([np.nan]), np.array([0.5]), np.array([1]))


def test_a_sample_of_sessions_has_rates_of_known_feedback():
    feedback = np.array([[1.0, UNKNOWN], [0.0, 1.0], [UNKNOWN, UNKNOWN], [1.0, 0.0]])
    sample = sample_of_impressions(("click", "like"), np.array([0, 0, 1, 1]), feedback, None)
    np.testing.assert_allclose(sample.rates(), [2 / 3, 1 / 2])
    np.testing.assert_array_equal(sample.take(np.array([1])).known, [[1, 1]])


def test_the_evaluator_leaves_unknown_labels_out(evaluate, impressions):
    rng = np.random.default_rng(1)
    click, watch = impressions.columns["click"], impressions.columns["watch_time_ms"]
    rated, watched = rng.random(click.size) < 0.3, rng.random(click.size) < 0.4
    gaps = impressions.replaced(
        click=np.where(rated, click, UNKNOWN),
        watch_time_ms=np.where(watched, watch, np.float32(UNKNOWN)),
    )
    tasks = (LIKE, WATCH)
    schema = build_evaluation_schema(tasks, {"tab": "int64"}, "int64")
    outcome = evaluate(gaps, tasks, build_eval_config(tasks, ("tab",)), schema=schema)
    found = read_evaluation(outcome.evaluation_uri, tasks)
    scores = impressions.columns["score_click"][rated]
    metrics = found.metrics["click"]
    assert metrics.example_count == rated.sum()
    assert metrics.label_mean == pytest.approx(click[rated].mean())
    assert metrics.auc == pytest.approx(
        sklearn_metrics.roc_auc_score(click[rated], scores), abs=1e-3
    )
    assert metrics.logloss == pytest.approx(sklearn_metrics.log_loss(click[rated], scores))
    errors = watch[watched] - impressions.columns["score_watch_time_ms"][watched]
    assert found.metrics["watch_time_ms"].mae == pytest.approx(np.abs(errors).mean(), rel=1e-5)
    assert found.metrics["watch_time_ms"].example_count == watched.sum()
    assert sum(b.example_count for b in found.plots["click"].calibration) == rated.sum()
    tab = impressions.columns["tab"]
    for part in found.slices:
        assert part.metrics["click"].example_count == (rated & (tab == int(part.value))).sum()


def test_a_test_split_without_any_known_label_is_said_and_blesses_nothing(evaluate, impressions):
    size = impressions.columns["click"].size
    gaps = impressions.replaced(watch_time_ms=np.full(size, UNKNOWN, np.float32))
    tasks = (Task("click"), WATCH)
    outcome = evaluate(gaps, tasks, build_eval_config(tasks))
    found = read_evaluation(outcome.evaluation_uri, tasks)
    assert not found.passed
    assert any(
        "watch_time_ms: R² undefined, the test split has no known label" in reason
        for reason in found.reasons
    )
    assert found.metrics["watch_time_ms"].label_mean is None
