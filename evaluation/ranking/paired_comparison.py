"""Two rankers on the same impressions: figures of each, and the difference with its interval.

The difference of two AUCs on the same impressions is far less noisy than each AUC, so it is taken
within each resample. Users are drawn and not impressions, as the impressions of one user depend on
each other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from mtfx.config import Config
from mtfx.datasets.labels import is_known
from mtfx.evaluation.ope.bootstrap import percentile_interval
from mtfx.evaluation.ope.config import BootstrapConfig

#: Predicted probabilities are kept this far from 0 and 1 before a logarithm is taken.
_CLIP = 1e-7


@dataclasses.dataclass(frozen=True)
class RankerFigures(Config):
    """Figures of one task; None where one is undefined or does not apply.

    Attributes:
      auc: Area under the ROC curve (binary tasks).
      logloss: Mean log loss, nats (binary tasks).
      normalised_entropy: The log loss over that of always predicting the impressions' own rate;
        below 1 is better than a constant (binary tasks).
      rmse: Root mean squared error in the label's unit (regression tasks).
      r_squared: Share of the label's variance explained (regression tasks).
    """

    auc: float | None = None
    logloss: float | None = None
    normalised_entropy: float | None = None
    rmse: float | None = None
    r_squared: float | None = None


@dataclasses.dataclass(frozen=True)
class PairedComparison(Config):
    """A model beside another on one task.

    Attributes:
      task: Its name.
      kind: Its kind.
      model: Figures of the model.
      other: Figures of the other.
      difference: Model less other, of the AUC of a binary task or the RMSE of a regression; None
        if it is undefined.
      low: Lower end of the difference's 95% interval; None if it is undefined.
      high: Upper end.
    """

    task: str
    kind: Literal["binary", "regression"]
    model: RankerFigures
    other: RankerFigures
    difference: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def winner(self) -> Literal["model", "other"] | None:
        """Which is better beyond the interval; None if the difference may be chance."""
        if self.low is None or self.high is None or self.low <= 0.0 <= self.high:
            return None
        more_is_better = self.kind == "binary"
        return "model" if (self.low > 0.0) == more_is_better else "other"


@dataclasses.dataclass(frozen=True)
class TreesBeside(Config):
    """A model beside boosted trees.

    Attributes:
      split: The split that both are judged on.
      tasks: A comparison of each task.
      seconds: Wall clock of reading the inputs and training the trees of all tasks, in seconds.
      columns: Number of columns that the trees read.
    """

    split: str
    tasks: tuple[PairedComparison, ...]
    seconds: float
    columns: int


def ranker_figures(
    kind: Literal["binary", "regression"], labels: np.ndarray, predictions: np.ndarray
) -> RankerFigures:
    """Figures of a task's predictions.

    Args:
      kind: Of the task.
      labels: Float `[n]`, ``mtfx.datasets.labels.UNKNOWN`` where unknown, which are left out.
      predictions: Probabilities or values in the label's unit, float `[n]`.
    """
    known = is_known(labels)
    y, p = labels[known].astype(np.float64), predictions[known].astype(np.float64)
    if not len(y):
        return RankerFigures()
    if kind == "regression":
        error, variance = float(np.mean((y - p) ** 2)), float(np.var(y))
        return RankerFigures(
            rmse=error**0.5, r_squared=1.0 - error / variance if variance else None
        )
    p = np.clip(p, _CLIP, 1.0 - _CLIP)
    loss = float(-np.mean(y * np.log(p) + (1.0 - y) * np.log1p(-p)))
    rate = float(y.mean())
    if not 0.0 < rate < 1.0:
        return RankerFigures(logloss=loss)
    entropy = -(rate * np.log(rate) + (1.0 - rate) * np.log1p(-rate))
    return RankerFigures(
        auc=float(_Auc(p, y)(np.ones(len(y)))),
        logloss=loss,
        normalised_entropy=loss / float(entropy),
    )


def compare_paired(
    task: str,
    kind: Literal["binary", "regression"],
    labels: np.ndarray,
    model: np.ndarray,
    other: np.ndarray,
    users: np.ndarray,
    *,
    seed: int = 0,
    bootstrap: BootstrapConfig | None = None,
) -> PairedComparison:
    """Compares two rankers' predictions of the same impressions.

    Args:
      task: Its name.
      kind: Its kind.
      labels: Float `[n]`, ``mtfx.datasets.labels.UNKNOWN`` where unknown, which are left out.
      model: Predictions of the model, `[n]`.
      other: Those of the other, `[n]`.
      users: Each impression's user, `[n]`.
      seed: Of the resamples.
      bootstrap: Resamples and confidence; 500 and 95% by default.
    """
    found = PairedComparison(
        task, kind, ranker_figures(kind, labels, model), ranker_figures(kind, labels, other)
    )
    known = is_known(labels)
    y = labels[known].astype(np.float64)
    one, two = (p[known].astype(np.float64) for p in (model, other))
    first, second = (f.auc if kind == "binary" else f.rmse for f in (found.model, found.other))
    if first is None or second is None:
        return found
    _, user = np.unique(users[known], return_inverse=True)
    compared = _auc_difference if kind == "binary" else _rmse_difference
    low, high = percentile_interval(
        compared(y, one, two, user), int(user.max()) + 1, bootstrap or BootstrapConfig(500), seed
    )
    return dataclasses.replace(
        found, difference=first - second, low=_finite(low), high=_finite(high)
    )


class _Auc:
    """The AUC of weighted impressions, whose order is sorted once."""

    def __init__(self, scores: np.ndarray, labels: np.ndarray) -> None:
        self._order = np.argsort(scores, kind="stable")
        ranked = scores[self._order]
        self._starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
        self._positive = labels[self._order] > 0

    def __call__(self, weights: np.ndarray) -> float:
        """Of weights `[n]`; ties count one half, and without a class it is NaN."""
        weights = weights[self._order]
        positive = np.add.reduceat(np.where(self._positive, weights, 0.0), self._starts)
        negative = np.add.reduceat(np.where(self._positive, 0.0, weights), self._starts)
        below = np.cumsum(negative) - 0.5 * negative
        pairs = positive.sum() * negative.sum()
        return float(positive @ below / pairs) if pairs else float("nan")


def _auc_difference(
    labels: np.ndarray, one: np.ndarray, two: np.ndarray, user: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    first, second = _Auc(one, labels), _Auc(two, labels)

    def differences(counts: np.ndarray) -> np.ndarray:
        weights = (drawn[user].astype(np.float64) for drawn in counts)
        return np.array([first(weight) - second(weight) for weight in weights])

    return differences


def _rmse_difference(
    labels: np.ndarray, one: np.ndarray, two: np.ndarray, user: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    number = np.bincount(user)
    errors = [np.bincount(user, (labels - p) ** 2) for p in (one, two)]

    def differences(counts: np.ndarray) -> np.ndarray:
        total = counts @ number
        return np.sqrt(counts @ errors[0] / total) - np.sqrt(counts @ errors[1] / total)

    return differences


def _finite(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
