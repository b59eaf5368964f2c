"""Reads what TFMA wrote, as plain figures and sentences.

An AUC without positives or without negatives is undefined. It is ``None`` here, with the reason in
words; a NaN never leaves this module.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import metrics_for_slice_pb2, validation_result_pb2

from datasets.spec import Task
from evaluation.eval_config import BASELINE

#: The split whose impressions are evaluated, as it is called in sentences.
TEST_SPLIT = "the test split"


@dataclasses.dataclass(frozen=True)
class TaskMetrics:
    """Figures of one task on one slice; None where a figure is undefined or does not apply.

    Attributes:
      auc: Area under the ROC curve (binary tasks).
      logloss: Mean log loss over impressions, nats (binary tasks).
      s_logloss: Mean over sessions of the session's mean log loss, nats (binary tasks).
      rmse: Root mean squared error in the label's own unit (regression tasks).
      mae: Mean absolute error in the label's own unit (regression tasks).
      r_squared: Share of the label's variance explained (regression tasks).
      calibration: Sum of predictions / sum of labels; 1 is right on average.
      label_mean: Mean label: for a binary task the rate of the feedback.
      prediction_mean: Mean prediction.
      example_count: Impressions.
      reason: Why a figure is undefined, in words; empty if none is.
    """

    auc: float | None = None
    logloss: float | None = None
    s_logloss: float | None = None
    rmse: float | None = None
    mae: float | None = None
    r_squared: float | None = None
    calibration: float | None = None
    label_mean: float | None = None
    prediction_mean: float | None = None
    example_count: int = 0
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """The figures that apply to the task; a binary task's ``auc`` stays even if None."""
        values = dataclasses.asdict(self)
        keep = ("rmse", "mae", "r_squared") if self.logloss is None else ("auc",)
        return {
            name: value
            for name, value in values.items()
            if value not in (None, "") or (name in keep)
        }


@dataclasses.dataclass(frozen=True)
class SliceMetrics:
    """Figures of all tasks where ``column`` has ``value``."""

    column: str
    value: str
    metrics: Mapping[str, TaskMetrics]

    @property
    def example_count(self) -> int:
        """Impressions of the slice."""
        return max((task.example_count for task in self.metrics.values()), default=0)


@dataclasses.dataclass(frozen=True)
class CalibrationBucket:
    """Impressions of similar prediction: their number, mean prediction and mean label."""

    example_count: int
    prediction_mean: float
    label_mean: float


@dataclasses.dataclass(frozen=True)
class TaskPlots:
    """Curves of a binary task on the whole split.

    Attributes:
      roc: (false positive rate, true positive rate) from (0, 0) to (1, 1); empty if undefined.
      calibration: Buckets of equally many impressions by rising prediction.
    """

    roc: tuple[tuple[float, float], ...]
    calibration: tuple[CalibrationBucket, ...]


@dataclasses.dataclass(frozen=True)
class EvaluationSummary:
    """What an evaluation found.

    Attributes:
      metrics: Figures of each task on the whole split.
      baseline: Those of the latest blessed model on the same impressions; None in a first run.
      slices: Figures by slice, largest slice of each column first.
      plots: Curves of each binary task on the whole split.
      passed: Whether every threshold was kept. TFX blesses the model exactly then.
      reasons: Why not, one sentence each; empty if passed.
    """

    metrics: Mapping[str, TaskMetrics]
    baseline: Mapping[str, TaskMetrics] | None
    slices: tuple[SliceMetrics, ...]
    plots: Mapping[str, TaskPlots]
    passed: bool
    reasons: tuple[str, ...]


