"""Sufficient statistics of a regression task, from which every metric of the task is derived."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np

from mtfx.datasets.labels import is_known
from mtfx.evaluation.ranking.score_statistics import ratio


@dataclasses.dataclass(frozen=True)
class ErrorStatistics:
    """Sums over impressions with a known label, in its unit; mergeable, so fit for a Beam combiner.

    Attributes:
      impressions: Number of impressions.
      label_mean: Mean label.
      label_deviations: Sum of squared deviations of the labels from their mean.
      prediction_sum: Sum of the predictions.
      absolute_error: Sum of absolute errors.
      squared_error: Sum of squared errors.
    """

    impressions: float = 0.0
    label_mean: float = 0.0
    label_deviations: float = 0.0
    prediction_sum: float = 0.0
    absolute_error: float = 0.0
    squared_error: float = 0.0

    @classmethod
    def empty(cls) -> ErrorStatistics:
        """Statistics of no impression at all."""
        return cls()

    @classmethod
    def of(
        cls, labels: np.ndarray, predictions: np.ndarray, session_lengths: np.ndarray
    ) -> ErrorStatistics:
        """Statistics of a batch of impressions.

        Args:
          labels: Finite values, ``[impression]``; impressions whose label is
            ``mtfx.datasets.labels.UNKNOWN`` are left out.
          predictions: Finite values, ``[impression]``.
          session_lengths: Not used; errors are averaged over impressions.

        Raises:
          ValueError: if a label or a prediction is not finite.
        """
        del session_lengths
        known = is_known(labels)
        labels = np.asarray(labels, np.float64)[known]
        predictions = np.asarray(predictions, np.float64)[known]
        for name, values in (("labels", labels), ("predictions", predictions)):
            if not np.isfinite(values).all():
                raise ValueError(f"{name} of a regression task must be finite numbers")
        if not labels.size:
            return cls()
        errors = labels - predictions
        return cls(
            impressions=float(labels.size),
            label_mean=float(labels.mean()),
            label_deviations=float(np.square(labels - labels.mean()).sum()),
            prediction_sum=float(predictions.sum()),
            absolute_error=float(np.abs(errors).sum()),
            squared_error=float(np.square(errors).sum()),
        )

    @classmethod
    def merge(cls, parts: Iterable[ErrorStatistics]) -> ErrorStatistics:
        """Statistics of all the impressions behind ``parts``.

        Mean and deviations are merged as Chan, Golub and LeVeque (1979) do: from plain sums of
        squared milliseconds the variance would be the difference of two huge numbers.
        """
        total = cls()
        for part in parts:
            count = total.impressions + part.impressions
            if not count:
                continue
            delta = part.label_mean - total.label_mean
            total = cls(
                impressions=count,
                label_mean=total.label_mean + delta * part.impressions / count,
                label_deviations=total.label_deviations
                + part.label_deviations
                + delta**2 * total.impressions * part.impressions / count,
                prediction_sum=total.prediction_sum + part.prediction_sum,
                absolute_error=total.absolute_error + part.absolute_error,
                squared_error=total.squared_error + part.squared_error,
            )
        return total

    @property
    def label_sum(self) -> float:
        """Sum of the labels."""
        return self.label_mean * self.impressions

    def mean_squared_error(self) -> float:
        """Mean squared error; NaN without impressions."""
        return ratio(self.squared_error, self.impressions)

    def mean_absolute_error(self) -> float:
        """Mean absolute error; NaN without impressions."""
        return ratio(self.absolute_error, self.impressions)

    def r_squared(self) -> float:
        """Coefficient of determination: 1 - squared error / squared deviations of the labels.

        0 is what always predicting the mean label would reach. NaN where all labels are alike.
        """
        if not self.label_deviations > 0.0:
            return float("nan")
        return 1.0 - self.squared_error / self.label_deviations
