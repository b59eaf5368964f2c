"""Calibration of each task: the line that its logits pass before they are served.

A binary task's logit becomes slope · logit + shift, Platt scaling (Platt, "Probabilistic Outputs
for Support Vector Machines", 1999). The slope is positive, so the order of impressions, and with it
AUC, stays; probabilities of an over-confident model move towards the rate. A regression's logit is
a logarithm, and a shift of it scales the prediction. Losses are taken before it: it is fitted when
training is over (``mtfx.trainers.ranking.calibration``), and is constant in what is exported.

Tasks are calibrated each by itself, so that an ESMM's probability of a purchase may come to lie
above that of its click by as much as the two were off.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import tensorflow as tf

from mtfx.datasets.spec import Task


@dataclasses.dataclass(frozen=True)
class TaskCalibration:
    """The line of one task, and what it was fitted on.

    Attributes:
      slope: What logits are multiplied by; positive, 1 for a regression.
      shift: What is added to the product.
      impressions: Impressions with a known label in the split of the fit.
      positives: Those of them with a positive label.
      before: Sum of predictions / sum of labels there, without the line; None without positives.
      after: The same with it.
      reason: Why the task is served as it is; empty for one that is calibrated.
    """

    slope: float = 1.0
    shift: float = 0.0
    impressions: int = 0
    positives: int = 0
    before: float | None = None
    after: float | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        if not self.slope > 0.0:
            raise ValueError(f"slope must be positive to keep the order, got {self.slope}")


@dataclasses.dataclass(frozen=True)
class Calibration:
    """The lines of a model's tasks, by name; a task that is not named is served as it is."""

    tasks: Mapping[str, TaskCalibration] = dataclasses.field(default_factory=dict)

    def apply(self, logits: tf.Tensor, tasks: Sequence[Task]) -> tf.Tensor:
        """What is served instead of ``logits``.

        Args:
          logits: float32 `[batch, task]`.
          tasks: The tasks of the columns.

        Returns:
          Of the same shape; the very tensor if no task is calibrated.
        """
        lines = [self.tasks.get(task.name, TaskCalibration()) for task in tasks]
        if all(line.slope == 1.0 and line.shift == 0.0 for line in lines):
            return logits
        slopes = tf.constant([line.slope for line in lines], tf.float32)
        shifts = tf.constant([line.shift for line in lines], tf.float32)
        return logits * slopes + shifts

    def to_json(self) -> dict[str, dict[str, float | int | str | None]]:
        """By task the fields of its :class:`TaskCalibration`, for the model's metadata."""
        return {name: dataclasses.asdict(line) for name, line in self.tasks.items()}

    @classmethod
    def from_json(cls, content: Mapping[str, Mapping]) -> Calibration:
        """What :meth:`to_json` gave."""
        return cls({name: TaskCalibration(**line) for name, line in content.items()})
