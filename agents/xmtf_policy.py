"""The policy of xMTF: the outer stage's coefficients, from the state alone."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp
from tf_agents.policies import tf_policy
from tf_agents.trajectories import policy_step
from tf_agents.utils import tensor_normalizer

from mtfx.agents.fusion_adapters import ActorNetwork


class XmtfPolicy(tf_policy.TFPolicy):
    """The deterministic policy μ(s) (12), of observations with a ``state`` and more.

    Attributes:
      actor: μ, of normalised states.
      normalizer: Of states.
    """

    def __init__(
        self,
        time_step_spec: Any,
        action_spec: Any,
        *,
        actor: ActorNetwork,
        normalizer: tensor_normalizer.TensorNormalizer,
        neutral: bool,
    ) -> None:
        """Takes an agent's actor, which it shares.

        Args:
          time_step_spec: Observations with a float32 ``state`` `[S]`.
          action_spec: float32 `[K]` in [-1, 1].
          actor: μ.
          normalizer: Of states.
          neutral: Whether every action is 0, without effect on the order of the inner stage.
        """
        super().__init__(time_step_spec, action_spec, automatic_state_reset=False)
        self.actor, self.normalizer = actor, normalizer
        self._neutral = neutral

    def normalized(self, states: tf.Tensor) -> tf.Tensor:
        """States `[batch, S]` as the networks see them, float32 within [-5, 5]."""
        return self.normalizer.normalize(states, clip_value=5.0)

    def greedy_actions(self, states: tf.Tensor) -> tf.Tensor:
        """Actions of states `[batch, S]`, float32 `[batch, K]`."""
        actions, _ = self.actor(self.normalized(states))
        return tf.zeros_like(actions) if self._neutral else actions

    def _variables(self) -> list[tf.Variable]:
        return [*self.actor.variables, *tf.nest.flatten(self.normalizer.variables)]

    def _action(self, time_step: Any, policy_state: Any, seed: Any) -> policy_step.PolicyStep:
        actions = self.greedy_actions(time_step.observation["state"])
        return policy_step.PolicyStep(actions, policy_state, ())

    def _distribution(self, time_step: Any, policy_state: Any) -> policy_step.PolicyStep:
        step = self._action(time_step, policy_state, None)
        return step._replace(action=tfp.distributions.Deterministic(step.action))