def read_evaluation(evaluation_uri: str, tasks: Sequence[Task]) -> EvaluationSummary:
    """Reads the ``ModelEvaluation`` artifact of TFX's Evaluator.

    Args:
      evaluation_uri: The artifact's URI.
      tasks: The tasks the evaluation was configured for.

    Raises:
      ValueError: if there is no evaluation at the URI, or not of these tasks.
    """
    records = list(tfma.load_metrics(evaluation_uri))
    if not records:
        raise ValueError(
            f"no evaluation can be read from {evaluation_uri}: it does not exist, or the split "
            "that was evaluated is empty"
        )
    overall: dict[str, TaskMetrics] = {}
    baseline: dict[str, TaskMetrics] = {}
    slices: list[SliceMetrics] = []
    for record in records:
        keys = record.slice_key.single_slice_keys
        values = _values_by_task(record, tasks)
        candidate = {
            task.name: _task_metrics(task, values[(task.name, False)], _place(keys))
            for task in tasks
            if (task.name, False) in values
        }
        if keys:
            column, value = _slice_of(keys)
            slices.append(SliceMetrics(column, value, candidate))
        else:
            overall = candidate
            baseline = {
                task.name: _task_metrics(task, values[(task.name, True)], TEST_SPLIT)
                for task in tasks
                if (task.name, True) in values
            }
    if missing := [task.name for task in tasks if task.name not in overall]:
        raise ValueError(
            f"the evaluation in {evaluation_uri} has no figures for: {', '.join(missing)}"
        )
    order = list(dict.fromkeys(s.column for s in sorted(slices, key=lambda s: s.column)))
    slices.sort(key=lambda s: (order.index(s.column), -s.example_count, s.value))
    validation = tfma.load_validation_result(evaluation_uri)
    return EvaluationSummary(
        metrics=overall,
        baseline=baseline or None,
        slices=tuple(slices),
        plots=_read_plots(evaluation_uri, tasks),
        passed=validation.validation_ok and not validation.missing_thresholds,
        reasons=tuple(_reasons(validation, tasks, overall, baseline)),
    )


def _values_by_task(
    record: metrics_for_slice_pb2.MetricsForSlice, tasks: Sequence[Task]
) -> dict[tuple[str, bool], dict[str, float]]:
    """Values by (task, whether of the baseline) and metric, differences left out."""
    result: dict[tuple[str, bool], dict[str, float]] = {}
    for pair in record.metric_keys_and_values:
        if not pair.key.is_diff:
            key = (_task_name(pair.key, tasks), pair.key.model_name == BASELINE)
            result.setdefault(key, {})[pair.key.name] = pair.value.double_value.value
    return result


def _task_name(
    key: metrics_for_slice_pb2.MetricKey | metrics_for_slice_pb2.PlotKey, tasks: Sequence[Task]
) -> str:
    # TFMA does not name the output of a model that has one only.
    return key.output_name or tasks[0].name


def _task_metrics(task: Task, values: Mapping[str, float], place: str) -> TaskMetrics:
    def figure(name: str) -> float | None:
        value = values.get(name)
        return value if value is not None and math.isfinite(value) else None

    count = int(values.get("example_count", 0))
    mean_label = figure("mean_label")
    common = TaskMetrics(
        calibration=figure("calibration"),
        label_mean=mean_label,
        prediction_mean=figure("mean_prediction"),
        example_count=count,
    )
    if task.kind == "regression":
        mse = figure("mean_squared_error")
        constant = figure("r_squared") is None
        return dataclasses.replace(
            common,
            rmse=None if mse is None else math.sqrt(mse),
            mae=figure("mean_absolute_error"),
            r_squared=figure("r_squared"),
            reason=f"{task.name}: R² undefined, {place} has one label value only"
            if constant
            else "",
        )
    auc = figure("auc")
    reason = ""
    if auc is None:
        lacking = (
            "no impressions" if not count else "no negatives" if mean_label else "no positives"
        )
        reason = f"{task.name}: AUC undefined, {place} has {lacking}"
    return dataclasses.replace(
        common, auc=auc, logloss=figure("logloss"), s_logloss=figure("s_logloss"), reason=reason
    )


def _slice_of(keys: Iterable[metrics_for_slice_pb2.SingleSliceKey]) -> tuple[str, str]:
    columns, values = [], []
    for key in keys:
        value = getattr(key, key.WhichOneof("kind") or "bytes_value")
        columns.append(key.column)
        values.append(value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value))
    return " x ".join(columns), " x ".join(values)


