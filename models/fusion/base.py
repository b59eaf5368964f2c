"""The interface of every fusion function, and the check of what goes into it."""

from __future__ import annotations

import abc

import tensorflow as tf


class FusionFunction(tf.Module, abc.ABC):
    """A personalised fusion of a candidate's predictions into one score.

    A ``tf.Module``, so that a function with parameters is saved with the ranker that holds it.

    Attributes:
      num_predictions: K, how many predictions a candidate has.
      action_dim: A, how many numbers an action has.
    """

    def __init__(self, num_predictions: int, action_dim: int, name: str | None = None) -> None:
        """Keeps the sizes.

        Args:
          num_predictions: K.
          action_dim: A.
          name: Name of the module.

        Raises:
          ValueError: if a size is not positive.
        """
        super().__init__(name=name)
        if num_predictions < 1 or action_dim < 1:
            raise ValueError(
                f"a fusion needs at least one prediction and one action, got {num_predictions} "
                f"and {action_dim}"
            )
        self.num_predictions = num_predictions
        self.action_dim = action_dim

    @abc.abstractmethod
    def scores(
        self, predictions: tf.Tensor, action: tf.Tensor, states: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Scores candidates; a higher score ranks earlier.

        Neither checks values (see :func:`check_predictions`) nor knows of masks: callers set the
        scores of padded candidates aside.

        Args:
          predictions: float32 `[batch, candidate, prediction]` in [0, 1].
          action: float32 `[batch, action]` in [-1, 1].
          states: float32 `[batch, state]`; a function that does not depend on the state needs none.

        Returns:
          float32 `[batch, candidate]`.

        Raises:
          ValueError: when traced, if a shape does not fit or the function needs the states.
        """

    def check_shapes(self, predictions: tf.Tensor, action: tf.Tensor) -> None:
        """Raises ValueError, when traced, if the last axis of an input is of another size."""
        for name, tensor, rank, size in (
            ("predictions", predictions, 3, self.num_predictions),
            ("action", action, 2, self.action_dim),
        ):
            if not tensor.shape.is_compatible_with([None] * (rank - 1) + [size]):
                raise ValueError(
                    f"{type(self).__name__}: {name} must have {rank} axes, the last of size "
                    f"{size}, got shape {tensor.shape}"
                )


class AdditiveFusion(FusionFunction):
    """A fusion whose order is that of a sum with one contribution of each prediction.

    It can be drawn: each contribution is a function of its prediction alone, at a state.
    """

    @abc.abstractmethod
    def inner(self, predictions: tf.Tensor, states: tf.Tensor | None) -> tf.Tensor:
        """What the action acts on.

        Args:
          predictions: float32 `[batch, candidate, prediction]` in [0, 1].
          states: float32 `[batch, state]`; see :meth:`FusionFunction.scores`.

        Returns:
          float32 `[batch, candidate, prediction]`.
        """

    @abc.abstractmethod
    def contributions(self, inner: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
        """The summands.

        Args:
          inner: What :meth:`inner` gives.
          action: float32 `[batch, action]` in [-1, 1].

        Returns:
          float32 `[batch, candidate, prediction]`.
        """

    def inner_curves(self, states: tf.Tensor, grid: tf.Tensor) -> tf.Tensor:
        """The inner stage at the same predictions, to be drawn.

        Args:
          states: float32 `[batch, state]`.
          grid: Predictions, float32 `[point]` in [0, 1].

        Returns:
          What :meth:`inner` gives, float32 `[batch, prediction, point]`.
        """
        return tf.transpose(self.inner(self._points(states, grid), states), [0, 2, 1])

    def curves(self, states: tf.Tensor, action: tf.Tensor, grid: tf.Tensor) -> tf.Tensor:
        """Contributions at the same predictions, to be drawn (xMTF, Figures 5 to 7).

        Args:
          states: float32 `[batch, state]`.
          action: float32 `[batch, action]`.
          grid: Predictions, float32 `[point]` in [0, 1].

        Returns:
          What :meth:`contributions` gives, float32 `[batch, prediction, point]`.
        """
        inner = self.inner(self._points(states, grid), states)
        return tf.transpose(self.contributions(inner, action), [0, 2, 1])

    def _points(self, states: tf.Tensor, grid: tf.Tensor) -> tf.Tensor:
        shape = [tf.shape(states)[0], tf.size(grid), self.num_predictions]
        return tf.broadcast_to(grid[tf.newaxis, :, tf.newaxis], shape)


def check_predictions(
    predictions: tf.Tensor, mask: tf.Tensor | None = None, name: str = "predictions"
) -> tf.Tensor:
    """Asserts that fused predictions are numbers in [0, 1].

    For the borders of the system (exports, environments); works in a ``tf.function`` and in TF
    Serving, where a caller gets the message as an INVALID_ARGUMENT status.

    Args:
      predictions: float32 `[..., prediction]`.
      mask: bool `[...]`: False where a candidate is padding, whose predictions may be anything.
      name: What the message calls them.

    Returns:
      The predictions, to be used downstream so that the check is not pruned; those of padded
      candidates are set to 0, so that no NaN spreads from them.

    Raises:
      InvalidArgumentError: if one is NaN, infinite, below 0 or above 1.
    """
    if mask is not None:
        predictions = tf.where(mask[..., tf.newaxis], predictions, 0.0)
    # A comparison with NaN is false.
    in_range = tf.reduce_all((predictions >= 0.0) & (predictions <= 1.0))
    return _assert(
        in_range,
        f"{name} must lie in [0, 1] and must not be NaN; a regression must be finite from 0 on",
        predictions,
    )


def check_finite(values: tf.Tensor, name: str) -> tf.Tensor:
    """Asserts that no value is NaN or infinite; returns the values.

    Raises:
      InvalidArgumentError: naming ``name``. XLA does not look.
    """
    return tf.debugging.assert_all_finite(values, f"{name} must not hold NaN or infinite values")


def _assert(condition: tf.Tensor, message: str, values: tf.Tensor) -> tf.Tensor:
    assertion = tf.debugging.Assert(condition, [message, values], summarize=12)
    with tf.control_dependencies([] if assertion is None else [assertion]):
        return tf.identity(values)
