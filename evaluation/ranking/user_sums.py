"""Sums over groups of users, from which follows whether a model is worse than a constant.

The constant is the base rate of a binary task and the mean of a regression, of the very impressions
that are judged: the best that a constant could do, so a stricter bar than the training split's.

A user's impressions are alike, so an interval that takes them for independent is too narrow.
Users are independent of each other, and groups of users, dealt by a hash, are so too: the variance
between a thousand groups estimates the variance between any number of users without bias, in
bounded memory, where a bootstrap would need the users' own sums. With fewer users than groups most
have a group of their own.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

import numpy as np
from scipy.special import stdtrit

#: Groups of users. The relative error of a standard error from G groups is about 1 / √(2 G): 2%.
GROUPS = 1024
CONFIDENCE = 0.95
_ROUNDING = 1e-9  # of the loss: as good as the constant


@dataclasses.dataclass(frozen=True)
class UserSums:
    """Labels and losses by group of users; mergeable, so fit for a Beam combiner.

    Attributes:
      groups: Groups with an impression, ascending, int64 ``[group]``.
      impressions: Impressions with a known label, float64 ``[group]``.
      label_means: Mean label, float64 ``[group]``.
      label_deviations: Sum of the labels' squared deviations from it, float64 ``[group]``.
      losses: Sum of the model's losses (log loss, or squared error), float64 ``[group]``.
    """

    groups: np.ndarray
    impressions: np.ndarray
    label_means: np.ndarray
    label_deviations: np.ndarray
    losses: np.ndarray

    @classmethod
    def empty(cls) -> UserSums:
        """Sums of no impression."""
        return cls(np.zeros(0, np.int64), *(np.zeros(0),) * 4)

    @classmethod
    def of(cls, users: np.ndarray, labels: np.ndarray, losses: np.ndarray) -> UserSums:
        """Sums of a batch of impressions with known labels.

        Args:
          users: Uniform hash of the user, non-negative integers ``[impression]``.
          labels: Known labels, ``[impression]``.
          losses: The model's, ``[impression]``.
        """
        group = (users.astype(np.uint64) % np.uint64(GROUPS)).astype(np.int64)
        return _merged(
            group,
            np.ones(len(group)),
            labels.astype(np.float64),
            np.zeros(len(group)),
            losses.astype(np.float64),
        )

    @classmethod
    def merge(cls, parts: Iterable[UserSums]) -> UserSums:
        """Sums of all the impressions behind ``parts``."""
        parts = list(parts)
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return cls.empty()
        names = [field.name for field in dataclasses.fields(cls)]
        return _merged(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def entropy_excess_low(self) -> float:
        """Lower bound of a binary task's mean log loss less the entropy of its base rate, in nats.

        Of the two-sided 95% interval. Above 0, the model is worse than always predicting the rate,
        and chance does not explain it. NaN where one class is missing, -inf for a single group of
        users, which says nothing of how users vary.
        """
        positives = self.impressions * self.label_means
        rate = _share(positives.sum(), self.impressions.sum())
        if not 0.0 < rate < 1.0:
            return float("nan")
        negatives = self.impressions - positives
        return self._excess_low(-(positives * math.log(rate) + negatives * math.log1p(-rate)))

    def squared_error_excess_low(self) -> float:
        """The same of a regression's mean squared error less the variance of its labels.

        In the label's unit squared. NaN where all labels are the same.
        """
        mean = _share((self.impressions * self.label_means).sum(), self.impressions.sum())
        around = self.label_deviations + self.impressions * (self.label_means - mean) ** 2
        return self._excess_low(around) if around.sum() > 0.0 else float("nan")

    def _excess_low(self, base: np.ndarray) -> float:
        """Lower bound of the mean loss less the constant's, whose sums by group are ``base``.

        The delta method: the constant is fitted to the same labels, but it is where the base loss
        is least, so that to first order the difference does not vary with it.
        """
        count, groups = self.impressions.sum(), len(self.groups)
        difference = self.losses - base
        excess = difference.sum() / count
        if abs(difference.sum()) <= _ROUNDING * base.sum():
            excess = 0.0
        if groups < 2:
            return float("-inf")
        residuals = difference - excess * self.impressions
        variance = groups / (groups - 1) * np.square(residuals).sum() / count**2
        quantile = stdtrit(groups - 1, 0.5 + CONFIDENCE / 2)
        return float(excess - quantile * math.sqrt(variance))


def _merged(
    groups: np.ndarray,
    impressions: np.ndarray,
    means: np.ndarray,
    deviations: np.ndarray,
    losses: np.ndarray,
) -> UserSums:
    """Adds up rows of the same group (Chan, Golub and LeVeque 1979 for the deviations)."""
    unique, row = np.unique(groups, return_inverse=True)

    def summed(values: np.ndarray) -> np.ndarray:
        return np.bincount(row, weights=values, minlength=len(unique))

    count = summed(impressions)
    mean = summed(impressions * means) / count
    apart = impressions * (means - mean[row]) ** 2
    return UserSums(unique, count, mean, summed(deviations + apart), summed(losses))


def _share(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
