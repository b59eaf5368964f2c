"""xMTF's monotonic fusion cells: the inner stage, as an MLP per prediction or as a monotone basis.

Cao et al., "xMTF: A Formula-Free Model for Reinforcement-Learning-Based Multi-Task Fusion in
Recommender Systems", WWW 2025, whose equation numbers these are.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from mtfx.models.fusion.config import CellsConfig, Transform
from mtfx.models.fusion_networks import StateMlp
from mtfx.models.keras import glorot_uniform, seed_for

#: Below it predictions are not distinguished by the logarithm: far below the rate of the rarest
#: feedback.
_LOG_FLOOR = 1e-6
#: Steepness and centres of the shifted sigmoids.
_SIGMOID_SLOPE, _SIGMOID_CENTRES = 10.0, (0.1, 0.3, 0.5)
#: Log odds of the inner knots of a basis: from one in a million, as the rarest feedbacks of a
#: short-video platform are predicted for most candidates below one in 10,000, to 49 in 50.
_KNOT_LOG_ODDS = (-14.0, 4.0)


class MonotonicCells(tf.Module, abc.ABC):
    """K personalised functions of one prediction each: q̃ᴵ_k = h̃ᴵ_k(o_k, s) (9).

    Values are in [0, 1]. The paper leaves their range open; a bounded one is what keeps the outer
    stage (11) increasing, and it restricts no order.

    Attributes:
      num_predictions: K.
      state_dim: S.
    """

    def __init__(self, num_predictions: int, state_dim: int, name: str) -> None:
        """Keeps the sizes; raises ValueError if one is not positive."""
        super().__init__(name=name)
        if min(num_predictions, state_dim) < 1:
            raise ValueError(
                f"cells need a prediction and a state, got {num_predictions} and {state_dim}"
            )
        self.num_predictions, self.state_dim = num_predictions, state_dim

    @abc.abstractmethod
    def values(self, predictions: tf.Tensor, states: tf.Tensor) -> tf.Tensor:
        """q̃ᴵ of every candidate.

        Args:
          predictions: float32 `[batch, candidate, prediction]` in [0, 1].
          states: float32 `[batch, state]`.

        Returns:
          float32 `[batch, candidate, prediction]` in [0, 1].
        """

    def curves(self, states: tf.Tensor, grid: tf.Tensor) -> tf.Tensor:
        """Each cell's values at the same predictions, to be drawn (xMTF, Figures 5 to 7).

        Args:
          states: float32 `[batch, state]`.
          grid: Predictions, float32 `[point]`.

        Returns:
          float32 `[batch, prediction, point]`.
        """
        shape = [tf.shape(states)[0], tf.size(grid), self.num_predictions]
        points = tf.broadcast_to(grid[tf.newaxis, :, tf.newaxis], shape)
        return tf.transpose(self.values(points, states), [0, 2, 1])


class MlpCells(MonotonicCells):
    """The paper's: an MLP per prediction, monotone as far as the loss (17) has made it so.

    All K MLPs run as one batched product. Of the first layer, the state's part is computed once per
    request and the prediction's part once per candidate.
    """

    def __init__(
        self, num_predictions: int, state_dim: int, config: CellsConfig, *, seed: int
    ) -> None:
        """Creates the variables.

        Args:
          num_predictions: K.
          state_dim: S.
          config: Layers and transforms.
          seed: Of the weights.
        """
        super().__init__(num_predictions, state_dim, name="mlp_cells")
        self._transforms = config.transforms
        inputs = int(_transformed(tf.zeros([1]), self._transforms).shape[-1])
        first, *rest = config.hidden_units
        width = state_dim + inputs
        count = num_predictions
        self.state_kernel = self._kernel("state", width, [state_dim, count * first], first, seed)
        self.input_kernel = self._kernel("input", width, [count, inputs, first], first, seed)
        self.biases = [tf.Variable(tf.zeros([count, 1, first]), name="bias_0")]
        self.kernels = []
        width = first
        for index, size in enumerate((*rest, 1), start=1):
            self.kernels.append(
                self._kernel(f"layer_{index}", width, [count, width, size], size, seed)
            )
            self.biases.append(tf.Variable(tf.zeros([count, 1, size]), name=f"bias_{index}"))
            width = size

    def _kernel(
        self, name: str, fan_in: int, shape: Sequence[int], fan_out: int, seed: int
    ) -> tf.Variable:
        initializer = glorot_uniform(fan_in, fan_out, seed_for(seed, f"mlp_cells/{name}"))
        return tf.Variable(initializer(shape), name=name)

    def values(self, predictions: tf.Tensor, states: tf.Tensor) -> tf.Tensor:
        """See :meth:`MonotonicCells.values`."""
        batch, candidates = tf.shape(predictions)[0], tf.shape(predictions)[1]
        count, first = self.num_predictions, int(self.input_kernel.shape[-1])
        # [batch, candidate, prediction] -> [prediction, batch · candidate, input]
        inputs = _transformed(tf.transpose(predictions, [2, 0, 1]), self._transforms)
        inputs = tf.reshape(inputs, [count, batch * candidates, int(inputs.shape[-1])])
        hidden = tf.reshape(tf.matmul(inputs, self.input_kernel), [count, batch, candidates, first])
        from_state = tf.reshape(tf.matmul(states, self.state_kernel), [batch, count, 1, first])
        hidden += tf.transpose(from_state, [1, 0, 2, 3])
        hidden = tf.reshape(hidden, [count, batch * candidates, first]) + self.biases[0]
        for kernel, bias in zip(self.kernels, self.biases[1:], strict=True):
            hidden = tf.matmul(tf.nn.relu(hidden), kernel) + bias
        # [prediction, batch · candidate, 1] -> [batch, candidate, prediction]
        values = tf.reshape(tf.sigmoid(hidden), [count, batch, candidates])
        return tf.transpose(values, [1, 2, 0])


class BasisCells(MonotonicCells):
    """Monotone by construction, for every state and all weights: a sum of rising pieces.

    q̃ᴵ_k = Σ_m p_km(s) · clip((o_k - t_m) / (t_{m+1} - t_m), 0, 1), where the shares p_k(s) are a
    softmax over the pieces and one more that stands for what the cell does not rise: a cell may be
    almost flat. TensorFlow Lattice has this interpolation as its calibrator (You et al., "Deep
    Lattice Networks", 2017), but one per model, where here each state has its own.
    """

    def __init__(
        self, num_predictions: int, state_dim: int, config: CellsConfig, *, seed: int
    ) -> None:
        """Creates the variables.

        Args:
          num_predictions: K.
          state_dim: S.
          config: Layers and knots.
          seed: Of the weights.
        """
        super().__init__(num_predictions, state_dim, name="basis_cells")
        self._pieces = config.knots
        inner = np.linspace(*_KNOT_LOG_ODDS, config.knots - 1)
        knots = np.concatenate([[0.0], 1.0 / (1.0 + np.exp(-inner)), [1.0]])
        self._starts = tf.constant(knots[:-1], tf.float32)
        self._inverse_widths = tf.constant(1.0 / np.diff(knots), tf.float32)
        self.network = StateMlp(
            state_dim,
            0,
            config.hidden_units,
            num_predictions * (config.knots + 1),
            seed=seed,
            name="basis_shares",
        )

    def values(self, predictions: tf.Tensor, states: tf.Tensor) -> tf.Tensor:
        """See :meth:`MonotonicCells.values`."""
        logits = tf.reshape(self.network(states), [-1, self.num_predictions, self._pieces + 1])
        shares = tf.nn.softmax(logits)[..., : self._pieces]
        risen = (predictions[..., tf.newaxis] - self._starts) * self._inverse_widths
        # [batch, candidate, prediction, piece] · [batch, 1, prediction, piece]
        return tf.reduce_sum(tf.clip_by_value(risen, 0.0, 1.0) * shares[:, tf.newaxis], axis=-1)


def build_cells(
    config: CellsConfig, num_predictions: int, state_dim: int, seed: int
) -> MonotonicCells:
    """Builds the cells of a family; raises ValueError if a size is not positive."""
    family = {"mlp": MlpCells, "basis": BasisCells}[config.family]
    return family(num_predictions, state_dim, config, seed=seed)


def _transformed(predictions: tf.Tensor, transforms: Sequence[Transform]) -> tf.Tensor:
    """What a cell sees of predictions: `[...]` to `[..., input]`, each input increasing."""
    inputs = []
    for name in transforms:
        if name == "identity":
            inputs.append(predictions)
        elif name == "log":
            # From 0 at the floor to 1.
            inputs.append(1.0 - tf.math.log(predictions + _LOG_FLOOR) / np.log(_LOG_FLOOR))
        elif name == "tanh":
            inputs.append(tf.tanh(_SIGMOID_SLOPE * predictions))
        else:
            inputs += [tf.sigmoid(_SIGMOID_SLOPE * (predictions - c)) for c in _SIGMOID_CENTRES]
    return tf.stack(inputs, axis=-1)
