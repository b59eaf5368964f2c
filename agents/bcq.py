"""BatchRL-MTF's agent: batch-constrained Q-learning of fusion weights from logs.

Zhang et al., "Multi-Task Fusion via Reinforcement Learning for Long-Term User Satisfaction in
Recommender Systems", KDD 2022, whose equation numbers these are; BCQ itself is Fujimoto et al.,
"Off-Policy Deep Reinforcement Learning without Exploration", ICML 2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf
from tf_agents.agents import data_converter, tf_agent
from tf_agents.trajectories import trajectory
from tf_agents.utils import common

from mtfx.agents.bcq_policy import BcqPolicy
from mtfx.agents.config import BcqConfig
from mtfx.models.fusion_networks import ActionVae, Perturbation, TwinCritics
from mtfx.models.keras import seed_for
from mtfx.models.optimizers import adam


class BcqInfo(NamedTuple):
    """What a training step reports; float32 scalars.

    Attributes:
      vae_loss: (3).
      perturbation_loss: (5).
      critic_loss: (6).
      q: Mean value of the batch's actions, by the first critic.
    """

    vae_loss: tf.Tensor
    perturbation_loss: tf.Tensor
    critic_loss: tf.Tensor
    q: tf.Tensor


class BcqAgent(tf_agent.TFAgent):
    """Algorithm 1. Its losses are methods that take their random draws as arguments.

    Where the paper prints sums over the batch these are means. Actions are in [-1, 1], also after
    perturbation. ``train`` takes ordinary transitions only, none that leads from the end of one
    session to the beginning of another.

    Attributes:
      vae: G.
      perturbation: P_ω.
      target_perturbation: P_ω'.
      critics: Q_1 and Q_2.
      target_critics: Their targets.
      config: Hyper-parameters.
    """

    def __init__(
        self, time_step_spec: Any, action_spec: Any, config: BcqConfig, *, seed: int = 0
    ) -> None:
        """Builds networks and optimizers; ``initialize`` copies the networks to their targets.

        Args:
          time_step_spec: Observations float32 `[S]`.
          action_spec: float32 `[A]` in [-1, 1].
          config: Hyper-parameters.
          seed: Of the weights and of all draws.
        """
        state_dim, action_dim = time_step_spec.observation.shape[0], action_spec.shape[0]
        self.config = config
        self._seed = seed_for(seed, "bcq")
        sizes = (state_dim, action_dim)
        units = config.hidden_units
        latent_dim = config.latent_dim or 2 * action_dim
        self.vae = ActionVae(*sizes, latent_dim, units, seed=seed)
        self.perturbation = Perturbation(*sizes, config.rho, units, seed=seed)
        self.target_perturbation = Perturbation(*sizes, config.rho, units, seed=seed)
        self.critics = TwinCritics(*sizes, units, seed=seed)
        self.target_critics = TwinCritics(*sizes, units, seed=seed)
        self.vae_optimizer = adam(config.vae_learning_rate)
        self.perturbation_optimizer = adam(config.perturbation_learning_rate)
        self.critic_optimizer = adam(config.critic_learning_rate)
        policy = BcqPolicy(
            time_step_spec,
            action_spec,
            vae=self.vae,
            perturbation=self.perturbation,
            critics=self.critics,
            sampled_actions=config.sampled_actions,
            latent_clip=config.latent_clip,
        )
        super().__init__(
            time_step_spec,
            action_spec,
            policy,
            policy,
            train_sequence_length=2,
            train_step_counter=tf.Variable(0, dtype=tf.int64, name="train_step"),
        )
        self._as_transition = data_converter.AsTransition(self.data_context, squeeze_time_dim=True)

    def _initialize(self) -> None:
        self._update_targets(1.0)

    def _update_targets(self, rate: float) -> None:
        """ω' ← ηω + (1 - η)ω' and likewise φ' (Algorithm 1, lines 11 and 12)."""
        for source, target in (
            (self.perturbation, self.target_perturbation),
            (self.critics, self.target_critics),
        ):
            common.soft_variables_update(
                source.trainable_variables, target.trainable_variables, tau=rate
            )

    def vae_loss(self, states: tf.Tensor, actions: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        """(3): mean over the batch of ‖a - â‖² + kl_weight · KL(N(μ, δ²) ‖ N(0, 1)).

        Args:
          states: float32 `[batch, S]`.
          actions: float32 `[batch, A]`.
          noise: ε of z = μ + δε, standard normal `[batch, Z]`.

        Returns:
          float32 scalar. Both terms are sums over dimensions.
        """
        mean, log_std = self.vae.encode(states, actions)
        reconstruction = self.vae.decode(states, mean + tf.exp(log_std) * noise)
        error = tf.reduce_sum(tf.math.squared_difference(actions, reconstruction), axis=1)
        divergence = 0.5 * tf.reduce_sum(
            tf.square(mean) + tf.exp(2.0 * log_std) - 2.0 * log_std - 1.0, axis=1
        )
        return tf.reduce_mean(error + self.config.kl_weight * divergence)

    def perturbation_loss(self, states: tf.Tensor, latents: tf.Tensor) -> tf.Tensor:
        """(5), negated: -mean Q_1(s, â + P_ω(s, â)) with â = D(s, z).

        The paper's Q has no number here; it is the first critic, as in BCQ's paper.

        Args:
          states: float32 `[batch, S]`.
          latents: z, float32 `[batch, Z]`.

        Returns:
          float32 scalar, whose gradient is for the perturbation only.
        """
        generated = tf.stop_gradient(self.vae.decode(states, latents))
        return -tf.reduce_mean(self.critics.first(states, self.perturbation(states, generated)))

    def td_targets(
        self, rewards: tf.Tensor, discounts: tf.Tensor, next_states: tf.Tensor, latents: tf.Tensor
    ) -> tf.Tensor:
        """(7): y = r + gamma · max_a' min_j Q̄_j(s', a') over n perturbed actions of G.

        Line 7 of Algorithm 1 prints the perturbation P_ω where (7) has its target P_ω'; this is
        (7).

        Args:
          rewards: float32 `[batch]`.
          discounts: float32 `[batch]`, 0 at a session's end, where y is the reward alone.
          next_states: float32 `[batch, S]`; those after a session's end may hold anything.
          latents: z, float32 `[batch, n, Z]`.

        Returns:
          float32 `[batch]`, through which no gradient flows.
        """
        actions = self.target_perturbation(next_states, self.vae.decode(next_states, latents))
        values = tf.reduce_min(self.target_critics(next_states, actions), axis=0)
        future = self.config.gamma * discounts * tf.reduce_max(values, axis=1)
        return tf.stop_gradient(rewards + tf.where(discounts > 0, future, 0.0))

    def critic_loss(
        self, states: tf.Tensor, actions: tf.Tensor, targets: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """(6): Σ_j mean (y - Q_j(s, a))², and the mean of Q_1.

        Args:
          states: float32 `[batch, S]`.
          actions: float32 `[batch, A]`.
          targets: y, float32 `[batch]`.

        Returns:
          Two float32 scalars.
        """
        values = self.critics(states, actions)
        loss = tf.reduce_mean(tf.math.squared_difference(targets, values), axis=1)
        return tf.reduce_sum(loss), tf.reduce_mean(values[0])

    def q_values(self, states: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        """min_j Q_j(s, a), float32 `[batch]`."""
        return tf.reduce_min(self.critics(states, actions), axis=0)

    def greedy_actions(self, states: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        """π(s) (4), float32 `[batch, A]`, as it is served, or drawn from a seed int32 `[2]`."""
        return self.policy.sampled_best_actions(states, seed)

    def latents(self, purpose: int, shape: Sequence[int | tf.Tensor]) -> tf.Tensor:
        """Draws z of N(0, 1), clipped as configured: a function of seed, step and purpose.

        Args:
          purpose: Distinguishes the draws of one step; 0, 1 or 2.
          shape: Of the result.
        """
        draw = self._normal(purpose, shape)
        clip = self.config.latent_clip
        return draw if clip is None else tf.clip_by_value(draw, -clip, clip)

    def _normal(self, purpose: int, shape: Sequence[int | tf.Tensor]) -> tf.Tensor:
        step = tf.cast(self.train_step_counter, tf.int32)
        return tf.random.stateless_normal(shape, tf.stack([self._seed, 3 * step + purpose]))

    def _train(
        self, experience: trajectory.Trajectory, weights: tf.Tensor | None = None
    ) -> tf_agent.LossInfo:
        del weights  # The buffer samples uniformly.
        time_steps, policy_steps, next_time_steps = self._as_transition(experience)
        states, actions = time_steps.observation, policy_steps.action
        batch, latent_dim = tf.shape(states)[0], self.vae.latent_dim

        noise = self._normal(0, [batch, latent_dim])
        variables = self.vae.trainable_variables
        with tf.GradientTape() as tape:
            vae_loss = self.vae_loss(states, actions, noise)
        _step(self.vae_optimizer, tape, vae_loss, variables)

        targets = self.td_targets(
            next_time_steps.reward,
            next_time_steps.discount,
            next_time_steps.observation,
            self.latents(1, [batch, self.config.sampled_actions, latent_dim]),
        )

        variables = self.perturbation.trainable_variables
        with tf.GradientTape() as tape:
            perturbation_loss = self.perturbation_loss(states, self.latents(2, [batch, latent_dim]))
        _step(self.perturbation_optimizer, tape, perturbation_loss, variables)

        variables = self.critics.trainable_variables
        with tf.GradientTape() as tape:
            critic_loss, mean_q = self.critic_loss(states, actions, targets)
        _step(self.critic_optimizer, tape, critic_loss, variables)

        step = self.train_step_counter.assign_add(1)
        tf.cond(
            tf.equal(step % self.config.target_update_period, 0),
            lambda: self._update_targets(self.config.target_update_tau),
            lambda: None,
        )
        return tf_agent.LossInfo(
            loss=vae_loss + perturbation_loss + critic_loss,
            extra=BcqInfo(vae_loss, perturbation_loss, critic_loss, mean_q),
        )


def build_bcq(time_step_spec: Any, action_spec: Any, config: BcqConfig, seed: int) -> BcqAgent:
    """The agent of ``mtfx.agents.registry``."""
    return BcqAgent(time_step_spec, action_spec, config, seed=seed)


def _step(
    optimizer: Any, tape: tf.GradientTape, loss: tf.Tensor, variables: Sequence[tf.Variable]
) -> None:
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
