"""UWAC+TD3, a baseline of BatchRL-MTF: TD3 that learns less from uncertain values.

Wu et al., "Uncertainty Weighted Actor-Critic for Offline Reinforcement Learning", ICML 2021.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from mtfx.agents.config import UwacTd3Config
from mtfx.agents.td3 import Td3Agent
from mtfx.models.keras import seed_for


class UwacTd3Agent(Td3Agent):
    """TD3 whose losses are weighted by min(β / Var[Q], max_weight), sample by sample.

    The variance is that of Monte Carlo dropout: of forward passes with units dropped at random. The
    critics' loss is weighted by the variance of the target, (gamma·d)² Σ_j Var[Q̄_j(s', a')], which
    is 0 at a session's end, where the target is the reward; their targets are the means of the
    passes. The actor's loss is weighted by Σ_j Var[Q_j(s, π(s))]. UWAC's paper builds on BEAR and
    adds its constraint on actions; BatchRL-MTF's baseline is on TD3, so there is none here.
    """

    def __init__(
        self, time_step_spec: Any, action_spec: Any, config: UwacTd3Config, *, seed: int = 0
    ) -> None:
        """Builds networks and optimizers.

        Args:
          time_step_spec: Observations float32 `[S]`.
          action_spec: float32 `[A]` in [-1, 1].
          config: Hyper-parameters.
          seed: Of the weights, dropout and target noise.
        """
        super().__init__(time_step_spec, action_spec, config, seed=seed, dropout=config.dropout)
        self.config: UwacTd3Config = config
        self._seed = seed_for(seed, "uwac")

    def weights(self, variance: tf.Tensor) -> tf.Tensor:
        """min(β / Var, max_weight), of the shape of ``variance``; no gradient flows through it."""
        config = self.config
        # β / Var > max_weight where Var < β / max_weight: so no division by zero.
        floor = config.beta / config.max_weight
        return tf.stop_gradient(config.beta / tf.maximum(variance, floor))

    def uncertain_values(
        self, critics: Any, states: tf.Tensor, actions: tf.Tensor, purpose: int
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Means and variances over passes with dropout.

        Args:
          critics: Two networks.
          states: float32 `[batch, S]`.
          actions: float32 `[batch, A]`.
          purpose: Distinguishes the draws of one step.

        Returns:
          Mean Q_j, float32 `[2, batch]`, and Σ_j Var[Q_j], float32 `[batch]`.
        """
        samples = self.config.uncertainty_samples
        values = [
            critic.mlp.passes(
                states, tf.clip_by_value(actions, -1.0, 1.0), samples, self._draw(purpose + index)
            )[..., 0]
            for index, critic in enumerate(critics)
        ]
        means, variances = tf.nn.moments(tf.stack(values), axes=[2])
        return means, tf.reduce_sum(variances, axis=0)

    def critic_loss(
        self,
        time_steps: Any,
        actions: tf.Tensor,
        next_time_steps: Any,
        weights: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        """Σ_j mean w (y - Q_j(s, a))², the critics' units dropped if ``training``.

        Args:
          time_steps: `[batch]`.
          actions: float32 `[batch, A]`.
          next_time_steps: `[batch]`, discount 0 at a session's end.
          weights: Further weights `[batch]`.
          training: Whether to drop units of the critics that learn.

        Returns:
          float32 scalar.
        """
        next_states, discounts = next_time_steps.observation, next_time_steps.discount
        chosen, _ = self._target_actor_network(next_states)
        noise = self.config.target_noise * tf.random.stateless_normal(
            tf.shape(chosen), self._draw(0)
        )
        bound = self.config.target_noise_clip
        means, variance = self.uncertain_values(
            (self._target_critic_network_1, self._target_critic_network_2),
            next_states,
            chosen + tf.clip_by_value(noise, -bound, bound),
            1,
        )
        factor = self.config.gamma * discounts
        targets = tf.stop_gradient(next_time_steps.reward + factor * tf.reduce_min(means, axis=0))
        sample_weights = self.weights(tf.square(factor) * variance)
        if weights is not None:
            sample_weights *= weights
        loss = tf.constant(0.0)
        for index, critic in enumerate((self._critic_network_1, self._critic_network_2)):
            seed = self._draw(3 + index) if training else None
            values = critic.mlp(time_steps.observation, actions, dropout_seed=seed)[..., 0]
            loss += tf.reduce_mean(sample_weights * tf.math.squared_difference(targets, values))
        return loss

    def actor_loss(
        self, time_steps: Any, weights: tf.Tensor | None = None, training: bool = False
    ) -> tf.Tensor:
        """-mean w Q_1(s, π(s)), the critic without dropout.

        Args:
          time_steps: `[batch]`.
          weights: Further weights `[batch]`.
          training: Not used.

        Returns:
          float32 scalar.
        """
        states = time_steps.observation
        actions, _ = self._actor_network(states)
        values, _ = self._critic_network_1((states, actions))
        _, variance = self.uncertain_values(
            (self._critic_network_1, self._critic_network_2), states, tf.stop_gradient(actions), 5
        )
        sample_weights = self.weights(variance)
        if weights is not None:
            sample_weights *= weights
        return -tf.reduce_mean(sample_weights * values)

    def _draw(self, purpose: int) -> tf.Tensor:
        """A stateless seed: a function of the agent's, the training step and the purpose."""
        step = tf.cast(self.train_step_counter, tf.int32)
        return tf.stack([self._seed, 7 * step + purpose])


def build_uwac_td3(
    time_step_spec: Any, action_spec: Any, config: UwacTd3Config, seed: int
) -> UwacTd3Agent:
    """The agent of ``mtfx.agents.registry``."""
    return UwacTd3Agent(time_step_spec, action_spec, config, seed=seed)
