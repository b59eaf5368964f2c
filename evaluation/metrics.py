"""Metrics of multi-task ranking for TensorFlow Model Analysis (TFMA).

TFMA finds these by ``module="evaluation.metrics"`` and ``class_name``. All metrics of a binary
task are derived from one shared computation (:mod:`evaluation.score_statistics`), so an impression
is looked at once per task however many metrics are asked for.

**Session log loss on slices.** ``s_logloss`` weighs each impression by 1 / length of its session.
Overall, and on slices that keep sessions whole (a user attribute), this is exactly the mean over
sessions of the session's mean log loss. A slice that cuts through sessions (an hour, a tab) sees
only some impressions of a session; the session then counts in proportion to the share of its
impressions that lie in the slice.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.metrics import metric_types, metric_util
from tensorflow_model_analysis.proto import config_pb2, metrics_for_slice_pb2

from evaluation.score_statistics import ScoreStatistics

SESSION_LENGTH = "session_length"

_STATISTICS_NAME = "_score_statistics"
_BUFFER_SIZE = 8192
_ROC_POINTS = 200
_CALIBRATION_BUCKETS = 20


class RankingAUC(metric_types.Metric):
    """Area under the ROC curve of a binary task, accurate for rare feedback too.

    NaN where the slice has no positives or no negatives.
    """

    def __init__(self, name: str = "auc"):
        super().__init__(
            metric_util.merge_per_key_computations(_computations_of(ScoreStatistics.auc)), name=name
        )


class Logloss(metric_types.Metric):
    """Mean negative log likelihood over impressions in nats, clipped at 1e-7.

    TFMA's ``BinaryCrossEntropy`` does not clip: one prediction of exactly 0 or 1 makes it NaN.
    """

    def __init__(self, name: str = "logloss"):
        super().__init__(
            metric_util.merge_per_key_computations(_computations_of(ScoreStatistics.mean_logloss)),
            name=name,
        )


class SessionLogloss(metric_types.Metric):
    """Mean over sessions of the session's mean log loss in nats (RMTL, section 3.1.3).

    Needs the int64 feature ``session_length``, the number of impressions of the whole session, in
    every example. See the module's docstring for its meaning on slices.
    """

    def __init__(self, name: str = "s_logloss"):
        super().__init__(
            metric_util.merge_per_key_computations(
                _computations_of(ScoreStatistics.session_logloss)
            ),
            name=name,
        )


class RocPlot(metric_types.Metric):
    """ROC curve at thresholds of equally many impressions, as TFMA's confusion matrices."""

    def __init__(self, name: str = "confusion_matrix_plot"):
        super().__init__(
            metric_util.merge_per_key_computations(
                _computations_of(confusion_matrices, metric_types.PlotKey)
            ),
            name=name,
        )


class ReliabilityPlot(metric_types.Metric):
    """Mean label by mean prediction in buckets of equally many impressions."""

    def __init__(self, name: str = "calibration_plot"):
        super().__init__(
            metric_util.merge_per_key_computations(
                _computations_of(calibration_buckets, metric_types.PlotKey)
            ),
            name=name,
        )


class RSquared(metric_types.Metric):
    """Coefficient of determination of a regression task: 1 - squared error / label variance.

    0 is what always predicting the mean label of the slice would reach. NaN where all labels are
    the same.
    """

    def __init__(self, name: str = "r_squared"):
        super().__init__(metric_util.merge_per_key_computations(_r_squared), name=name)


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


def _computations_of(
    statistic: Callable[[ScoreStatistics], Any],
    key_type: type[metric_types.MetricKey] = metric_types.MetricKey,
) -> Callable[..., metric_types.MetricComputations]:
    """Makes the function TFMA calls for the computations of one metric of one task."""

    def computations(
        name: str,
        eval_config: config_pb2.EvalConfig | None = None,
        model_name: str = "",
        output_name: str = "",
    ) -> metric_types.MetricComputations:
        source = metric_types.MetricKey(
            name=_STATISTICS_NAME, model_name=model_name, output_name=output_name
        )
        key = key_type(name=name, model_name=model_name, output_name=output_name)

        def result(metrics: dict[metric_types.MetricKey, Any]) -> dict[metric_types.MetricKey, Any]:
            return {key: statistic(metrics[source])}

        return [
            metric_types.MetricComputation(
                keys=[source],
                preprocessors=[metric_types.FeaturePreprocessor(feature_keys=[SESSION_LENGTH])],
                combiner=_ScoreStatisticsCombiner(source, eval_config),
            ),
            metric_types.DerivedMetricComputation(keys=[key], result=result),
        ]

    return computations


