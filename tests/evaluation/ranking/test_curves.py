"""Curves against direct counts, and impressions that TFMA hands to the statistics."""

import itertools

import numpy as np
import pytest
from tensorflow_model_analysis.metrics import metric_types

from mtfx.evaluation.ranking.curves import calibration_buckets, confusion_matrices
from mtfx.evaluation.ranking.score_statistics import ScoreStatistics
from mtfx.evaluation.ranking.statistics_combiner import (
    SESSION,
    SESSION_LENGTH,
    USER,
    ImpressionRows,
    StatisticsCombiner,
)

KEY = metric_types.MetricKey("statistics", model_name="candidate", output_name="click")


def statistics(rows=5000):
    rng = np.random.default_rng(0)
    scores = rng.random(rows)
    labels = (rng.random(rows) < scores).astype(float)
    return labels, scores, ScoreStatistics.of(labels, scores, np.ones(rows))


def test_counts_at_a_threshold_are_those_of_the_impressions_above():
    labels, scores, found = statistics()
    matrices = confusion_matrices(found).matrices
    assert 100 < len(matrices) <= 201
    assert (matrices[0].true_positives, matrices[0].false_positives) == (0, 0)
    last = matrices[-1]
    assert (last.true_positives, last.false_negatives) == (labels.sum(), 0)
    assert last.false_positives == len(labels) - labels.sum()
    thresholds = [matrix.threshold for matrix in matrices]
    assert thresholds == sorted(thresholds, reverse=True)
    middle = min(matrices, key=lambda matrix: abs(matrix.threshold - 0.5))
    above = (labels[scores >= middle.threshold]).sum()
    # A group's mean lies inside it.
    assert middle.true_positives == pytest.approx(above, abs=len(labels) / 100)


def test_buckets_share_out_the_impressions_and_cover_all_predictions():
    labels, scores, found = statistics()
    buckets = calibration_buckets(found).buckets
    assert buckets[0].lower_threshold_inclusive == 0.0
    assert buckets[-1].upper_threshold_exclusive == 1.0
    for below, above in itertools.pairwise(buckets):
        assert below.upper_threshold_exclusive == above.lower_threshold_inclusive
    sizes = [bucket.num_weighted_examples.value for bucket in buckets]
    assert sum(sizes) == len(labels)
    assert max(sizes) < 1.5 * min(sizes)
    assert sum(b.total_weighted_label.value for b in buckets) == labels.sum()
    predicted = sum(b.total_weighted_refined_prediction.value for b in buckets)
    assert predicted == pytest.approx(scores.sum())


def test_nothing_has_one_matrix_and_no_bucket():
    empty = ScoreStatistics.empty()
    assert len(confusion_matrices(empty).matrices) == 1
    assert len(calibration_buckets(empty).buckets) == 0


def impression(label, prediction, length=1):
    extracts = {
        "labels": {"click": np.array([label])},
        "predictions": {"candidate": {"click": np.array([prediction])}},
        "features": {
            SESSION_LENGTH: np.array([length]),
            USER: np.array([7]),
            SESSION: np.array([b"7-1"], object),
        },
    }
    return ImpressionRows(KEY).process(extracts)


def test_bundles_add_up_to_the_whole():
    combiner = StatisticsCombiner(KEY, "binary")
    rows = [(1.0, 0.8), (0.0, 0.3), (1.0, 0.4)]
    parts = []
    for bundle in (rows[:1], rows[1:], []):
        part = combiner.create_accumulator()
        for row in bundle:
            part = combiner.add_inputs(part, impression(*row))
        parts.append(part)
    found = combiner.extract_output(combiner.merge_accumulators(parts))[KEY].values
    whole = ScoreStatistics.of(*np.array(rows).T, np.ones(3))
    np.testing.assert_array_equal(found.buckets, whole.buckets)
    assert found.mean_logloss() == pytest.approx(whole.mean_logloss())


def test_a_task_without_its_label_is_named():
    lacking = {"labels": {"like": np.array([1.0])}, "predictions": {}, "features": {}}
    with pytest.raises(ValueError, match="no label of task 'click'"):
        list(ImpressionRows(KEY).process(lacking))
