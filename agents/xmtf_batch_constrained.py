"""xMTF whose outer stage is batch-constrained: for logs that nothing can be added to.

Offline, an actor that climbs the critic (14) goes where the log has no actions and the critic's
values are extrapolated: TD3's ran to three times the truth in ``docs/fusion-results.md``'s table.
BCQ's actions stay near the logged ones.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf
import tensorflow_probability as tfp
from tf_agents.agents import data_converter, tf_agent
from tf_agents.policies import tf_policy
from tf_agents.trajectories import policy_step, trajectory
from tf_agents.trajectories import time_step as ts
from tf_agents.utils import tensor_normalizer

from mtfx.agents.bcq import BcqAgent
from mtfx.agents.bcq_policy import BcqPolicy
from mtfx.agents.config import XmtfConfig
from mtfx.agents.xmtf import XmtfAgent
from mtfx.agents.xmtf_inner_stage import InnerStage
from mtfx.models.action_policy import MASK, PREDICTIONS, STATE
from mtfx.models.fusion.formula_free import FormulaFreeFusion
from mtfx.models.keras import seed_for


class BatchConstrainedInfo(NamedTuple):
    """What a training step reports; float32 scalars.

    Attributes:
      vae_loss: BCQ's generator's.
      perturbation_loss: BCQ's perturbation's.
      critic_loss: BCQ's critics', in the place of xMTF's (13).
      q: Mean value of the batch's actions.
      monotonicity_loss: Σ_k of xMTF's (17), per pair of candidates.
      transfer_loss: xMTF's (16), per pair of candidates.
    """

    vae_loss: tf.Tensor
    perturbation_loss: tf.Tensor
    critic_loss: tf.Tensor
    q: tf.Tensor
    monotonicity_loss: tf.Tensor
    transfer_loss: tf.Tensor


class BatchConstrainedXmtfPolicy(tf_policy.TFPolicy):
    """BCQ's choice in normalised states, of observations with a ``state`` and more.

    Attributes:
      outer: BCQ's policy.
      normalizer: Of states.
    """

    def __init__(
        self,
        time_step_spec: Any,
        action_spec: Any,
        *,
        outer: BcqPolicy,
        normalizer: tensor_normalizer.TensorNormalizer,
    ) -> None:
        """Takes an agent's parts, which it shares."""
        super().__init__(time_step_spec, action_spec, automatic_state_reset=False)
        self.outer, self.normalizer = outer, normalizer

    def normalized(self, states: tf.Tensor) -> tf.Tensor:
        """States `[batch, S]` as networks and cells see them, float32 within [-5, 5]."""
        return self.normalizer.normalize(states, clip_value=5.0)

    def greedy_actions(self, states: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        """Actions of states `[batch, S]`, float32 `[batch, K]`; see ``mtfx.agents.bcq_policy``."""
        return self.outer.sampled_best_actions(self.normalized(states), seed)

    def _variables(self) -> list[tf.Variable]:
        return [*self.outer.variables(), *tf.nest.flatten(self.normalizer.variables)]

    def _action(self, time_step: Any, policy_state: Any, seed: Any) -> policy_step.PolicyStep:
        actions = self.greedy_actions(time_step.observation[STATE], seed)
        return policy_step.PolicyStep(actions, policy_state, ())

    def _distribution(self, time_step: Any, policy_state: Any) -> policy_step.PolicyStep:
        step = self._action(time_step, policy_state, None)
        return step._replace(action=tfp.distributions.Deterministic(step.action))


class BatchConstrainedXmtfAgent(tf_agent.TFAgent):
    """Algorithm 1 with BCQ's critics, generator and perturbation where it has critic and actor.

    Attributes:
      outer: BCQ, of normalised states.
      inner_stage: Trains the cells, under the outer stage's present actions.
      normalizer: Of states, by the mean and deviation of all that were trained on.
      config: Hyper-parameters.
    """

    def __init__(
        self, time_step_spec: Any, action_spec: Any, config: XmtfConfig, *, seed: int = 0
    ) -> None:
        """Builds the two stages.

        Args:
          time_step_spec: See ``mtfx.agents.xmtf.xmtf_specs``.
          action_spec: float32 `[K]` in [-1, 1].
          config: Hyper-parameters.
          seed: Of the weights and of all draws.
        """
        state_spec = time_step_spec.observation[STATE]
        self.config = config
        self._seed = seed_for(seed, "xmtf_batch_constrained")
        self.outer = BcqAgent(
            ts.time_step_spec(state_spec), action_spec, config.batch_constraint(), seed=seed
        )
        count, state_dim = action_spec.shape[0], state_spec.shape[0]
        self.inner_stage = InnerStage(count, state_dim, config, seed=seed)
        self.normalizer = tensor_normalizer.StreamingTensorNormalizer(state_spec)
        outer_policy: Any = self.outer.policy
        policy = BatchConstrainedXmtfPolicy(
            time_step_spec, action_spec, outer=outer_policy, normalizer=self.normalizer
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
        self.outer.initialize()

    @property
    def fusion(self) -> FormulaFreeFusion:
        """The two stages, of normalised states."""
        return self.inner_stage.fusion

    def normalized(self, states: tf.Tensor) -> tf.Tensor:
        """States `[batch, S]` as networks and cells see them, float32 within [-5, 5]."""
        return self.policy.normalized(states)

    def greedy_actions(self, states: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        """Actions of states `[batch, S]`, float32 `[batch, K]`; with a seed they follow from it."""
        return self.policy.greedy_actions(states, seed)

    def q_values(self, states: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        """min_j Q_j(s, a), float32 `[batch]`, of states that are not normalised."""
        return self.outer.q_values(self.normalized(states), actions)

    def _train(
        self, experience: trajectory.Trajectory, weights: tf.Tensor | None = None
    ) -> tf_agent.LossInfo:
        del weights  # The buffer samples uniformly.
        time_steps, _, next_time_steps = self._as_transition(experience)
        observed: Any = time_steps.observation
        following: Any = next_time_steps.observation
        self.normalizer.update(observed[STATE])
        states = self.normalized(observed[STATE])
        outer = self.outer.train(
            experience._replace(
                observation=tf.stack([states, self.normalized(following[STATE])], axis=1)
            )
        )
        step = tf.cast(self.train_step_counter, tf.int32)
        actions = self.outer.greedy_actions(states, tf.stack([self._seed, step]))
        monotonicity, transfer = self.inner_stage.train(
            observed[PREDICTIONS], observed[MASK], states, actions, self.train_step_counter
        )
        self.train_step_counter.assign_add(1)
        found = outer.extra
        return tf_agent.LossInfo(
            loss=outer.loss + self.inner_stage.loss(monotonicity, transfer),
            extra=BatchConstrainedInfo(
                found.vae_loss,
                found.perturbation_loss,
                found.critic_loss,
                found.q,
                monotonicity,
                transfer,
            ),
        )


def build_xmtf_agent(
    time_step_spec: Any, action_spec: Any, config: XmtfConfig, seed: int
) -> XmtfAgent | BatchConstrainedXmtfAgent:
    """Builds xMTF's agent with the outer stage that its hyper-parameters name."""
    constrained = config.outer == "batch_constrained"
    agent = BatchConstrainedXmtfAgent if constrained else XmtfAgent
    return agent(time_step_spec, action_spec, config, seed=seed)
