"""The networks of agents that learn fusion policies: small MLPs of a state and something more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from mtfx.models.keras import glorot_uniform, keras, seed_for


class StateMlp(keras.layers.Layer):
    """An MLP of a state and, for each state, any number of vectors: actions or latent codes.

    ReLU follows every hidden layer. The first layer's kernel is one matrix over the concatenated
    state and vector, but where a state comes with many vectors its part of the product is computed
    once, not once per vector.
    """

    def __init__(
        self,
        state_dim: int,
        input_dim: int,
        units: Sequence[int],
        output_dim: int,
        *,
        seed: int,
        name: str,
        dropout: float = 0.0,
    ) -> None:
        """Creates the variables.

        Args:
          state_dim: S.
          input_dim: D, of the vectors; 0 for an MLP of the state alone.
          units: Hidden layers.
          output_dim: Of the linear output.
          seed: Seed of the weights.
          name: Layer name; part of the seed.
          dropout: Share of hidden units that ``call`` drops if it is given a seed.

        Raises:
          ValueError: if there is no hidden layer.
        """
        super().__init__(name=name)
        if not units:
            raise ValueError(f"{name} needs a hidden layer")
        self.state_dim, self.input_dim = state_dim, input_dim
        self.dropout = dropout
        self.kernels, self.biases = [], []
        width = state_dim + input_dim
        for index, size in enumerate((*units, output_dim)):
            initializer = glorot_uniform(width, size, seed_for(seed, f"{name}/{index}"))
            self.kernels.append(
                self.add_weight(
                    name=f"{name}/kernel_{index}", shape=(width, size), initializer=initializer
                )
            )
            self.biases.append(
                self.add_weight(name=f"{name}/bias_{index}", shape=(size,), initializer="zeros")
            )
            width = size
        self.built = True

    def call(
        self, states: tf.Tensor, inputs: tf.Tensor | None = None, dropout_seed: Any = None
    ) -> tf.Tensor:
        """Runs the MLP.

        Args:
          states: float32 `[batch, state]`.
          inputs: float32 `[batch, D]`, or `[batch, n, D]` for n vectors per state; None if D is 0.
          dropout_seed: int32 `[2]`; drops units, None does not.

        Returns:
          float32 `[batch, output]` or `[batch, n, output]`.
        """
        if inputs is None or len(inputs.shape) == 2:
            joined = states if inputs is None else tf.concat([states, inputs], axis=1)
            hidden = tf.nn.relu(_dense(joined, self.kernels[0], self.biases[0]))
            return self._after_first_layer(hidden, dropout_seed)
        batch, samples = tf.shape(inputs)[0], tf.shape(inputs)[1]
        from_state = _dense(states, self.kernels[0][: self.state_dim], self.biases[0])
        from_input = tf.matmul(
            tf.reshape(inputs, [-1, self.input_dim]), self.kernels[0][self.state_dim :]
        )
        width = from_state.shape[-1]
        hidden = tf.nn.relu(
            tf.reshape(from_input, [batch, samples, width]) + from_state[:, tf.newaxis]
        )
        outputs = self._after_first_layer(tf.reshape(hidden, [-1, width]), dropout_seed)
        return tf.reshape(outputs, [batch, samples, outputs.shape[-1]])

    def passes(
        self, states: tf.Tensor, inputs: tf.Tensor, count: int, dropout_seed: Any
    ) -> tf.Tensor:
        """Monte Carlo dropout: the same inputs several times, other units dropped each time.

        Args:
          states: float32 `[batch, state]`.
          inputs: float32 `[batch, D]`.
          count: n.
          dropout_seed: int32 `[2]`.

        Returns:
          float32 `[batch, n, output]`.
        """
        joined = tf.concat([states, inputs], axis=1)
        hidden = tf.nn.relu(_dense(joined, self.kernels[0], self.biases[0]))
        outputs = self._after_first_layer(tf.repeat(hidden, count, axis=0), dropout_seed)
        return tf.reshape(outputs, [-1, count, outputs.shape[-1]])

    def _after_first_layer(self, hidden: tf.Tensor, dropout_seed: Any) -> tf.Tensor:
        """The other layers; float32 `[rows, units[0]]` to `[rows, output]`."""
        last = len(self.kernels) - 1
        for index in range(1, last + 1):
            if dropout_seed is not None and self.dropout:
                hidden = tf.nn.experimental.stateless_dropout(
                    hidden, self.dropout, seed=dropout_seed + tf.constant([0, index])
                )
            hidden = _dense(hidden, self.kernels[index], self.biases[index])
            if index < last:
                hidden = tf.nn.relu(hidden)
        return hidden


class ActionVae(keras.layers.Layer):
    """BCQ's conditional VAE G = (E, D) (BatchRL-MTF section 3.2.1).

    Attributes:
      latent_dim: Z, of z.
      encoder: E(z | s, a).
      decoder: D(a | s, z), before tanh.
    """

    #: Bounds of log δ, which keep exp finite (BCQ's published code).
    LOG_STD_BOUNDS = (-4.0, 15.0)

    def __init__(
        self, state_dim: int, action_dim: int, latent_dim: int, units: Sequence[int], *, seed: int
    ) -> None:
        """Creates encoder and decoder, each with hidden layers ``units``."""
        super().__init__(name="action_vae")
        self.latent_dim = latent_dim
        self.encoder = StateMlp(
            state_dim, action_dim, units, 2 * latent_dim, seed=seed, name="encoder"
        )
        self.decoder = StateMlp(state_dim, latent_dim, units, action_dim, seed=seed, name="decoder")
        self.built = True

    def encode(self, states: tf.Tensor, actions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean μ and log standard deviation log δ of E(z | s, a), float32 `[batch, Z]` each."""
        mean, log_std = tf.split(self.encoder(states, actions), 2, axis=-1)
        return mean, tf.clip_by_value(log_std, *self.LOG_STD_BOUNDS)

    def decode(self, states: tf.Tensor, latents: tf.Tensor) -> tf.Tensor:
        """Actions in [-1, 1] `[batch, A]` or, of latents `[batch, n, Z]`, `[batch, n, A]`."""
        return tf.tanh(self.decoder(states, latents))


