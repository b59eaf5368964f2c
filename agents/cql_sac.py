"""CQL on SAC, TF-Agents' own, with the settings of its paper instead of the library's defaults."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tf_agents.agents.cql import cql_sac_agent
from tf_agents.policies import greedy_policy

from mtfx.agents.config import CqlSacConfig
from mtfx.agents.fusion_adapters import CriticNetwork, GaussianActorNetwork
from mtfx.models.keras import seed_for
from mtfx.models.optimizers import adam


class CqlSacAgent(cql_sac_agent.CqlSacAgent):
    """TF-Agents' CQL-SAC with CQL(H) of Kumar et al. (2020); its policy is the actor's mode."""

    def __init__(
        self, time_step_spec: Any, action_spec: Any, config: CqlSacConfig, *, seed: int = 0
    ) -> None:
        """Builds networks and optimizers.

        Args:
          time_step_spec: Observations float32 `[S]`.
          action_spec: float32 `[A]` in [-1, 1], whose bounds must be scalars, see
            ``mtfx.agents.building.specs``.
          config: Hyper-parameters.
          seed: Of the weights and of sampled actions.
        """
        observation_spec = time_step_spec.observation

        def critic(name: str) -> CriticNetwork:
            return CriticNetwork(
                (observation_spec, action_spec),
                config.hidden_units,
                seed_for(seed, name),
                name=name,
            )

        super().__init__(
            time_step_spec,
            action_spec,
            critic_network=critic("critic_1"),
            critic_network_2=critic("critic_2"),
            target_critic_network=critic("target_critic_1"),
            target_critic_network_2=critic("target_critic_2"),
            actor_network=GaussianActorNetwork(
                observation_spec, action_spec, config.hidden_units, seed_for(seed, "actor")
            ),
            actor_optimizer=adam(config.actor_learning_rate),
            critic_optimizer=adam(config.critic_learning_rate),
            alpha_optimizer=adam(config.entropy_learning_rate),
            cql_alpha=config.cql_alpha,
            num_cql_samples=config.sampled_actions,
            include_critic_entropy_term=config.entropy_in_target,
            use_lagrange_cql_alpha=False,
            random_seed=seed_for(seed, "cql_sac"),
            target_update_tau=config.target_update_tau,
            # SAC's paper: -dim(A), where the library takes half of it.
            target_entropy=-float(action_spec.shape[0]),
            gamma=config.gamma,
            train_step_counter=tf.Variable(0, dtype=tf.int64, name="train_step"),
        )
        self.config = config
        self._greedy_policy = greedy_policy.GreedyPolicy(self._policy)

    @property
    def policy(self) -> greedy_policy.GreedyPolicy:
        """The actor's mode; the library's own policy samples."""
        return self._greedy_policy

    def q_values(self, states: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        """min_j Q_j(s, a), float32 `[batch]`."""
        first, _ = self._critic_network_1((states, actions))
        second, _ = self._critic_network_2((states, actions))
        return tf.minimum(first, second)

    def _get_q_values(
        self, target_input: Any, step_type: Any, reshape_batch_size: Any, training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The library's, but a state's part of the first layer is computed once for its n actions.

        The library repeats each state n times; this takes one of each n rows and lets the network
        combine it with n actions. Values and gradients are the same.
        """
        if reshape_batch_size is None:
            return super()._get_q_values(target_input, step_type, None, training)
        states, actions = target_input
        samples = self._num_cql_samples
        shape = [reshape_batch_size, samples]
        states = tf.reshape(states, [*shape, states.shape[-1]])[:, 0]
        actions = tf.reshape(actions, [*shape, actions.shape[-1]])
        first, _ = self._critic_network_1((states, actions))
        second, _ = self._critic_network_2((states, actions))
        return first[..., tf.newaxis], second[..., tf.newaxis]

    def greedy_actions(self, states: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        """The mode of π(s), float32 `[batch, A]`; nothing is drawn from the seed."""
        distribution, _ = self._actor_network(states)
        return distribution.mode()


def build_cql_sac(
    time_step_spec: Any, action_spec: Any, config: CqlSacConfig, seed: int
) -> CqlSacAgent:
    """The agent of ``mtfx.agents.registry``."""
    return CqlSacAgent(time_step_spec, action_spec, config, seed=seed)
