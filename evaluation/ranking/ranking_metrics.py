"""RMTL's three figures of a binary task, from arrays of labels and predictions.

The ranking pipeline computes the same figures inside TFMA (``evaluation/ranking/metrics.py``).
Experiments train many models on one data set and need neither Beam nor a SavedModel for each.
"""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from sklearn.metrics import roc_auc_score

from mtfx.datasets.labels import is_known

#: Predictions are clipped to [CLIP, 1 - CLIP] before a logarithm is taken.
CLIP = 1e-7


class TaskFigures(TypedDict):
    """The figures of one task on one split.

    Attributes:
      auc: Area under the ROC curve; None where only one class occurs.
      logloss: Mean log loss over impressions, in nats.
      s_logloss: Mean over sessions of the session's mean log loss, in nats.
    """

    auc: float | None
    logloss: float
    s_logloss: float


def task_figures(
    labels: np.ndarray, predictions: np.ndarray, session_lengths: np.ndarray
) -> TaskFigures:
    """AUC, log loss and s-logloss (RMTL, section 3.1.2).

    Args:
      labels: 0, 1 or ``mtfx.datasets.labels.UNKNOWN``, `[n]`; impressions of an unknown label are
        left out, and a session counts in proportion to the share of its impressions that are not.
      predictions: Probabilities, `[n]`.
      session_lengths: Impressions of each session, `[sessions]`, in the order of the rows, of which
        each session's are adjacent.

    Raises:
      ValueError: if the shapes do not fit, a value is out of range or no label is known.
    """
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    known = is_known(labels)
    if labels.shape == predictions.shape:
        labels, predictions = labels[known], predictions[known]
    losses = log_losses(labels, predictions)
    if known.all():
        s_logloss = session_mean(losses, session_lengths)
    else:
        _check_lengths(session_lengths, len(known))
        lengths = np.repeat(session_lengths, session_lengths)[known]
        s_logloss = float(np.average(losses, weights=1.0 / lengths))
    return TaskFigures(
        auc=auc(labels, predictions), logloss=float(losses.mean()), s_logloss=s_logloss
    )


def auc(labels: np.ndarray, predictions: np.ndarray) -> float | None:
    """Area under the ROC curve of `[n]` labels and predictions; None if one class is missing."""
    labels = np.asarray(labels)
    if labels.size == 0 or labels.min() == labels.max():
        return None
    return float(roc_auc_score(labels, predictions))


def log_losses(labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Log loss of each impression, float64 `[n]`, in nats.

    Raises:
      ValueError: if there are none, the shapes differ, a label is not 0 or 1, or a prediction is
        not a probability.
    """
    y, p = np.asarray(labels, np.float64), np.asarray(predictions, np.float64)
    if y.ndim != 1 or y.shape != p.shape or y.size == 0:
        raise ValueError(
            f"labels and predictions must be of one shape [n], got {y.shape}, {p.shape}"
        )
    if not np.isin(y, (0.0, 1.0)).all():
        raise ValueError("labels must be 0 or 1")
    if not ((p >= 0.0) & (p <= 1.0)).all():
        raise ValueError("predictions must lie between 0 and 1 and not be NaN")
    p = np.clip(p, CLIP, 1.0 - CLIP)
    return -(y * np.log(p) + (1.0 - y) * np.log1p(-p))


def session_mean(values: np.ndarray, session_lengths: np.ndarray) -> float:
    """Mean over sessions of the session's mean of ``values`` `[n]`.

    Raises:
      ValueError: if the lengths are not positive or do not sum to n.
    """
    lengths = _check_lengths(session_lengths, len(values))
    sums = np.add.reduceat(values, np.concatenate([[0], np.cumsum(lengths)[:-1]]))
    return float(np.mean(sums / lengths))


def _check_lengths(session_lengths: np.ndarray, impressions: int) -> np.ndarray:
    lengths = np.asarray(session_lengths, np.int64)
    if lengths.ndim != 1 or lengths.size == 0 or lengths.min() < 1 or lengths.sum() != impressions:
        raise ValueError(
            f"session lengths must be positive and sum to the {impressions} impressions; "
            f"{lengths.size} of them sum to {lengths.sum()}"
        )
    return lengths
