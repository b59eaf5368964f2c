"""Results that TFMA wrote, as plain figures and sentences; a NaN never leaves this module."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence

import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import metrics_for_slice_pb2

from mtfx.datasets.spec import Task
from mtfx.evaluation.ranking.blessing_reasons import blessing_reasons
from mtfx.evaluation.ranking.eval_config import BASELINE
from mtfx.evaluation.ranking.list_metrics import NDCG_K
from mtfx.evaluation.ranking.summaries import (
    CalibrationBucket,
    EvaluationSummary,
    SliceMetrics,
    TaskMetrics,
    TaskPlots,
    task_of_output,
)

__all__ = ["EvaluationSummary", "TaskMetrics", "read_evaluation"]

#: The split whose impressions are evaluated, as it is called in sentences.
TEST_SPLIT = "the test split"


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
        reasons=tuple(blessing_reasons(validation, tasks, overall, baseline)),
    )


def _values_by_task(
    record: metrics_for_slice_pb2.MetricsForSlice, tasks: Sequence[Task]
) -> dict[tuple[str, bool], dict[str, float]]:
    """Values by (task, whether of the baseline) and metric, differences left out."""
    result: dict[tuple[str, bool], dict[str, float]] = {}
    for pair in record.metric_keys_and_values:
        if not pair.key.is_diff:
            key = (task_of_output(pair.key.output_name, tasks), pair.key.model_name == BASELINE)
            result.setdefault(key, {})[pair.key.name] = pair.value.double_value.value
    return result


def _task_metrics(task: Task, values: Mapping[str, float], place: str) -> TaskMetrics:
    def figure(name: str) -> float | None:
        value = values.get(name)
        return value if value is not None and math.isfinite(value) else None

    def number(name: str) -> int | None:
        value = figure(name)
        return None if value is None else int(value)

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
        reason = ""
        if mse is None:
            lacking = "no known label" if not count else "predictions that are no finite numbers"
            reason = f"{task.name}: R² undefined, {place} has {lacking}"
        elif figure("r_squared") is None:
            reason = f"{task.name}: R² undefined, {place} has one label value only"
        return dataclasses.replace(
            common,
            rmse=None if mse is None else math.sqrt(mse),
            mae=figure("mean_absolute_error"),
            r_squared=figure("r_squared"),
            excess_low=figure("squared_error_excess_low"),
            reason=reason,
        )
    auc = figure("auc")
    reason = ""
    if auc is None:
        lacking = "predictions that are no finite numbers"
        if not count:
            lacking = "no known label"
        elif mean_label in (0.0, 1.0):
            lacking = "no negatives" if mean_label else "no positives"
        reason = f"{task.name}: AUC undefined, {place} has {lacking}"
    return dataclasses.replace(
        common,
        auc=auc,
        logloss=figure("logloss"),
        s_logloss=figure("s_logloss"),
        normalized_entropy=figure("normalized_entropy"),
        gauc=figure("gauc"),
        gauc_users=number("gauc_users"),
        list_users=number("list_users"),
        list_share=figure("list_share"),
        ndcg=figure(f"ndcg_at_{NDCG_K}"),
        excess_low=figure("entropy_excess_low"),
        reason=reason,
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
                result[task_of_output(pair.key.output_name, tasks)] = _task_plots(pair.value)
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
