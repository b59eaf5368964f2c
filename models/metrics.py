"""Validation metrics that stay meaningful for rare feedback."""

from __future__ import annotations

import tensorflow as tf

from mtfx.models.keras import keras

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
          sample_weight: Weights, shaped as the logits.
        """
        super().update_state(y_true, tf.sigmoid(y_pred / 4.0), sample_weight)

    def result(self) -> tf.Tensor:
        """The area, or NaN without both a positive and a negative label."""
        defined = (self.true_positives[0] > 0) & (self.false_positives[0] > 0)
        return tf.where(defined, super().result(), float("nan"))


class SumOfMeans(keras.metrics.Metric):
    """Sum of several means over a pass, each with a count of its own.

    The mean of the batches' losses would weigh a label by how few others its batch has where labels
    are unknown; this is the sum of the tasks' means over all labels that are known.
    """

    def __init__(self, size: int, name: str) -> None:
        """Starts at 0.

        Args:
          size: Number of means.
          name: Name of the metric.
        """
        super().__init__(name=name)
        self.sums = self.add_weight(name="sums", shape=(size,), initializer="zeros")
        self.counts = self.add_weight(name="counts", shape=(size,), initializer="zeros")

    def update_state(self, sums: tf.Tensor, counts: tf.Tensor) -> None:
        """Adds a batch's sums and counts, float32 `[size]`."""
        self.sums.assign_add(sums)
        self.counts.assign_add(counts)

    def result(self) -> tf.Tensor:
        """The sum, float32 scalar; a mean of nothing is 0."""
        return tf.reduce_sum(tf.math.divide_no_nan(self.sums, self.counts))

    def reset_state(self) -> None:
        """Starts at 0 again; Keras resets to scalars only."""
        for variable in (self.sums, self.counts):
            variable.assign(tf.zeros_like(variable))
