"""xMTF's agent: monotonic fusion cells, their outer stage trained by RL, their inner by its order.

Cao et al., "xMTF: A Formula-Free Model for Reinforcement-Learning-Based Multi-Task Fusion in
Recommender Systems", WWW 2025, whose equation numbers these are.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf
from tf_agents.agents import data_converter, tf_agent
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory
from tf_agents.utils import common, tensor_normalizer

from mtfx.agents.config import XmtfConfig
from mtfx.agents.fusion_adapters import ActorNetwork, CriticNetwork
from mtfx.agents.xmtf_inner_stage import InnerStage
from mtfx.agents.xmtf_policy import XmtfPolicy
from mtfx.models.action_policy import MASK, PREDICTIONS, STATE
from mtfx.models.fusion.formula_free import FormulaFreeFusion
from mtfx.models.keras import seed_for
from mtfx.models.optimizers import adam


class XmtfInfo(NamedTuple):
    """What a training step reports; float32 scalars, 0 for a stage that is not trained.

    Attributes:
      critic_loss: (13).
      actor_loss: -mean Q(s, μ(s)), whose gradient is (14).
      monotonicity_loss: Σ_k of (17), per pair; with a margin it is no count of violations.
      transfer_loss: (16), per pair of candidates.
    """

    critic_loss: tf.Tensor
    actor_loss: tf.Tensor
    monotonicity_loss: tf.Tensor
    transfer_loss: tf.Tensor


def xmtf_specs(state_dim: int, candidates: int, num_predictions: int) -> tuple[Any, Any]:
    """Time step spec and action spec: the inner stage learns from the candidates' predictions.

    Args:
      state_dim: S.
      candidates: C, of the largest request; smaller ones are padded.
      num_predictions: K, also the size of the action.

    Raises:
      ValueError: if a size is below 1.
    """
    if min(state_dim, candidates, num_predictions) < 1:
        raise ValueError(
            "states, candidates and predictions need a size, got "
            f"{state_dim}, {candidates} and {num_predictions}"
        )
    observation = {
        STATE: tf.TensorSpec([state_dim], tf.float32, STATE),
        PREDICTIONS: tf.TensorSpec([candidates, num_predictions], tf.float32, PREDICTIONS),
        MASK: tf.TensorSpec([candidates], tf.bool, MASK),
    }
    make_bounded: Any = tensor_spec.BoundedTensorSpec  # TensorFlow's stubs lack its arguments.
    action = make_bounded([num_predictions], tf.float32, -1.0, 1.0, "action")
    return ts.time_step_spec(observation), action


class XmtfAgent(tf_agent.TFAgent):
    """Algorithm 1, two-stage hybrid training: critic (13), actor (14) and inner stage (18).

    Actions in [-1, 1] are scaled to a by the outer stage. The inner stage learns from z̃ under the
    actor's *present* action. Algorithm 1 takes a_t from the replay buffer, where it was chosen with
    exploration noise by an older actor; what the paper says of the transfer ("the inner stage
    absorbs new knowledge from the outer stage") needs what the outer stage knows now.

    Attributes:
      inner_stage: Trains the cells.
      actor: μ.
      target_actor: μ with ξ⁻.
      critic: Q.
      target_critic: Q with φ⁻.
      normalizer: Of states, by the mean and deviation of all that were trained on.
      config: Hyper-parameters.
    """

    def __init__(
        self, time_step_spec: Any, action_spec: Any, config: XmtfConfig, *, seed: int = 0
    ) -> None:
        """Builds networks and optimizers; ``initialize`` copies the networks to their targets.

        Args:
          time_step_spec: See :func:`xmtf_specs`.
          action_spec: float32 `[K]` in [-1, 1].
          config: Hyper-parameters.
          seed: Of the weights.

        Raises:
          ValueError: if the config is that of another outer stage.
        """
        if config.outer != "actor_critic":
            raise ValueError(f"the outer stage {config.outer!r} is not this agent's")
        state_spec = time_step_spec.observation[STATE]
        count = action_spec.shape[0]
        self.config = config
        self.inner_stage = InnerStage(count, state_spec.shape[0], config, seed=seed)
        units = config.hidden_units
        self.actor, self.target_actor = (
            ActorNetwork(state_spec, count, units, seed_for(seed, "actor")) for _ in range(2)
        )
        self.critic, self.target_critic = (
            CriticNetwork((state_spec, action_spec), units, seed_for(seed, "critic"))
            for _ in range(2)
        )
        for network in (self.actor, self.target_actor, self.critic, self.target_critic):
            network.create_variables()
        self.normalizer = tensor_normalizer.StreamingTensorNormalizer(state_spec)
        self.critic_optimizer = adam(config.critic_learning_rate)
        self.actor_optimizer = adam(config.actor_learning_rate)
        policy = XmtfPolicy(
            time_step_spec,
            action_spec,
            actor=self.actor,
            normalizer=self.normalizer,
            neutral=not config.outer_stage,
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
        for source, target in ((self.actor, self.target_actor), (self.critic, self.target_critic)):
            common.soft_variables_update(
                source.trainable_variables, target.trainable_variables, tau=rate
            )

    @property
    def fusion(self) -> FormulaFreeFusion:
        """The two stages, of normalised states."""
        return self.inner_stage.fusion

    def normalized(self, states: tf.Tensor) -> tf.Tensor:
        """States `[batch, S]` as networks and cells see them, float32 within [-5, 5]."""
        return self.policy.normalized(states)

    def greedy_actions(self, states: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        """μ(s) (12), float32 `[batch, K]`; zeros without outer stage. The seed has no effect."""
        del seed
        return self.policy.greedy_actions(states)

    def q_values(self, states: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        """Q(s, a), float32 `[batch]`, of states that are not normalised."""
        values, _ = self.critic((self.normalized(states), actions))
        return values

    def td_targets(
        self, rewards: tf.Tensor, discounts: tf.Tensor, next_states: tf.Tensor
    ) -> tf.Tensor:
        """The target r + gamma · Q(s', μ(s'; ξ⁻); φ⁻) of (13).

        Args:
          rewards: float32 `[batch]`.
          discounts: float32 `[batch]`, 0 at a session's end, where the target is the reward alone.
          next_states: float32 `[batch, S]`, normalised; after a session's end they may be anything.

        Returns:
          float32 `[batch]`, through which no gradient flows.
        """
        actions, _ = self.target_actor(next_states)
        values, _ = self.target_critic((next_states, actions))
        future = self.config.gamma * discounts * values
        return tf.stop_gradient(rewards + tf.where(discounts > 0, future, 0.0))

    def critic_loss(self, states: tf.Tensor, actions: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """(13): mean (Q(s, a) - y)²; normalised states `[batch, S]`, actions `[batch, K]`."""
        values, _ = self.critic((states, actions))
        return tf.reduce_mean(tf.math.squared_difference(values, targets))

    def actor_loss(self, states: tf.Tensor) -> tf.Tensor:
        """-mean Q(s, μ(s)) of normalised states `[batch, S]`; its gradient is -(14)."""
        actions, _ = self.actor(states)
        values, _ = self.critic((states, actions))
        return -tf.reduce_mean(values)

    def _train(
        self, experience: trajectory.Trajectory, weights: tf.Tensor | None = None
    ) -> tf_agent.LossInfo:
        del weights  # The buffer samples uniformly.
        time_steps, policy_steps, next_time_steps = self._as_transition(experience)
        observed: Any = time_steps.observation
        following: Any = next_time_steps.observation
        self.normalizer.update(observed[STATE])
        states = self.normalized(observed[STATE])
        zero = tf.zeros([])
        info = XmtfInfo(zero, zero, zero, zero)
        if self.config.outer_stage:
            targets = self.td_targets(
                next_time_steps.reward,
                next_time_steps.discount,
                self.normalized(following[STATE]),
            )
            info = info._replace(
                critic_loss=self._step(
                    self.critic_optimizer,
                    self.critic,
                    lambda: self.critic_loss(states, policy_steps.action, targets),
                ),
                actor_loss=self._step(
                    self.actor_optimizer, self.actor, lambda: self.actor_loss(states)
                ),
            )
            self._update_targets(self.config.target_update_tau)
        if self.fusion.cells is not None:
            parts = self.inner_stage.train(
                observed[PREDICTIONS],
                observed[MASK],
                states,
                self.greedy_actions(observed[STATE]),
                self.train_step_counter,
            )
            info = info._replace(monotonicity_loss=parts[0], transfer_loss=parts[1])
        self.train_step_counter.assign_add(1)
        inner = self.inner_stage.loss(info.monotonicity_loss, info.transfer_loss)
        return tf_agent.LossInfo(loss=info.critic_loss + info.actor_loss + inner, extra=info)

    def _step(self, optimizer: Any, module: Any, loss: Any) -> tf.Tensor:
        """One step of a module's variables down a loss, which it gives back."""
        variables = module.trainable_variables
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            value = loss()
        optimizer.apply_gradients(zip(tape.gradient(value, variables), variables, strict=True))
        return value


def build_xmtf(
    state_dim: int,
    candidates: int,
    num_predictions: int,
    config: XmtfConfig | None = None,
    seed: int = 0,
) -> XmtfAgent:
    """Builds and initialises the agent.

    Args:
      state_dim: S.
      candidates: C, of the largest request.
      num_predictions: K.
      config: Hyper-parameters; xMTF's when None.
      seed: Of the weights.

    Raises:
      ValueError: if a size is below 1.
    """
    agent = XmtfAgent(
        *xmtf_specs(state_dim, candidates, num_predictions), config or XmtfConfig(), seed=seed
    )
    agent.initialize()
    return agent
