"""TD3, TF-Agents' own, with the settings of its paper instead of the library's defaults."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tf_agents.agents.td3 import td3_agent
from tf_agents.utils import common

from mtfx.agents.config import Td3Config
from mtfx.agents.fusion_adapters import ActorNetwork, CriticNetwork
from mtfx.models.keras import seed_for
from mtfx.models.optimizers import adam


class Td3Agent(td3_agent.Td3Agent):
    """TF-Agents' TD3 as Fujimoto et al. (2018) describe it; it learns offline as any data come.

    The library's defaults are a hard target update in every step, no delay of the actor, a Huber
    loss and no discount. Its second critic starts as a copy of the first unless there is one of its
    own.
    """

    def __init__(
        self,
        time_step_spec: Any,
        action_spec: Any,
        config: Td3Config,
        *,
        seed: int = 0,
        dropout: float = 0.0,
    ) -> None:
        """Builds networks and optimizers.

        Args:
          time_step_spec: Observations float32 `[S]`.
          action_spec: float32 `[A]` in [-1, 1].
          config: Hyper-parameters.
          seed: Of the weights.
          dropout: Of the critics, where a subclass uses it.
        """
        observation_spec = time_step_spec.observation

        def critic(name: str) -> CriticNetwork:
            return CriticNetwork(
                (observation_spec, action_spec),
                config.hidden_units,
                seed_for(seed, name),
                dropout,
                name,
            )

        def actor() -> ActorNetwork:
            return ActorNetwork(
                observation_spec, action_spec.shape[0], config.hidden_units, seed_for(seed, "actor")
            )

        super().__init__(
            time_step_spec,
            action_spec,
            actor_network=actor(),
            target_actor_network=actor(),
            critic_network=critic("critic_1"),
            critic_network_2=critic("critic_2"),
            target_critic_network=critic("target_critic_1"),
            target_critic_network_2=critic("target_critic_2"),
            actor_optimizer=adam(config.actor_learning_rate),
            critic_optimizer=adam(config.critic_learning_rate),
            target_update_tau=config.target_update_tau,
            target_update_period=config.policy_delay,
            actor_update_period=config.policy_delay,
            td_errors_loss_fn=common.element_wise_squared_loss,
            gamma=config.gamma,
            target_policy_noise=config.target_noise,
            target_policy_noise_clip=config.target_noise_clip,
            train_step_counter=tf.Variable(0, dtype=tf.int64, name="train_step"),
        )
        self.config = config

    def q_values(self, states: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        """min_j Q_j(s, a), float32 `[batch]`, without dropout."""
        first, _ = self._critic_network_1((states, actions))
        second, _ = self._critic_network_2((states, actions))
        return tf.minimum(first, second)

    def greedy_actions(self, states: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        """π(s), float32 `[batch, A]`; nothing is drawn from the seed."""
        actions, _ = self._actor_network(states)
        return actions


def build_td3(time_step_spec: Any, action_spec: Any, config: Td3Config, seed: int) -> Td3Agent:
    """The agent of ``mtfx.agents.registry``."""
    return Td3Agent(time_step_spec, action_spec, config, seed=seed)