class Perturbation(keras.layers.Layer):
    """P_ω(s, a) = rho · tanh(·) (BatchRL-MTF sections 3.2.1 and 4.2)."""

    def __init__(
        self,
        state_dim: int,
        action_dim: int,
        rho: float,
        units: Sequence[int],
        *,
        seed: int,
        name: str = "perturbation",
    ) -> None:
        """Creates the network; ``name`` is no part of the seed, so that a target starts equal."""
        super().__init__(name=name)
        self.rho = rho
        self.mlp = StateMlp(
            state_dim, action_dim, units, action_dim, seed=seed, name="perturbation_mlp"
        )
        self.built = True

    def call(self, states: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        """Perturbed actions a + P(s, a), kept in [-1, 1]; shapes as of ``actions``."""
        return tf.clip_by_value(actions + self.rho * tf.tanh(self.mlp(states, actions)), -1.0, 1.0)


class TwinCritics(keras.layers.Layer):
    """Q_1 and Q_2 of clipped double Q-learning (BatchRL-MTF (6)-(7)).

    Attributes:
      members: The two networks.
    """

    def __init__(
        self,
        state_dim: int,
        action_dim: int,
        units: Sequence[int],
        *,
        seed: int,
        name: str = "critics",
    ) -> None:
        """Creates two critics that differ in their seeds."""
        super().__init__(name=name)
        self.members = [
            StateMlp(state_dim, action_dim, units, 1, seed=seed, name=f"critic_{number}")
            for number in (1, 2)
        ]
        self.built = True

    def call(self, states: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        """Both values, float32 `[2, batch]` or, of actions `[batch, n, A]`, `[2, batch, n]`."""
        return tf.stack([member(states, actions)[..., 0] for member in self.members])

    def first(self, states: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        """Q_1 alone, which policies climb."""
        return self.members[0](states, actions)[..., 0]


def _dense(inputs: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    return tf.nn.bias_add(tf.matmul(inputs, kernel), bias)
