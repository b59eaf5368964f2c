"""The training of xMTF's inner stage, the same whatever trains the outer one."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from mtfx.agents.config import TransferName, XmtfConfig
from mtfx.models.fusion.formula_free import FormulaFreeFusion
from mtfx.models.fusion.monotonic_cells import build_cells
from mtfx.models.keras import keras
from mtfx.models.pairwise import monotonicity_loss, num_pairs, order_loss, transfer_loss

#: Adam's rate in the warm-up. The identity is a plain target that does not move; at xMTF's 2e-4 the
#: cells needed over 2,000 steps to order 95% of the pairs as it does, at 1e-3 about 1,000.
_WARMUP_RATE = 1e-3
_TRANSFER_LOSSES: dict[TransferName, Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]] = {
    "bpr": transfer_loss,
    "hinge": order_loss,
}


class InnerStage(tf.Module):
    """θᴵ down (18); equation numbers are those of Cao et al., WWW 2025.

    The sums of (16) and (17) are divided by a request's number of pairs, and the losses are means
    over requests: without effect on λ.

    Attributes:
      fusion: The two stages, of normalised states; its ``cells`` are trained, None without inner
        stage.
      config: Hyper-parameters.
    """

    def __init__(
        self, num_predictions: int, state_dim: int, config: XmtfConfig, *, seed: int
    ) -> None:
        """Builds the cells.

        Args:
          num_predictions: K.
          state_dim: S.
          config: Hyper-parameters.
          seed: Of the weights.
        """
        super().__init__(name="inner_stage")
        self.config = config
        cells = None
        if config.inner_stage:
            cells = build_cells(config.cells, num_predictions, state_dim, seed)
        self.fusion = FormulaFreeFusion(num_predictions, config.cells, cells)
        self._rate = tf.Variable(config.inner_learning_rate, trainable=False, name="inner_rate")
        # The fused kernel of the legacy optimizer updates a variable in one operation.
        self.optimizer = keras.optimizers.legacy.Adam(self._rate.read_value)

    def losses(
        self, predictions: tf.Tensor, mask: tf.Tensor, states: tf.Tensor, actions: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The two parts of (18), for θᴵ only.

        Args:
          predictions: o, float32 `[batch, candidate, prediction]`.
          mask: bool `[batch, candidate]`.
          states: float32 `[batch, S]`, normalised.
          actions: float32 `[batch, K]`, of the outer stage that the labels z̃ come from.

        Returns:
          Σ_k (17), and (16) or what ``config.transfer`` has in its place, float32 scalars: means
          over requests of what a pair contributes, of cells in [0, ``config.cell_scale``].
        """
        return self._losses(predictions, mask, self.fusion.inner(predictions, states), actions)

    def loss(self, monotonicity: tf.Tensor, transfer: tf.Tensor) -> tf.Tensor:
        """(18): λ Σ_k L_k^mono + (1 - λ) L^transfer."""
        weight = self.config.monotonicity_weight
        return weight * monotonicity + (1.0 - weight) * transfer

    def train(
        self,
        predictions: tf.Tensor,
        mask: tf.Tensor,
        states: tf.Tensor,
        actions: tf.Tensor,
        step: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """One step down (18), or towards the identity in the first ``config.warmup_steps``.

        Args:
          predictions: See :meth:`losses`; so are the next three.
          mask: bool `[batch, candidate]`.
          states: float32 `[batch, S]`, normalised.
          actions: float32 `[batch, K]`.
          step: Number of the step, from 0 at the cells' very first: a warm start goes on
            counting, or the cells would be fitted to the identity once more.

        Returns:
          What :meth:`losses` gives, before the step; zeros without inner stage.
        """
        if self.fusion.cells is None:
            return tf.zeros([]), tf.zeros([])
        variables = self.fusion.cells.trainable_variables
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            inner = self.fusion.inner(predictions, states)
            parts = self._losses(predictions, mask, inner, actions)
            value = self.loss(*parts)
            early = step < self.config.warmup_steps
            if self.config.warmup_steps:
                value = tf.where(early, identity_loss(predictions, inner, mask), value)
        # Always, as a restored variable has the rate of the settings that it was saved with.
        self._rate.assign(tf.where(early, _WARMUP_RATE, self.config.inner_learning_rate))
        gradients = tape.gradient(value, variables)
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return parts

    def _losses(
        self, predictions: tf.Tensor, mask: tf.Tensor, inner: tf.Tensor, actions: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        labels = tf.reduce_sum(self.fusion.outer.values(inner, actions), axis=-1)  # (8)
        inner *= self.config.cell_scale
        scores = tf.reduce_sum(inner, axis=-1)  # (15)
        transfer = _TRANSFER_LOSSES[self.config.transfer]
        pairs = num_pairs(mask)
        margin = self.config.monotonicity_margin * self.config.cell_scale
        return (
            tf.reduce_mean(
                tf.math.divide_no_nan(monotonicity_loss(predictions, inner, mask, margin), pairs)
            ),
            tf.reduce_mean(
                tf.math.divide_no_nan(transfer(tf.stop_gradient(labels), scores, mask), pairs)
            ),
        )


def identity_loss(predictions: tf.Tensor, inner: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Mean over candidates of Σ_k (q̃ᴵ_k - o_k)².

    Args:
      predictions: o, float32 `[batch, candidate, prediction]`.
      inner: q̃ᴵ, of the same shape.
      mask: bool `[batch, candidate]`.

    Returns:
      float32 scalar; 0 where there is no candidate.
    """
    errors = tf.reduce_sum(tf.math.squared_difference(inner, predictions), axis=-1)
    present = tf.cast(mask, tf.float32)
    return tf.math.divide_no_nan(tf.reduce_sum(errors * present), tf.reduce_sum(present))
