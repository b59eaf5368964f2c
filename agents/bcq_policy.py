"""The policy of BCQ: BatchRL-MTF's equation (4)."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp
from tf_agents.policies import tf_policy
from tf_agents.trajectories import policy_step

from mtfx.models.fusion_networks import ActionVae, Perturbation, TwinCritics
from mtfx.models.state_noise import state_normals


class BcqPolicy(tf_policy.TFPolicy):
    """The best of n perturbed actions that the generator samples, by the first critic.

    A function of the state: the samples come from a hash of it, unless ``action`` gets a seed.

    Attributes:
      vae: G.
      perturbation: P.
      critics: Q_1 and Q_2.
    """

    def __init__(
        self,
        time_step_spec: Any,
        action_spec: Any,
        *,
        vae: ActionVae,
        perturbation: Perturbation,
        critics: TwinCritics,
        sampled_actions: int,
        latent_clip: float | None,
    ) -> None:
        """Takes an agent's networks, which it shares.

        Args:
          time_step_spec: Observations float32 `[S]`.
          action_spec: float32 `[A]` in [-1, 1].
          vae: G.
          perturbation: P.
          critics: Q_1 and Q_2.
          sampled_actions: n.
          latent_clip: See :class:`mtfx.agents.config.BcqConfig`.
        """
        super().__init__(time_step_spec, action_spec, automatic_state_reset=False)
        self.vae, self.perturbation, self.critics = vae, perturbation, critics
        self._sampled_actions = sampled_actions
        self._latent_clip = latent_clip

    def candidates(self, states: tf.Tensor, latents: tf.Tensor) -> tf.Tensor:
        """â_i + ξ_i, `[batch, n, A]`, of states `[batch, S]` and latents `[batch, n, Z]`."""
        return self.perturbation(states, self.vae.decode(states, latents))

    def best_actions(self, states: tf.Tensor, latents: tf.Tensor) -> tf.Tensor:
        """(4): argmax of Q over the candidates.

        The paper's Q has no number here; it is the first critic, as in BCQ's paper.

        Args:
          states: float32 `[batch, S]`.
          latents: z, float32 `[batch, n, Z]`.

        Returns:
          float32 `[batch, A]`.
        """
        actions = self.candidates(states, latents)
        best = tf.argmax(self.critics.first(states, actions), axis=1)
        return tf.gather(actions, best, axis=1, batch_dims=1)

    def _variables(self) -> list[tf.Variable]:
        return [
            *self.vae.variables,
            *self.perturbation.variables,
            *self.critics.variables,
        ]

    def sampled_best_actions(self, states: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        """(4) with candidates of noise that follows from the states, or from a seed.

        Args:
          states: float32 `[batch, S]`.
          seed: int32 `[2]`, or None for what each state gives by itself, in any batch; see
            ``mtfx.models.state_noise``.

        Returns:
          float32 `[batch, A]`.
        """
        shape = (self._sampled_actions, self.vae.latent_dim)
        if seed is None:
            latents = state_normals(states, shape)
        else:
            latents = tf.random.stateless_normal([tf.shape(states)[0], *shape], seed)
        if self._latent_clip is not None:
            latents = tf.clip_by_value(latents, -self._latent_clip, self._latent_clip)
        return self.best_actions(states, latents)

    def _action(self, time_step: Any, policy_state: Any, seed: Any) -> policy_step.PolicyStep:
        actions = self.sampled_best_actions(time_step.observation, seed)
        return policy_step.PolicyStep(actions, policy_state, ())

    def _distribution(self, time_step: Any, policy_state: Any) -> policy_step.PolicyStep:
        step = self._action(time_step, policy_state, None)
        return step._replace(action=tfp.distributions.Deterministic(step.action))
