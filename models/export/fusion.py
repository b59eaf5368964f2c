"""The fusion of an exported policy, as its SavedModel holds it."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from mtfx.models.fusion.base import AdditiveFusion


class SavedFusion(AdditiveFusion):
    """xMTF's fusion of a loaded policy, whose cells and normaliser the SavedModel holds.

    Attributes:
      model: The loaded SavedModel, kept so that a ranker that has this fusion saves its variables.
    """

    def __init__(self, model: Any, num_predictions: int, action_dim: int) -> None:
        """Takes the functions of a ``mtfx.models.export.policy.PolicyModule`` with a fusion.

        Args:
          model: As ``tf.saved_model.load`` gives it.
          num_predictions: K.
          action_dim: A.
        """
        super().__init__(num_predictions, action_dim, name="saved_fusion")
        self.model = model

    def inner(self, predictions: tf.Tensor, states: tf.Tensor | None) -> tf.Tensor:
        """See :meth:`mtfx.models.fusion.base.AdditiveFusion.inner`."""
        shape = [None, None, self.num_predictions]
        return tf.ensure_shape(self.model.inner(predictions, _known(states)), shape)

    def contributions(self, inner: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
        """See :meth:`mtfx.models.fusion.base.AdditiveFusion.contributions`."""
        shape = [None, None, self.num_predictions]
        return tf.ensure_shape(self.model.contributions(inner, action), shape)

    def scores(
        self, predictions: tf.Tensor, action: tf.Tensor, states: tf.Tensor | None = None
    ) -> tf.Tensor:
        """See :meth:`mtfx.models.fusion.base.FusionFunction.scores`."""
        self.check_shapes(predictions, action)
        return tf.ensure_shape(self.model.scores(predictions, action, _known(states)), [None, None])


def _known(states: tf.Tensor | None) -> tf.Tensor:
    if states is None:
        raise ValueError("xMTF's cells depend on the state: give the states to score with")
    return states
