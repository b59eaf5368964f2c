"""Calibration of a response model, and what is left to correct afterwards."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from scipy.optimize import brentq
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

#: With fewer positives a slope cannot be distinguished from chance, and only the level is fitted.
_MIN_POSITIVES = 30
_BUCKETS = 10


@dataclasses.dataclass(frozen=True)
class FeedbackCalibration:
    """How well a feedback's probabilities meet held-out impressions.

    Attributes:
      name: The feedback.
      rows: Held-out impressions.
      rate: Share of them with the feedback.
      predicted: Mean probability.
      error: Expected calibration error: the mean distance of probability and rate over ten buckets
        of equally many impressions (Naeini et al., AAAI 2015).
      auc: Area under the ROC curve; None where a class is missing.
      method: ``platt``, ``level`` (too few positives for a slope), or ``none`` (no positive).
    """

    name: str
    rows: int
    rate: float
    predicted: float
    error: float
    auc: float | None
    method: str


def fit_platt(logits: np.ndarray, labels: np.ndarray) -> tuple[float, float, str]:
    """Slope and level with which sigmoid(slope * logit + level) meets the labels.

    Platt, "Probabilistic outputs for support vector machines", 1999, without his target smoothing:
    there are thousands of impressions.

    Args:
      logits: float `[n]`.
      labels: 0 or 1, `[n]`.

    Returns:
      Slope, level and which method was used; see :class:`FeedbackCalibration`. Where the logits
      rank no better than chance (a slope below 0), the slope is 0 and the level that of the rate.
    """
    positives = int(labels.sum())
    if positives in (0, len(labels)):
        return 1.0, 0.0, "none"
    if min(positives, len(labels) - positives) < _MIN_POSITIVES:
        return 1.0, _level(logits, labels.mean()), "level"
    fitted = LogisticRegression(C=1e6, max_iter=200).fit(logits[:, None], labels)
    slope, level = float(np.ravel(fitted.coef_)[0]), float(np.ravel(fitted.intercept_)[0])
    if slope < 0:
        rate = float(labels.mean())
        return 0.0, math.log(rate / (1 - rate)), "platt"
    return slope, level, "platt"


def check_calibration(
    name: str, probabilities: np.ndarray, labels: np.ndarray, method: str
) -> FeedbackCalibration:
    """Compares probabilities `[n]` with held-out labels `[n]`."""
    positives = labels.sum()
    auc = None
    if 0 < positives < len(labels):
        auc = float(roc_auc_score(labels, probabilities))
    return FeedbackCalibration(
        name=name,
        rows=len(labels),
        rate=float(labels.mean()),
        predicted=float(probabilities.mean()),
        error=calibration_error(probabilities, labels),
        auc=auc,
        method=method,
    )


def calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Expected calibration error over ten buckets of equally many impressions."""
    order = np.argsort(probabilities, kind="stable")
    buckets = [part for part in np.array_split(order, _BUCKETS) if len(part)]
    gaps = [abs(probabilities[part].mean() - labels[part].mean()) * len(part) for part in buckets]
    return float(sum(gaps) / len(labels))


def _level(logits: np.ndarray, rate: float) -> float:
    def excess(level: float) -> float:
        return float((1 / (1 + np.exp(-np.clip(logits + level, -60, 60)))).mean()) - rate

    return float(brentq(excess, -60.0, 60.0))  # type: ignore[arg-type]
