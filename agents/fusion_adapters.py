"""The MLPs of ``mtfx.models.fusion_networks`` as networks of TF-Agents."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp
from tf_agents.distributions import utils as distribution_utils
from tf_agents.networks import network

from mtfx.models.fusion_networks import StateMlp


class ActorNetwork(network.Network):
    """A deterministic actor: tanh of an MLP of the state.

    Attributes:
      mlp: The MLP.
    """

    def __init__(
        self, observation_spec: Any, action_dim: int, units: tuple[int, ...], seed: int
    ) -> None:
        """Creates the MLP; every argument is kept, as TF-Agents copies networks by them."""
        super().__init__(input_tensor_spec=observation_spec, state_spec=(), name="actor")
        self.mlp = StateMlp(
            observation_spec.shape[0], 0, units, action_dim, seed=seed, name="actor_mlp"
        )

    def call(
        self, observation: Any, step_type: Any = (), network_state: Any = (), training: bool = False
    ) -> tuple[tf.Tensor, Any]:
        """Actions in [-1, 1], float32 `[batch, A]`."""
        return tf.tanh(self.mlp(observation)), network_state


class GaussianActorNetwork(network.Network):
    """SAC's actor: a Gaussian squashed by tanh to [-1, 1].

    Attributes:
      mlp: Gives means and log standard deviations.
    """

    #: Of the log standard deviation (SAC's published code).
    LOG_STD_BOUNDS = (-20.0, 2.0)

    def __init__(
        self, observation_spec: Any, action_spec: Any, units: tuple[int, ...], seed: int
    ) -> None:
        """Creates the MLP."""
        super().__init__(input_tensor_spec=observation_spec, state_spec=(), name="gaussian_actor")
        self._action_spec = action_spec
        self.mlp = StateMlp(
            observation_spec.shape[0],
            0,
            units,
            2 * action_spec.shape[0],
            seed=seed,
            name="gaussian_actor_mlp",
        )

    def call(
        self, observation: Any, step_type: Any = (), network_state: Any = (), training: bool = False
    ) -> tuple[Any, Any]:
        """A distribution over actions `[batch, A]`, whose mode is tanh of the mean."""
        mean, log_std = tf.split(self.mlp(observation), 2, axis=-1)
        log_std = tf.clip_by_value(log_std, *self.LOG_STD_BOUNDS)
        gaussian = tfp.distributions.MultivariateNormalDiag(mean, tf.exp(log_std))
        squashed = distribution_utils.scale_distribution_to_spec(gaussian, self._action_spec)
        return squashed, network_state


class CriticNetwork(network.Network):
    """Q(s, a). Actions are clipped to [-1, 1] first.

    TF-Agents' TD3 adds noise to target actions and, unlike TD3's paper, does not clip them to the
    bounds again; a critic would be asked about actions that no log can hold.

    Attributes:
      mlp: The MLP, for dropout too.
    """

    def __init__(
        self,
        input_tensor_spec: Any,
        units: tuple[int, ...],
        seed: int,
        dropout: float = 0.0,
        name: str = "critic",
    ) -> None:
        """Creates the MLP.

        Args:
          input_tensor_spec: Observation spec and action spec.
          units: Hidden layers.
          seed: Of the weights; twin critics need two.
          dropout: See :class:`mtfx.models.fusion_networks.StateMlp`.
          name: Of the network.
        """
        super().__init__(input_tensor_spec=input_tensor_spec, state_spec=(), name=name)
        observation_spec, action_spec = input_tensor_spec
        self.mlp = StateMlp(
            observation_spec.shape[0],
            action_spec.shape[0],
            units,
            1,
            seed=seed,
            name="critic_mlp",
            dropout=dropout,
        )

    def call(
        self, inputs: Any, step_type: Any = (), network_state: Any = (), training: bool = False
    ) -> tuple[tf.Tensor, Any]:
        """Values, float32 `[batch]`, of states `[batch, S]` and actions `[batch, A]`."""
        states, actions = inputs
        return self.mlp(states, tf.clip_by_value(actions, -1.0, 1.0))[..., 0], network_state
