"""Reasons why a model was not blessed, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tensorflow_model_analysis.proto import validation_result_pb2

from mtfx.datasets.spec import Task
from mtfx.evaluation.ranking.summaries import TaskMetrics, task_of_output

_LABELS = {
    "auc": "AUC",
    "logloss": "log loss",
    "r_squared": "R²",
    "mean_squared_error": "mean squared error",
}


def blessing_reasons(
    validation: validation_result_pb2.ValidationResult,
    tasks: Sequence[Task],
    overall: Mapping[str, TaskMetrics],
    baseline: Mapping[str, TaskMetrics],
) -> list[str]:
    """Why a model was not blessed, one sentence for each bound it missed.

    Args:
      validation: TFMA's checks of the thresholds.
      tasks: The model's tasks.
      overall: Figures of each task on the whole split.
      baseline: Those of the latest blessed model; empty if there is none.
    """
    if validation.missing_thresholds:
        return ["no threshold was configured, and without thresholds no model is blessed"]
    sentences = []
    for per_slice in validation.metric_validations_per_slice:
        for failure in per_slice.failures:
            task = task_of_output(failure.metric_key.output_name, tasks)
            undefined = overall[task].reason
            if undefined:
                sentences.append(
                    f"{undefined}; leave the task out with --tasks, or bring more data"
                )
            else:
                sentences.append(_failure(task, failure, baseline.get(task)))
    if validation.missing_slices and not sentences:
        sentences.append("the test split has no impressions on which the bounds could be checked")
    if not validation.validation_ok and not sentences:
        sentences.append("the evaluation did not pass its checks, and names none that failed")
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
        if not old:
            return (
                f"task {task}: {label} cannot be compared with the latest blessed model's, which "
                "is 0: growth has no share of it"
            )
        return (
            f"task {task}: {label} grew by {value / old:.1%} over the latest blessed model's, "
            f"more than the allowed {change.relative.value:.1%}"
        )
    of = "" if baseline is None or baseline.auc is None else f" ({baseline.auc:.4f})"
    return (
        f"task {task}: {label} fell by {-value:.4f} below the latest blessed model's{of}, "
        f"more than the allowed {-change.absolute.value:.4g}"
    )
