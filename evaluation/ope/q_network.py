"""The Q network of fitted Q evaluation, and the loss (10)."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from mtfx.evaluation.ope.config import FittedQConfig
from mtfx.evaluation.ope.data import OfflineData
from mtfx.models.keras import glorot_uniform, keras, seed_for

#: Rows that pass through the network at once where nothing is trained.
_CHUNK = 65_536


class QNetwork(tf.Module):
    """Q(s, a; θ): an MLP with ReLU over state and action (BatchRL-MTF, appendix A)."""

    def __init__(self, data: OfflineData, config: FittedQConfig, seed: int) -> None:
        """Makes the weights.

        Args:
          data: Gives the sizes, and the means and deviations of states and returns.
          config: Sizes.
          seed: Of the weights.
        """
        super().__init__(name="q_network")
        mean = tf.zeros([data.state_dim])
        scale = tf.ones([data.state_dim])
        if config.normalise_states:
            mean, variance = tf.nn.moments(data.states, axes=[0])
            # A column that never changes tells nothing; dividing by its rounding would blow it up.
            scale = tf.where(variance > 1e-10, tf.sqrt(variance), 1.0)
        self._mean, self._scale = mean, scale
        self._value_mean, self._value_scale = 0.0, 1.0
        if config.normalise_returns:
            returns = data.returns(config.gamma)
            deviation = float(returns.std())
            self._value_mean = float(returns.mean())
            # Returns that are all the same differ by rounding only.
            if deviation > 1e-5 * float(np.abs(returns).max()):
                self._value_scale = deviation
        width = data.state_dim + data.action_dim
        layers = []
        for number, units in enumerate((*config.hidden_units, 1)):
            layers.append(
                keras.layers.Dense(
                    units,
                    activation="relu" if number < len(config.hidden_units) else None,
                    kernel_initializer=glorot_uniform(width, units, seed_for(seed, f"q{number}")),
                )
            )
            layers[-1].build([None, width])
            width = units
        self._layers = layers

    def __call__(self, states: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        """Q of `[batch, state_dim]` states and `[batch, action_dim]` actions: float32 `[batch]`."""
        hidden = tf.concat([(states - self._mean) / self._scale, actions], axis=1)
        for layer in self._layers:
            hidden = layer(hidden)
        return self._value_mean + self._value_scale * hidden[:, 0]

    @property
    def weights(self) -> list[tf.Variable]:
        """All weights, layer by layer."""
        return [weight for layer in self._layers for weight in layer.trainable_weights]

    def state_values(self, states: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        """The mean of Q over a state's actions: the sum over a ~ π(a|s) of (9).

        Args:
          states: float32 `[state, state_dim]`.
          actions: Drawn from the policy, float32 `[state, draw, action_dim]`.

        Returns:
          float32 `[state]`.
        """
        draws, action_dim = int(actions.shape[1]), int(actions.shape[2])
        chunk = max(1, _CHUNK // draws)
        means = []
        for start in range(0, int(states.shape[0]), chunk):
            part = actions[start : start + chunk]
            repeated = tf.repeat(states[start : start + chunk], draws, axis=0)
            values = self(repeated, tf.reshape(part, [-1, action_dim]))
            means.append(tf.reduce_mean(tf.reshape(values, [-1, draws]), axis=1))
        return tf.concat(means, axis=0)


def conservative_loss(
    q_data: tf.Tensor, q_policy: tf.Tensor | None, targets: tf.Tensor, penalty: float
) -> tf.Tensor:
    """The objective of (10) and of Algorithm 2, line 6, which is *minimised*.

    That is alpha (mean Q(s, π(s)) - mean Q(s, a)) + 1/2 mean (Q(s, a) - y)². The paper prints
    argmax over θ in both places. It must be argmin: the second term is a squared error, which has
    no maximum, and maximising the first would raise the values of the policy's actions, where the
    text wants them penalised, as in conservative Q-learning (Kumar et al., 2020, equation 2).

    Args:
      q_data: Q(s, a) of logged actions, float32 `[batch]`.
      q_policy: Q(s, π(s)), float32 `[batch]`; None where the penalty is 0.
      targets: y, float32 `[batch]`, through which no gradient may flow.
      penalty: alpha.

    Returns:
      float32 scalar.
    """
    loss = 0.5 * tf.reduce_mean(tf.square(q_data - targets))
    if q_policy is None:
        return loss
    return loss + penalty * (tf.reduce_mean(q_policy) - tf.reduce_mean(q_data))


def td_targets(
    rewards: tf.Tensor, discounts: tf.Tensor, next_q: tf.Tensor, gamma: float
) -> tf.Tensor:
    """Targets y = r + gamma Q(s', π(s')), and r alone where the session ended.

    Algorithm 2, line 4, prints gamma Q(s_i, π(s_i)), the *same* state; (10) has s', and so has
    every fitted Q evaluation (Le et al., 2019, equation 3).

    Args:
      rewards: float32 `[batch]`.
      discounts: float32 `[batch]`, 0 at the end of a session.
      next_q: Target network's Q(s', π(s')), float32 `[batch]`.
      gamma: gamma.

    Returns:
      float32 `[batch]`, without gradient.
    """
    # What follows the end of a session is padding; a NaN there times 0 would still be NaN.
    bootstrap = tf.where(discounts > 0.0, discounts * next_q, 0.0)
    return tf.stop_gradient(rewards + gamma * bootstrap)
