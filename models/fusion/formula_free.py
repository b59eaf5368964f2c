"""xMTF's fusion: cells of two stages, summed; without a formula."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from mtfx.models.fusion.base import AdditiveFusion
from mtfx.models.fusion.config import CellsConfig
from mtfx.models.fusion.monotonic_cells import MonotonicCells


class OuterStage(tf.Module):
    """q̃ = q̃ᴵ (1 + a q̃ᴵ) (11), increasing for every action and every q̃ᴵ in [0, 1].

    Its derivative is 1 + 2 a q̃ᴵ. The paper bounds neither a nor q̃ᴵ, and so (11) turns around where
    a q̃ᴵ < -1/2; here a > -1/2.
    """

    def __init__(self, config: CellsConfig) -> None:
        """Keeps the bounds of a."""
        super().__init__(name="outer_stage")
        self._low, self._high = config.low, config.high

    def coefficients(self, action: tf.Tensor) -> tf.Tensor:
        """The a of actions, any shape: -1 gives ``low``, 0 gives 0 and 1 gives ``high``."""
        action = tf.clip_by_value(action, -1.0, 1.0)
        return tf.where(action < 0.0, -self._low * action, self._high * action)

    def values(self, inner: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
        """(11).

        Args:
          inner: q̃ᴵ, float32 `[batch, candidate, prediction]` in [0, 1].
          action: float32 `[batch, prediction]`.

        Returns:
          float32 `[batch, candidate, prediction]`.
        """
        return inner * (1.0 + self.coefficients(action)[:, tf.newaxis] * inner)


class FormulaFreeFusion(AdditiveFusion):
    """z̃ = Σ_k q̃_k (8) of cells with an inner (9) and an outer stage (10); depends on the state.

    Attributes:
      cells: The inner stage. None makes q̃ᴵ = o: "xMTF without inner stage", z = Σ o (1 + a o).
      outer: The outer stage.
    """

    def __init__(
        self, num_predictions: int, config: CellsConfig, cells: MonotonicCells | None
    ) -> None:
        """Joins the stages.

        Args:
          num_predictions: K, and the size of the action.
          config: Bounds of the outer stage.
          cells: The inner stage, or None.

        Raises:
          ValueError: if the cells are for another number of predictions.
        """
        super().__init__(num_predictions, action_dim=num_predictions, name="formula_free_fusion")
        if cells is not None and cells.num_predictions != num_predictions:
            raise ValueError(
                f"the cells take {cells.num_predictions} predictions, not {num_predictions}"
            )
        self.cells = cells
        self.outer = OuterStage(config)

    def inner(self, predictions: tf.Tensor, states: tf.Tensor | None) -> tf.Tensor:
        """q̃ᴵ, float32 `[batch, candidate, prediction]`; raises ValueError without its states."""
        if self.cells is None:
            return predictions
        if states is None:
            raise ValueError("xMTF's cells depend on the state: give the states to score with")
        return self.cells.values(predictions, states)

    def contributions(self, inner: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
        """q̃ of both stages (10), float32 `[batch, candidate, prediction]`."""
        return self.outer.values(inner, action)

    def scores(
        self, predictions: tf.Tensor, action: tf.Tensor, states: tf.Tensor | None = None
    ) -> tf.Tensor:
        """z̃; see :meth:`mtfx.models.fusion.base.FusionFunction.scores`."""
        self.check_shapes(predictions, action)
        return tf.reduce_sum(self.contributions(self.inner(predictions, states), action), axis=-1)


class RawStateFusion(AdditiveFusion):
    """A fusion of normalised states as one of states as they come: how xMTF's is used and saved.

    Cells learn from normalised states, while environments and services have those as they come.
    """

    def __init__(
        self, fusion: AdditiveFusion, normalized: Callable[[tf.Tensor], tf.Tensor]
    ) -> None:
        """Puts the normaliser before the fusion.

        Args:
          fusion: Takes normalised states.
          normalized: Normalises states, float32 `[batch, state]`.
        """
        super().__init__(fusion.num_predictions, fusion.action_dim, name="raw_state_fusion")
        self.fusion, self._normalized = fusion, normalized

    def inner(self, predictions: tf.Tensor, states: tf.Tensor | None) -> tf.Tensor:
        """See :meth:`mtfx.models.fusion.base.AdditiveFusion.inner`."""
        return self.fusion.inner(predictions, None if states is None else self._normalized(states))

    def contributions(self, inner: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
        """See :meth:`mtfx.models.fusion.base.AdditiveFusion.contributions`."""
        return self.fusion.contributions(inner, action)

    def scores(
        self, predictions: tf.Tensor, action: tf.Tensor, states: tf.Tensor | None = None
    ) -> tf.Tensor:
        """See :meth:`mtfx.models.fusion.base.FusionFunction.scores`."""
        return self.fusion.scores(
            predictions, action, None if states is None else self._normalized(states)
        )
