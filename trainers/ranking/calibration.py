"""Fit of each task's calibration on the split that training is validated by.

The eval split is later than the training split and the model has not learned from it, so its rates
are nearer to what will be served. It was looked at to choose the epoch, which two numbers per task
hardly feel. What comes after it, the test split, may have other rates again; no fit can know them.

Logits are counted in buckets, so that memory does not grow with the split.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import tensorflow as tf
from scipy.optimize import brentq
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from mtfx.datasets.labels import is_known
from mtfx.models.calibration import Calibration, TaskCalibration
from mtfx.models.ranking_model import MAX_LOG, MIN_LOG, RankingModel

#: Impressions of either class (a regression: with a positive label) below which a task is left as
#: it is. Two fitted numbers cost about one nat of the later split's whole log loss by chance
#: (Akaike), however rare the class is; a rare task that has learnt by heart loses that with every
#: few positives. Below twenty the fit's own standard errors are no guide any more.
MIN_EXAMPLES = 20
#: A model without any order on the eval split would have a slope of 0 or less, a perfect one an
#: infinite slope; the order is kept, fine enough for float32, and probabilities away from 0 and 1.
MIN_SLOPE, MAX_SLOPE = 0.1, 10.0

_LIMIT, _PER_UNIT = 32.0, 256  # logits beyond ±32 are 0 or 1; buckets are 1/256 wide
_BUCKETS = int(2 * _LIMIT * _PER_UNIT) + 1


class LogitCounts:
    """A binary task's known labels by bucket of its logit."""

    def __init__(self) -> None:
        self._counts = np.zeros((2, _BUCKETS))
        self._logits = np.zeros(_BUCKETS)

    def add(self, logits: np.ndarray, labels: np.ndarray) -> None:
        """Counts impressions with known labels, 0 or 1; both ``[impression]``."""
        values = np.clip(logits.astype(np.float64), -_LIMIT, _LIMIT)
        bucket = np.rint((values + _LIMIT) * _PER_UNIT).astype(np.int64)
        for label in (0, 1):
            self._counts[label] += np.bincount(bucket[labels == label], minlength=_BUCKETS)
        self._logits += np.bincount(bucket, weights=values, minlength=_BUCKETS)

    def fit(self) -> TaskCalibration:
        """Slope and shift by logistic regression without a penalty."""
        negatives, positives = (int(count.sum()) for count in self._counts)
        total = self._counts.sum(axis=0)
        used = np.flatnonzero(total)
        logits = self._logits[used] / total[used]
        counts, total = self._counts[:, used], total[used]
        line = TaskCalibration(impressions=negatives + positives, positives=positives)
        if not positives:
            return _left(line, "positives", positives)

        def ratio(slope: float, shift: float) -> float:
            return float((expit(slope * logits + shift) * total).sum() / positives)

        before = ratio(1.0, 0.0)
        line = dataclasses.replace(line, before=before, after=before)
        if min(positives, negatives) < MIN_EXAMPLES:
            scarce = "positives" if positives <= negatives else "negatives"
            return _left(line, scarce, min(positives, negatives))
        middle = np.average(logits, weights=total)  # well conditioned wherever the logits lie
        seen = counts.ravel() > 0
        rows = np.tile(logits - middle, 2)[seen, None]
        classes = np.repeat([0, 1], len(logits))[seen]
        regression = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-8)
        regression.fit(rows, classes, sample_weight=counts.ravel()[seen])
        slope = float(np.clip(regression.coef_[0, 0], MIN_SLOPE, MAX_SLOPE))
        reach = (slope + 1.0) * _LIMIT  # all is negative below -reach, and positive above it
        found: Any = brentq(lambda value: ratio(slope, value) - 1.0, -reach, reach)
        return dataclasses.replace(line, slope=slope, shift=found, after=ratio(slope, found))


class ValueSums:
    """Sums of a regression's known labels and of its predictions."""

    def __init__(self) -> None:
        self._impressions = self._positives = 0
        self._labels = self._predictions = 0.0

    def add(self, predictions: np.ndarray, labels: np.ndarray) -> None:
        """Adds impressions with known labels; both ``[impression]``, in the label's unit."""
        self._impressions += len(labels)
        self._positives += int((labels > 0).sum())
        self._labels += float(labels.sum(dtype=np.float64))
        self._predictions += float(predictions.sum(dtype=np.float64))

    def fit(self) -> TaskCalibration:
        """The shift that makes the mean prediction the mean label."""
        line = TaskCalibration(impressions=self._impressions, positives=self._positives)
        if not self._positives:
            return _left(line, "positive labels", 0)
        before = self._predictions / self._labels
        line = dataclasses.replace(line, before=before, after=before)
        if self._positives < MIN_EXAMPLES:
            return _left(line, "positive labels", self._positives)
        return dataclasses.replace(line, shift=-math.log(before), after=1.0)


def fit_calibration(model: RankingModel, data: tf.data.Dataset) -> Calibration:
    """Fits every task of a trained model.

    Args:
      model: The model; its own calibration is not looked at.
      data: Batches of ``({feature: [batch]}, labels [batch, task])`` of the eval split.
    """
    sums = [LogitCounts() if task.kind == "binary" else ValueSums() for task in model.tasks]
    logits_of = tf.function(lambda features: model(features, training=False))
    for features, labels in data:
        logits, labels = logits_of(features).numpy(), labels.numpy()
        for k, (task, summed) in enumerate(zip(model.tasks, sums, strict=True)):
            known = is_known(labels[:, k])
            values = logits[known, k]
            if task.kind == "regression":
                values = task.unit * np.exp(np.clip(values, MIN_LOG, MAX_LOG), dtype=np.float64)
            summed.add(values, labels[known, k])
    return Calibration(
        {task.name: summed.fit() for task, summed in zip(model.tasks, sums, strict=True)}
    )


def _left(line: TaskCalibration, what: str, count: int) -> TaskCalibration:
    """A task that is served as it is."""
    reason = f"the eval split has {count:,} {what}, fewer than the {MIN_EXAMPLES} that a fit needs"
    return dataclasses.replace(line, reason=reason)
