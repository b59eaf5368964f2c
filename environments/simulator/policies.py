"""Policies as the simulator sees them: they choose the weights of a request."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from mtfx.models.action_policy import ActionSample


class ConstantPolicy:
    """The same action for all: no personalisation.

    The action is a variable, so that a search can try many without tracing anew.
    """

    def __init__(self, action: np.ndarray | tf.Tensor) -> None:
        """Keeps the action.

        Args:
          action: In [-1, 1], `[action]`.

        Raises:
          ValueError: if it is no vector or lies outside [-1, 1].
        """
        self._action = tf.Variable(_checked(action), trainable=False, name="action")

    def assign(self, action: np.ndarray | tf.Tensor) -> None:
        """Takes another action; raises ValueError as the constructor does."""
        self._action.assign(_checked(action))

    def actions(self, states: tf.Tensor, users: tf.Tensor, seed: tf.Tensor) -> ActionSample:
        """See :class:`mtfx.models.action_policy.ActionPolicy`."""
        batch = tf.shape(states)[0]
        action = tf.tile(self._action[tf.newaxis], [batch, 1])
        return ActionSample(action, tf.fill([batch], float("nan")))


def _checked(action: np.ndarray | tf.Tensor) -> np.ndarray:
    values = np.asarray(action, np.float32)
    if values.ndim != 1:
        raise ValueError(f"an action is a vector, got shape {list(values.shape)}")
    if not (np.abs(values) <= 1).all():
        raise ValueError(f"an action must lie in [-1, 1], got {values.tolist()}")
    return values
