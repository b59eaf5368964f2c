"""Findings of an evaluation, as plain values.

An AUC without positives or without negatives is undefined. It is ``None`` here, with the reason in
words, never NaN.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from mtfx.datasets.spec import Task


@dataclasses.dataclass(frozen=True)
class TaskMetrics:
    """Figures of one task on one slice; None where a figure is undefined or does not apply.

    Attributes:
      auc: Area under the ROC curve (binary tasks).
      logloss: Mean log loss over impressions, nats (binary tasks).
      s_logloss: Mean over sessions of the session's mean log loss, nats (binary tasks).
      normalized_entropy: Log loss over that of always predicting the rate (binary tasks).
      gauc: AUC within users, weighted by their impressions (binary tasks).
      gauc_users: Users with both classes, which ``gauc`` is the mean over (binary tasks).
      list_users: All users that were looked at for it (binary tasks).
      list_share: Share of the impressions, by users, that ``gauc`` and ``ndcg`` are computed on.
      ndcg: NDCG@10, mean over the sessions that have a positive (binary tasks).
      rmse: Root mean squared error in the label's own unit (regression tasks).
      mae: Mean absolute error in the label's own unit (regression tasks).
      r_squared: Share of the label's variance explained (regression tasks).
      excess_low: Lower 95% bound, by users, of the loss less that of the best constant: log loss
        in nats, or squared error. Above 0, the task is worse than its rate or mean.
      calibration: Sum of predictions / sum of labels; 1 is right on average.
      label_mean: Mean label: for a binary task the rate of the feedback.
      prediction_mean: Mean prediction.
      example_count: Impressions with a known label.
      reason: Why a figure is undefined, in words; empty if none is.
    """

    auc: float | None = None
    logloss: float | None = None
    s_logloss: float | None = None
    normalized_entropy: float | None = None
    gauc: float | None = None
    gauc_users: int | None = None
    list_users: int | None = None
    list_share: float | None = None
    ndcg: float | None = None
    rmse: float | None = None
    mae: float | None = None
    r_squared: float | None = None
    excess_low: float | None = None
    calibration: float | None = None
    label_mean: float | None = None
    prediction_mean: float | None = None
    example_count: int = 0
    reason: str = ""

    @property
    def is_worse_than_rate(self) -> bool:
        """Whether always predicting the rate (the mean) is better, beyond the 95% interval."""
        return self.excess_low is not None and self.excess_low > 0.0

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


def task_of_output(output_name: str, tasks: Sequence[Task]) -> str:
    """The task of a model's output in TFMA, which does not name a model's only output."""
    return output_name or tasks[0].name
