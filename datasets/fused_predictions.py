"""Predictions that are fused: which of a ranking model's outputs, and by which map each is made.

A *raw* prediction is what the ranking model gives: a probability, or an expected value in the
task's own unit. A *fused* prediction o is what every fusion function, state, transition and curve
sees: in [0, 1], and the larger the better. xMTF (section 3.1) has the expected watch time among
them, BatchRL-MTF (section 5) play time and play integrity. Plain data; the map itself is computed
in ``mtfx.models.fusion.predictions``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Literal, get_args

from mtfx.config import Config
from mtfx.datasets.request_state import RequestColumn, requested
from mtfx.datasets.spec import DatasetSpec, Task

FusedKind = Literal["probability", "negative", "regression", "play_integrity"]
FUSED_KINDS: tuple[FusedKind, ...] = get_args(FusedKind)
#: Kinds with a scale.
SCALED: tuple[FusedKind, ...] = ("regression", "play_integrity")
#: Name of the prediction that is the expected watch time by the item's duration.
PLAY_INTEGRITY = "play_integrity"
_MS_PER_S = 1_000.0


@dataclasses.dataclass(frozen=True)
class FusedPrediction(Config):
    """A fused prediction o and the raw prediction that it is made of.

    By kind, of a raw prediction p or x: ``probability`` o = p; ``negative`` o = 1 - p;
    ``regression`` o = x / (x + scale); ``play_integrity`` the same of x = expected watch time /
    duration, and 1/2 where the duration is not known.

    x / (x + scale) rises strictly on [0, inf): a prediction beyond those of the training split
    keeps its place, and nothing is clipped. In float32 values above 10^6 times the scale may tie.

    Attributes:
      name: Of the fused prediction.
      task: Whose raw prediction it is made of.
      kind: The map.
      scale: Raw value of which o is 1/2: of ``regression`` in the task's own unit, of
        ``play_integrity`` a share of the duration. Other kinds have none, and 1 here.
      unit: Divisor that brings a ``regression`` to the unit that people read (1000: ms to s).
      unit_name: Of that unit; empty where the data set does not tell.
      duration: Column of the item's duration, of ``play_integrity`` alone; in the task's unit.

    Raises:
      ValueError: at construction, naming the prediction.
    """

    name: str
    task: str
    kind: FusedKind = "probability"
    scale: float = 1.0
    unit: float = 1.0
    unit_name: str = ""
    duration: RequestColumn | None = None

    def __post_init__(self) -> None:
        if self.kind not in FUSED_KINDS:
            raise ValueError(
                f"prediction {self.name!r} is of no kind {self.kind!r}; there are: "
                f"{', '.join(FUSED_KINDS)}"
            )
        for field in ("scale", "unit"):
            value = getattr(self, field)
            if not 0.0 < value < math.inf:
                raise ValueError(f"{field} of prediction {self.name!r} must be positive: {value}")
        if (self.duration is not None) != (self.kind == "play_integrity"):
            raise ValueError(
                f"prediction {self.name!r} of kind {self.kind} has "
                f"{'a' if self.duration else 'no'} column of durations"
            )

    @property
    def has_scale(self) -> bool:
        """Whether the map has a scale, which is fitted."""
        return self.kind in SCALED

    @property
    def axis(self) -> str:
        """What a raw value is, and its unit, for an axis or a table."""
        if self.kind == "regression":
            return f"expected {self.task}" + (f" in {self.unit_name}" if self.unit_name else "")
        if self.kind == "play_integrity":
            return f"expected {self.task} / {self.duration.name if self.duration else ''}"
        return f"probability of {self.task}"

    @property
    def formula(self) -> str:
        """The map in words, its scale in the unit that people read."""
        if self.kind == "negative":
            return "1 - p"
        if not self.has_scale:
            return "p"
        unit = f" {self.unit_name}" if self.unit_name else ""
        return f"x / (x + {self.scale / self.unit:.3g}{unit})"

    def shown(self, fused: float) -> float:
        """The raw value of a fused one, in the unit that people read; infinite for a scaled 1."""
        if self.kind == "probability":
            return fused
        if self.kind == "negative":
            return 1.0 - fused
        return math.inf if fused >= 1.0 else self.scale / self.unit * fused / (1.0 - fused)


def probabilities(names: Sequence[str]) -> tuple[FusedPrediction, ...]:
    """Predictions that are probabilities, each fused as it is."""
    return tuple(FusedPrediction(name, name) for name in names)


def fused_predictions(spec: DatasetSpec, outputs: Collection[str]) -> tuple[FusedPrediction, ...]:
    """All that can be fused of a ranking model's outputs, in the order of the data set's tasks.

    Play integrity comes last, where the model predicts the watch time and a request has the item's
    duration: as a feature of the candidates.

    Args:
      spec: The data set.
      outputs: Tasks that the model predicts.

    Returns:
      Each with the scale 1, which is still to be fitted.

    Raises:
      ValueError: if the model predicts none of the data set's tasks.
    """
    found = [_of_task(spec, task) for task in spec.tasks if task.name in outputs]
    if not found:
        raise ValueError(
            f"the ranking model predicts no task of {spec.name}, only {sorted(outputs)}"
        )
    history = requested(spec).history
    watched = history.watch_time if history is not None else ""
    durations = [
        RequestColumn(f.name, f.dtype)
        for f in spec.features
        if history is not None and f.name == history.duration and f.level == "impression"
    ]
    if durations and any(p.task == watched and p.kind == "regression" for p in found):
        found.append(
            FusedPrediction(PLAY_INTEGRITY, watched, "play_integrity", duration=durations[0])
        )
    return tuple(found)


def watch_time_task(spec: DatasetSpec, outputs: Collection[str]) -> str:
    """The task whose raw prediction is the expected watch time in ms.

    Args:
      spec: The data set.
      outputs: Tasks that the model predicts.

    Raises:
      ValueError: if the model predicts none.
    """
    times = {column.name for column in spec.columns_of("watch_time")}
    known = [task.name for task in spec.tasks if task.kind == "regression" and task.name in times]
    found = [name for name in known if name in outputs]
    if not found:
        remedy = (
            f"train it with `mtfx ranking --tasks ...,{known[0]}`"
            if known
            else f"{spec.name} has no task of it"
        )
        raise ValueError(f"the ranking model predicts no watch time: {remedy}")
    return found[0]


def _of_task(spec: DatasetSpec, task: Task) -> FusedPrediction:
    if task.kind == "binary":
        return FusedPrediction(task.name, task.name, "negative" if task.negative else "probability")
    times = {column.name for column in spec.columns_of("watch_time")}
    seconds = "s" if task.name in times and task.unit == _MS_PER_S else ""
    return FusedPrediction(task.name, task.name, "regression", unit=task.unit, unit_name=seconds)


def without(
    predictions: Sequence[FusedPrediction], names: Sequence[str]
) -> tuple[FusedPrediction, ...]:
    """The predictions but for some.

    Raises:
      ValueError: if one of the names is unknown, or none would be left.
    """
    known = [prediction.name for prediction in predictions]
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"no prediction {unknown[0]!r} is fused; there are: {', '.join(known)}")
    kept = tuple(prediction for prediction in predictions if prediction.name not in names)
    if not kept:
        raise ValueError(f"one prediction must be left of {', '.join(known)}")
    return kept


def with_scales(
    predictions: Sequence[FusedPrediction], scales: Mapping[str, float]
) -> tuple[FusedPrediction, ...]:
    """The predictions with the scales that are given by their names."""
    return tuple(
        dataclasses.replace(one, scale=scales[one.name]) if one.name in scales else one
        for one in predictions
    )
