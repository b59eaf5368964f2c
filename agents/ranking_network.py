"""A ranking model as a network of TF-Agents: features in, predictions out."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tf_agents.networks import network

from mtfx.models.action_policy import FEATURES
from mtfx.models.ranking_model import RankingModel


class RankingNetwork(network.Network):
    """RMTL's actor π(s; θ) (6): the action is the model's prediction of every task.

    Attributes:
      model: The ranking model, whose variables are the network's.
    """

    def __init__(self, model: RankingModel, observation_spec: Any) -> None:
        """Wraps a model.

        Args:
          model: A ranking model of binary tasks.
          observation_spec: The environment's, see ``mtfx.models.action_policy``; the model gets the
            features only.
        """
        super().__init__(input_tensor_spec=observation_spec, state_spec=(), name="actor")
        self.model = model

    def call(
        self,
        observation: dict[str, Any],
        step_type: Any = (),
        network_state: Any = (),
        training: bool = False,
    ) -> tuple[tf.Tensor, Any]:
        """Predictions, float32 `[batch, task]` in [0, 1], and the state as it was."""
        logits = self.model(observation[FEATURES], training=training)
        return tf.sigmoid(logits), network_state
