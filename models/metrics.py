"""Validation metrics that stay meaningful for rare feedback."""

from __future__ import annotations

import tensorflow as tf

from models.keras import keras

#: Steps of the ROC curve.
NUM_THRESHOLDS = 4_000


class LogitAuc(keras.metrics.AUC):
    """Area under the ROC curve, from logits; NaN where one of the two classes is missing.

    Keras spaces its thresholds evenly over probabilities, so that for a feedback as rare as 0.1%
    all predictions fall between the first two of them. AUC does not change under a monotone map:
    here the thresholds are even in sigmoid(logit / 4), which resolves probabilities from 1e-6 to
    1 - 1e-6 in steps of about 0.01 in log odds.
    """

    def __init__(self, name: str) -> None:
        """Names the metric."""
        super().__init__(num_thresholds=NUM_THRESHOLDS, name=name)

    def update_state(
        self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None
    ) -> None:
        """Counts a batch.

        Args:
          y_true: Labels, 0 or 1, shaped as the logits.
          y_pred: Logits, float32 `[batch]` or `[batch, 1]`.
          sample_weight: Weights `[batch]`.
        """
        super().update_state(y_true, tf.sigmoid(y_pred / 4.0), sample_weight)

    def result(self) -> tf.Tensor:
        """The area, or NaN without both a positive and a negative label."""
        defined = (self.true_positives[0] > 0) & (self.false_positives[0] > 0)
        return tf.where(defined, super().result(), float("nan"))
