"""Sufficient statistics of a binary task, from which every metric of the task is derived.

One pass over the impressions fills a :class:`ScoreStatistics`; AUC, log loss, session log loss,
the ROC curve and the calibration curve all come out of it. It is small (some ten thousand buckets
whatever the number of impressions), and two of them can be merged, so it suits a Beam combiner.

TFMA's own AUC and plots cut [0, 1] into 10,000 equal steps. Feedback such as "follow" has a base
rate near 0.1%, so nearly all predictions fall into a few dozen of these steps and the AUC comes
out wrong. The buckets here are equal steps in *relative* size of p and 1 - p instead: each spans
about 0.01% of its value, down to the smallest float32. A model that has learned little is served
with predictions near the rate, whose order is that fine.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

import numpy as np

from mtfx.datasets.labels import is_known

#: Predictions are clipped to [EPSILON, 1 - EPSILON] before a logarithm is taken, as in training.
EPSILON = 1e-7

_MANTISSA_BITS_DROPPED = 10  # of float32's 23: leaves 8,192 buckets per power of two
_HALF_KEY = int(np.float32(0.5).view(np.int32)) >> _MANTISSA_BITS_DROPPED


def bucket_of(predictions: np.ndarray) -> np.ndarray:
    """Bucket of each probability: ascending in the prediction, int64, shape as given.

    The leading bits of a positive float, read as an integer, order as the float does. Below one
    half they are taken from p, above it (negated) from 1 - p.
    """
    p = np.clip(predictions, 0.0, 1.0).astype(np.float64)
    upper = p > 0.5
    distance = np.where(upper, 1.0 - p, p).astype(np.float32)
    key = distance.view(np.int32).astype(np.int64) >> _MANTISSA_BITS_DROPPED
    return np.where(upper, 2 * _HALF_KEY + 1 - key, key)


def logloss(labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Negative log likelihood of each impression in nats, clipped at ``EPSILON``; float64."""
    p = np.clip(predictions.astype(np.float64), EPSILON, 1.0 - EPSILON)
    return -(labels * np.log(p) + (1.0 - labels) * np.log1p(-p))