def _place(keys: Sequence[metrics_for_slice_pb2.SingleSliceKey]) -> str:
    if not keys:
        return TEST_SPLIT
    column, value = _slice_of(keys)
    return f"the slice {column}={value}"


def _read_plots(evaluation_uri: str, tasks: Sequence[Task]) -> dict[str, TaskPlots]:
    result: dict[str, TaskPlots] = {}
    for record in tfma.load_plots(evaluation_uri):
        if record.slice_key.single_slice_keys:
            continue
        for pair in record.plot_keys_and_values:
            if pair.key.model_name != BASELINE:
                result[_task_name(pair.key, tasks)] = _task_plots(pair.value)
    return result


def _task_plots(data: metrics_for_slice_pb2.PlotData) -> TaskPlots:
    roc = []
    for matrix in data.confusion_matrix_at_thresholds.matrices:
        positives = matrix.true_positives + matrix.false_negatives
        negatives = matrix.false_positives + matrix.true_negatives
        if positives and negatives:
            roc.append((matrix.false_positives / negatives, matrix.true_positives / positives))
    calibration = [
        CalibrationBucket(
            example_count=round(bucket.num_weighted_examples.value),
            prediction_mean=bucket.total_weighted_refined_prediction.value
            / bucket.num_weighted_examples.value,
            label_mean=bucket.total_weighted_label.value / bucket.num_weighted_examples.value,
        )
        for bucket in data.calibration_histogram_buckets.buckets
        if bucket.num_weighted_examples.value
    ]
    return TaskPlots(tuple(roc), tuple(calibration))


_LABELS = {
    "auc": "AUC",
    "logloss": "log loss",
    "r_squared": "R²",
    "mean_squared_error": "mean squared error",
}


def _reasons(
    validation: validation_result_pb2.ValidationResult,
    tasks: Sequence[Task],
    overall: Mapping[str, TaskMetrics],
    baseline: Mapping[str, TaskMetrics],
) -> list[str]:
    if validation.missing_thresholds:
        return ["no threshold was configured, and without thresholds no model is blessed"]
    sentences = []
    for per_slice in validation.metric_validations_per_slice:
        for failure in per_slice.failures:
            task = _task_name(failure.metric_key, tasks)
            undefined = overall[task].reason
            if undefined:
                sentences.append(
                    f"{undefined}; leave the task out with --tasks, or bring more data"
                )
            else:
                sentences.append(_failure(task, failure, baseline.get(task)))
    # A task fails its absolute bound and its change threshold for one and the same reason.
    return list(dict.fromkeys(sentences))


def _failure(
    task: str,
    failure: validation_result_pb2.ValidationFailure,
    baseline: TaskMetrics | None,
) -> str:
    name = failure.metric_key.name
    label = _LABELS.get(name, name)
    value = failure.metric_value.double_value.value
    threshold = failure.metric_threshold
    if failure.message.strip():
        return f"task {task}: {label} could not be checked: {' '.join(failure.message.split())}"
    if threshold.HasField("value_threshold"):
        bounds = threshold.value_threshold
        if bounds.HasField("lower_bound") and value < bounds.lower_bound.value:
            return (
                f"task {task}: {label} {value:.4f} is below the bound "
                f"{bounds.lower_bound.value:.4g}"
            )
        return f"task {task}: {label} {value:.4f} is above the bound {bounds.upper_bound.value:.4g}"
    change = threshold.change_threshold
    if name == "mean_squared_error" and baseline is not None and baseline.rmse is not None:
        old = baseline.rmse**2
        return (
            f"task {task}: {label} grew by {value / old:.1%} over the latest blessed model's, "
            f"more than the allowed {change.relative.value:.1%}"
        )
    of = "" if baseline is None or baseline.auc is None else f" ({baseline.auc:.4f})"
    return (
        f"task {task}: {label} fell by {-value:.4f} below the latest blessed model's{of}, "
        f"more than the allowed {-change.absolute.value:.4g}"
    )