@dataclasses.dataclass
class _Accumulator:
    """Impressions not yet counted, and the statistics of those that are."""

    pending: list[tuple[float, float, float]]
    statistics: ScoreStatistics

    def flush(self) -> None:
        if self.pending:
            batch = np.asarray(self.pending, np.float64)
            counted = ScoreStatistics.of(batch[:, 0], batch[:, 1], batch[:, 2])
            self.statistics = ScoreStatistics.merge([self.statistics, counted])
            self.pending = []


class _ScoreStatisticsCombiner(beam.CombineFn):
    """Gathers impressions and counts them in NumPy batches; one per task and model."""

    def __init__(self, key: metric_types.MetricKey, eval_config: config_pb2.EvalConfig | None):
        self._key = key
        self._eval_config = eval_config

    def create_accumulator(self) -> _Accumulator:
        return _Accumulator([], ScoreStatistics.empty())

    def add_input(
        self, accumulator: _Accumulator, element: metric_types.StandardMetricInputs
    ) -> _Accumulator:
        features = element.features or {}
        if SESSION_LENGTH not in features:
            raise ValueError(
                f"the examples to evaluate have no feature {SESSION_LENGTH!r}; if the Evaluator is "
                "given a schema, the schema must list it too"
            )
        length = float(np.asarray(features[SESSION_LENGTH]).item())
        for label, prediction, _ in metric_util.to_label_prediction_example_weight(
            element,
            eval_config=self._eval_config,
            model_name=self._key.model_name,
            output_name=self._key.output_name,
        ):
            accumulator.pending.append((float(label.item()), float(prediction.item()), length))
        if len(accumulator.pending) >= _BUFFER_SIZE:
            accumulator.flush()
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[_Accumulator]) -> _Accumulator:
        parts = list(accumulators)
        for part in parts:
            part.flush()
        return _Accumulator([], ScoreStatistics.merge(part.statistics for part in parts))

    def compact(self, accumulator: _Accumulator) -> _Accumulator:
        accumulator.flush()
        return accumulator

    def extract_output(self, accumulator: _Accumulator) -> dict[metric_types.MetricKey, Any]:
        accumulator.flush()
        return {self._key: accumulator.statistics}


def _r_squared(
    name: str,
    eval_config: config_pb2.EvalConfig | None = None,
    model_name: str = "",
    output_name: str = "",
) -> metric_types.MetricComputations:
    key = metric_types.MetricKey(name=name, model_name=model_name, output_name=output_name)
    return [
        metric_types.MetricComputation(
            keys=[key], preprocessors=None, combiner=_RSquaredCombiner(key, eval_config)
        )
    ]


class _RSquaredCombiner(beam.CombineFn):
    """Accumulates count, label mean, label squared deviations and squared error.

    Means and deviations are merged by Chan et al.'s update, because sums of squares of
    milliseconds would lose all digits in the subtraction.
    """

    def __init__(self, key: metric_types.MetricKey, eval_config: config_pb2.EvalConfig | None):
        self._key = key
        self._eval_config = eval_config

    def create_accumulator(self) -> tuple[float, float, float, float]:
        return (0.0, 0.0, 0.0, 0.0)

    def add_input(
        self,
        accumulator: tuple[float, float, float, float],
        element: metric_types.StandardMetricInputs,
    ) -> tuple[float, float, float, float]:
        for label, prediction, _ in metric_util.to_label_prediction_example_weight(
            element,
            eval_config=self._eval_config,
            model_name=self._key.model_name,
            output_name=self._key.output_name,
        ):
            value = float(label.item())
            error = (value - float(prediction.item())) ** 2
            accumulator = self._merge(accumulator, (1.0, value, 0.0, error))
        return accumulator

    def merge_accumulators(
        self, accumulators: Iterable[tuple[float, float, float, float]]
    ) -> tuple[float, float, float, float]:
        result = self.create_accumulator()
        for accumulator in accumulators:
            result = self._merge(result, accumulator)
        return result

    def extract_output(
        self, accumulator: tuple[float, float, float, float]
    ) -> metric_types.MetricsDict:
        _, _, deviations, error = accumulator
        return {self._key: 1.0 - error / deviations if deviations > 0.0 else float("nan")}

    @staticmethod
    def _merge(
        a: tuple[float, float, float, float], b: tuple[float, float, float, float]
    ) -> tuple[float, float, float, float]:
        count = a[0] + b[0]
        if count == 0.0:
            return a
        delta = b[1] - a[1]
        mean = a[1] + delta * b[0] / count
        return (count, mean, a[2] + b[2] + delta**2 * a[0] * b[0] / count, a[3] + b[3])


for _metric in (RankingAUC, Logloss, SessionLogloss, RocPlot, ReliabilityPlot, RSquared):
    metric_types.register_metric(_metric)
