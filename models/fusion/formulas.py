"""Fusion by closed formulas: the action is one weight per prediction."""

from __future__ import annotations

import abc

import tensorflow as tf

from mtfx.models.fusion.base import AdditiveFusion
from mtfx.models.fusion.config import FusionConfig

# Smallest argument of a logarithm. A prediction may be 0 where a model saturates, and log(0) times
# a weight of 0 would be NaN. 1e-7 is the clip of the project's log losses.
LOG_FLOOR = 1e-7


class Formula(AdditiveFusion):
    """A formula whose weights are the action, scaled from [-1, 1] to [low, high].

    Never NaN, and its gradients are finite for predictions in [0, 1], both ends included.
    """

    def __init__(self, config: FusionConfig, num_predictions: int) -> None:
        """Keeps the bounds and β.

        Args:
          config: Bounds and β; its ``formula`` is not looked at.
          num_predictions: K, and the size of the action.

        Raises:
          ValueError: if the number of β does not fit.
        """
        super().__init__(num_predictions, action_dim=num_predictions, name=type(self).__name__)
        self.config = config
        self.betas = config.betas(num_predictions)

    def weights(self, action: tf.Tensor) -> tf.Tensor:
        """Fusion weights w of an action: `low + (a + 1) / 2 · (high - low)`.

        Args:
          action: float32 `[batch, action]` in [-1, 1]; values beyond are clipped.

        Returns:
          float32 `[batch, prediction]` in [low, high].
        """
        unit = (tf.clip_by_value(action, -1.0, 1.0) + 1.0) / 2.0
        return self.config.low + unit * (self.config.high - self.config.low)

    def scores(
        self, predictions: tf.Tensor, action: tf.Tensor, states: tf.Tensor | None = None
    ) -> tf.Tensor:
        """The formula's scores; see :meth:`mtfx.models.fusion.base.FusionFunction.scores`.

        The state has its say through the action alone.
        """
        self.check_shapes(predictions, action)
        # [batch, candidate, prediction] · [batch, prediction, 1] -> [batch, candidate]
        return self._outer(tf.linalg.matvec(self.inner(predictions, states), self.weights(action)))

    @abc.abstractmethod
    def inner(self, predictions: tf.Tensor, states: tf.Tensor | None = None) -> tf.Tensor:
        """What is weighted, `[batch, candidate, prediction]`; the states are not looked at."""

    def contributions(self, inner: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
        """What is weighted times its weight; ``formula3`` is the exponential of their sum."""
        return inner * self.weights(action)[:, tf.newaxis]

    def _outer(self, weighted_sum: tf.Tensor) -> tf.Tensor:
        """The score of a weighted sum, `[batch, candidate]`; increasing."""
        return weighted_sum


class Formula1(Formula):
    """Σ_k w_k o_k, xMTF's formula 1."""

    def inner(self, predictions: tf.Tensor, states: tf.Tensor | None = None) -> tf.Tensor:
        """See :meth:`Formula.inner`."""
        return predictions


class Formula2(Formula):
    """Σ_k w_k log(o_k + β_k), BatchRL-MTF's (1) and xMTF's formula 2."""

    def inner(self, predictions: tf.Tensor, states: tf.Tensor | None = None) -> tf.Tensor:
        """See :meth:`Formula.inner`."""
        return tf.math.log(tf.maximum(predictions + tf.constant(self.betas), LOG_FLOOR))


class Formula3(Formula):
    """Π_k o_k^w_k, xMTF's formula 3; β is not used.

    A product below 1e-38 is 0 in float32, where candidates tie. ``formula2`` with β = 0 gives the
    same order and does not underflow.
    """

    def inner(self, predictions: tf.Tensor, states: tf.Tensor | None = None) -> tf.Tensor:
        """See :meth:`Formula.inner`."""
        return tf.math.log(tf.maximum(predictions, LOG_FLOOR))

    def _outer(self, weighted_sum: tf.Tensor) -> tf.Tensor:
        return tf.exp(weighted_sum)
