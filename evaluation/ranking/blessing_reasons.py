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
    "entropy_excess_low": "log loss above that of the base rate (lower 95% bound)",
    "squared_error_excess_low": "squared error above that of the mean (lower 95% bound)",
}

#: Metrics whose bound says that a task may not be worse than a constant.
EXCESS = ("entropy_excess_low", "squared_error_excess_low")


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
                found = overall[task]
                if failure.metric_key.name in EXCESS and found.is_worse_than_rate:
                    sentences.append(worse_than_rate(task, found))
                else:
                    sentences.append(_failure(task, failure, baseline.get(task)))
    if validation.missing_slices and not sentences:
        sentences.append("the test split has no impressions on which the bounds could be checked")
    if not validation.validation_ok and not sentences:
        sentences.append("the evaluation did not pass its checks, and names none that failed")
    # A task fails its absolute bound and its change threshold for one and the same reason.
    return list(dict.fromkeys(sentences))


def worse_than_rate(task: str, found: TaskMetrics) -> str:
    """The sentence of a task for which a constant would do better, beyond the 95% interval."""
    if found.logloss is None:
        return (
            f"task {task}: predictions are worse than always the mean, beyond the 95% interval "
            f"(R² {_shown(found.r_squared)}); --allow-worse-than-rate permits it"
        )
    rate = f"{found.label_mean:.2%}" if found.label_mean is not None else "observed"
    return (
        f"task {task}: predictions are worse than always the {rate} rate, beyond the 95% interval "
        f"(log loss {_shown(found.logloss)}, normalised entropy "
        f"{_shown(found.normalized_entropy)}); --allow-worse-than-rate permits it"
    )


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"


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
