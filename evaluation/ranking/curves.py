"""Curves of a binary task as the protos in which TFMA stores plots."""

from __future__ import annotations

import numpy as np
from tensorflow_model_analysis.proto import metrics_for_slice_pb2

from mtfx.evaluation.ranking.score_statistics import ScoreStatistics

_ROC_POINTS = 200
_CALIBRATION_BUCKETS = 20


def confusion_matrices(
    statistics: ScoreStatistics,
) -> metrics_for_slice_pb2.ConfusionMatrixAtThresholds:
    """Confusion matrices at up to 200 thresholds, from the highest (nothing positive) down.

    ``threshold`` is the mean prediction of the lowest group still called positive.
    """
    starts = statistics.groups(_ROC_POINTS)
    result = metrics_for_slice_pb2.ConfusionMatrixAtThresholds()
    positives, negatives, predictions = (
        np.add.reduceat(values, starts) if starts.size else np.zeros(0)
        for values in (statistics.positives, statistics.negatives, statistics.predictions)
    )
    all_positives, all_negatives = float(positives.sum()), float(negatives.sum())
    true_positives = false_positives = 0.0
    result.matrices.add(threshold=1.0, false_negatives=all_positives, true_negatives=all_negatives)
    for group in range(starts.size - 1, -1, -1):
        true_positives += positives[group]
        false_positives += negatives[group]
        result.matrices.add(
            threshold=predictions[group] / (positives[group] + negatives[group]),
            true_positives=true_positives,
            false_positives=false_positives,
            false_negatives=all_positives - true_positives,
            true_negatives=all_negatives - false_positives,
        )
    return result


def calibration_buckets(
    statistics: ScoreStatistics,
) -> metrics_for_slice_pb2.CalibrationHistogramBuckets:
    """Sums of labels and predictions in up to 20 buckets of equally many impressions."""
    starts = statistics.groups(_CALIBRATION_BUCKETS)
    result = metrics_for_slice_pb2.CalibrationHistogramBuckets()
    if not starts.size:
        return result
    sizes = np.add.reduceat(statistics.positives + statistics.negatives, starts)
    labels = np.add.reduceat(statistics.positives, starts)
    predictions = np.add.reduceat(statistics.predictions, starts)
    means = predictions / sizes
    bounds = np.concatenate([[0.0], 0.5 * (means[1:] + means[:-1]), [1.0]])
    for i in range(starts.size):
        result.buckets.add(
            lower_threshold_inclusive=bounds[i],
            upper_threshold_exclusive=bounds[i + 1],
            total_weighted_label={"value": labels[i]},
            total_weighted_refined_prediction={"value": predictions[i]},
            num_weighted_examples={"value": sizes[i]},
        )
    return result