@dataclasses.dataclass(frozen=True)
class ScoreStatistics:
    """Counts per bucket of prediction, and sums of log loss, of impressions with a known label.

    Attributes:
      buckets: Occupied buckets in ascending order, int64 ``[bucket]``.
      positives: Impressions with label 1, float64 ``[bucket]``.
      negatives: Impressions with label 0, float64 ``[bucket]``.
      predictions: Sum of the predictions, float64 ``[bucket]``.
      logloss_sum: Sum of the impressions' log loss.
      session_weight: Sum over impressions of 1 / length of its session: the number of sessions.
      session_logloss_sum: Sum of the log loss weighted by 1 / length of the session.
    """

    buckets: np.ndarray
    positives: np.ndarray
    negatives: np.ndarray
    predictions: np.ndarray
    logloss_sum: float = 0.0
    session_weight: float = 0.0
    session_logloss_sum: float = 0.0

    @classmethod
    def empty(cls) -> ScoreStatistics:
        """Statistics of no impression at all."""
        zero = np.zeros(0)
        return cls(np.zeros(0, np.int64), zero, zero, zero)

    @classmethod
    def of(
        cls, labels: np.ndarray, predictions: np.ndarray, session_lengths: np.ndarray
    ) -> ScoreStatistics:
        """Statistics of a batch of impressions.

        Args:
          labels: 0, 1 or ``mtfx.datasets.labels.UNKNOWN``, ``[impression]``; impressions of an
            unknown label are left out.
          predictions: Probabilities, ``[impression]``.
          session_lengths: Impressions of the whole session each belongs to, ``[impression]``.

        Raises:
          ValueError: if a label is not 0 or 1, a prediction is not a probability, or a session
            length is less than 1.
        """
        known = is_known(labels)
        labels = np.asarray(labels, np.float64)[known]
        predictions = np.asarray(predictions, np.float64)[known]
        session_lengths = np.asarray(session_lengths, np.float64)[known]
        if not np.isin(labels, (0.0, 1.0)).all():
            raise ValueError(f"labels of a binary task must be 0 or 1, got {np.unique(labels)[:5]}")
        if not ((predictions >= 0.0) & (predictions <= 1.0)).all():
            bad = predictions[~((predictions >= 0.0) & (predictions <= 1.0))]
            raise ValueError(f"predictions must be probabilities in [0, 1], got {bad[:5]}")
        if not (session_lengths >= 1.0).all():
            raise ValueError("session_length must be at least 1 in every impression")
        losses = logloss(labels, predictions)
        return cls(
            *_sum_by_bucket(bucket_of(predictions), labels, 1.0 - labels, predictions),
            logloss_sum=float(losses.sum()),
            session_weight=float((1.0 / session_lengths).sum()),
            session_logloss_sum=float((losses / session_lengths).sum()),
        )

    @classmethod
    def merge(cls, parts: Iterable[ScoreStatistics]) -> ScoreStatistics:
        """Statistics of all the impressions behind ``parts``."""
        parts = list(parts)
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return cls.empty()
        return cls(
            *_sum_by_bucket(
                np.concatenate([p.buckets for p in parts]),
                np.concatenate([p.positives for p in parts]),
                np.concatenate([p.negatives for p in parts]),
                np.concatenate([p.predictions for p in parts]),
            ),
            logloss_sum=sum(p.logloss_sum for p in parts),
            session_weight=sum(p.session_weight for p in parts),
            session_logloss_sum=sum(p.session_logloss_sum for p in parts),
        )

    @property
    def impressions(self) -> float:
        """Number of impressions."""
        return float(self.positives.sum() + self.negatives.sum())

    @property
    def label_sum(self) -> float:
        """Number of positives."""
        return float(self.positives.sum())

    @property
    def prediction_sum(self) -> float:
        """Sum of the predictions."""
        return float(self.predictions.sum())

    def auc(self) -> float:
        """Area under the ROC curve: P(positive scored above negative), ties counted half.

        NaN where a class is empty: the area is undefined there.
        """
        total = self.positives.sum() * self.negatives.sum()
        if total == 0.0:
            return float("nan")
        below = np.cumsum(self.negatives) - self.negatives
        return float((self.positives * (below + 0.5 * self.negatives)).sum() / total)

    def mean_logloss(self) -> float:
        """Mean log loss over impressions in nats; NaN without impressions."""
        return ratio(self.logloss_sum, self.impressions)

    def base_entropy(self) -> float:
        """Log loss of always predicting the rate of these impressions, in nats.

        NaN where a class is empty: it would be 0, and nothing compares with it.
        """
        rate = ratio(self.label_sum, self.impressions)
        if not 0.0 < rate < 1.0:
            return float("nan")
        return -(rate * math.log(rate) + (1.0 - rate) * math.log1p(-rate))

    def normalized_entropy(self) -> float:
        """Mean log loss over that of the bare rate; below 1 is better. NaN for one class only."""
        return self.mean_logloss() / self.base_entropy()

    def session_logloss(self) -> float:
        """Mean over sessions of the session's mean log loss in nats (RMTL, section 3.1.3)."""
        return ratio(self.session_logloss_sum, self.session_weight)

    def groups(self, count: int) -> np.ndarray:
        """Cuts the buckets into at most ``count`` runs of about equally many impressions.

        Returns:
          Index of the first bucket of each run, int64 ``[run]``, for ``np.add.reduceat``.
        """
        sizes = self.positives + self.negatives
        if not sizes.size:
            return np.zeros(0, np.int64)
        middle = np.cumsum(sizes) - 0.5 * sizes
        run = np.minimum((middle / sizes.sum() * count).astype(np.int64), count - 1)
        return np.flatnonzero(np.diff(run, prepend=-1))


def _sum_by_bucket(buckets: np.ndarray, *values: np.ndarray) -> tuple[np.ndarray, ...]:
    unique, inverse = np.unique(buckets, return_inverse=True)
    sums = (np.bincount(inverse, weights=value, minlength=unique.size) for value in values)
    return (unique, *sums)


def ratio(numerator: float, denominator: float) -> float:
    """The quotient, NaN for a denominator of 0."""
    return numerator / denominator if denominator else float("nan")
