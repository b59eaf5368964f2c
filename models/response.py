"""The response model's network: what a user does with an item, by whichever policy it was shown."""

from __future__ import annotations

import math

import tensorflow as tf

from mtfx.datasets.spec import Task
from mtfx.models.config import ResponseNetworkConfig, StateConfig
from mtfx.models.features import StateRepresentation
from mtfx.models.input_features import InputFeature
from mtfx.models.keras import keras
from mtfx.models.known_labels import known_mask, with_zeros
from mtfx.models.mtl.registry import BackboneConfig, build_backbone

_LEAST_SD = 0.05


class ResponseNetwork(keras.Model):
    """Logits of feedbacks, and the mean log(1 + watch seconds) with and without the first of them.

    Attributes:
      feedback_names: F names; the first is the primary feedback.
    """

    def __init__(
        self,
        inputs: tuple[InputFeature, ...],
        feedback_names: tuple[str, ...],
        config: ResponseNetworkConfig,
        seed: int = 0,
    ) -> None:
        """Builds the layers.

        Args:
          inputs: Features of user, item and circumstances.
          feedback_names: F names.
          config: Sizes.
          seed: Of the weights and of dropout.
        """
        super().__init__()
        self.feedback_names = feedback_names
        state = StateConfig(config.embedding_dim, (), config.state_dim)
        self.state = StateRepresentation(inputs, state, seed=seed)
        heads = (
            *(Task(name) for name in feedback_names),
            Task("watch_after_primary", "regression"),
            Task("watch_otherwise", "regression"),
        )
        sizes = BackboneConfig(config.bottom_units, config.tower_units, config.dropout, seed)
        self.backbone = build_backbone(config.backbone, heads, sizes)
        self.log_sd = self.add_weight(name="log_sd", shape=(2,), initializer="zeros")

    @property
    def watch_sd(self) -> tf.Tensor:
        """Standard deviation of log(1 + seconds) with and without the primary feedback, `[2]`."""
        return _LEAST_SD + tf.exp(self.log_sd)

    def call(
        self, inputs: dict[str, tf.Tensor], training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Predicts.

        Args:
          inputs: Transformed features `[batch]`.
          training: Whether to drop units.

        Returns:
          Logits float32 `[batch, feedback]`, and means of log(1 + seconds) float32 `[batch, 2]`.
        """
        heads = self.backbone(self.state(inputs), training=training)
        names = len(self.feedback_names)
        return heads[:, :names], heads[:, names:]

    def loss_of(
        self,
        inputs: dict[str, tf.Tensor],
        feedback: tf.Tensor,
        watch_s: tf.Tensor,
        watch_weight: float,
        training: bool = False,
    ) -> tf.Tensor:
        """Negative log likelihood, of each feedback and of watch times the mean over what is known.

        Args:
          inputs: Transformed features `[batch]`.
          feedback: 0, 1 or ``mtfx.datasets.labels.UNKNOWN``, float32 `[batch, feedback]`.
          watch_s: Seconds or ``UNKNOWN``, float32 `[batch]`; it also counts for nothing where the
            primary feedback is unknown, on which it depends.
          watch_weight: 0 where the log has no watch times.
          training: Whether to drop units.
        """
        logits, means = self(inputs, training=training)
        known = known_mask(feedback)
        losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=with_zeros(feedback), logits=logits)
        primary = feedback[:, 0] > 0
        mean = tf.where(primary, means[:, 0], means[:, 1])
        sd = tf.where(primary, self.watch_sd[0], self.watch_sd[1])
        deviate = (tf.math.log1p(with_zeros(watch_s)) - mean) / sd
        normal = 0.5 * tf.square(deviate) + tf.math.log(sd) + 0.5 * math.log(2 * math.pi)
        watched = known[:, 0] * known_mask(watch_s)
        return tf.reduce_sum(_mean_of(losses, known)) + watch_weight * _mean_of(normal, watched)


def _mean_of(values: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Mean over the first axis where the mask is 1; 0 where it is nowhere."""
    return tf.math.divide_no_nan(tf.reduce_sum(values * mask, axis=0), tf.reduce_sum(mask, axis=0))
