"""RMTL: multi-task ranking with loss weights from critics of the session MDP.

Liu et al., "Multi-Task Recommendations with Reinforcement Learning", WWW 2023. Equation numbers are
those of the paper.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import tensorflow as tf
from tf_agents.agents import data_converter, tf_agent
from tf_agents.policies import actor_policy, gaussian_policy
from tf_agents.trajectories import trajectory
from tf_agents.utils import common

from mtfx.agents.critic_weighting import critic_loss_weights
from mtfx.agents.ranking_network import RankingNetwork
from mtfx.agents.rmtl_config import RmtlConfig
from mtfx.models.action_policy import FEATURES, FEEDBACK
from mtfx.models.critics import Critics
from mtfx.models.keras import keras
from mtfx.models.known_labels import known_mask, with_zeros
from mtfx.models.ranking_model import RankingModel


class RmtlInfo(NamedTuple):
    """What a training step reports; float32 scalars.

    Attributes:
      critic_loss: Mean squared TD error.
      td_error: Mean signed TD error δ (13).
      actor_loss: The loss that the actor's step minimised; 0 if there was none.
      q: Mean action value.
    """

    critic_loss: tf.Tensor
    td_error: tf.Tensor
    actor_loss: tf.Tensor
    q: tf.Tensor


class RmtlAgent(tf_agent.TFAgent):
    """Actor: a ranking model. Critics: the rest of the session's negative cross-entropy, per task.

    ``train`` takes transitions of the session MDP and updates the critics (14), the actor as
    ``config.actor_update`` says, and the targets (18). RMTL's schedule (pretrain the actor, freeze
    it until the critics have converged, retrain it with their weights) is in
    ``mtfx.trainers.ranking.rmtl``.

    Attributes:
      actor: The actor.
      target_actor: Its target network.
      critics: The critics.
      target_critics: Their target network.
      config: Hyper-parameters.
    """

    def __init__(
        self,
        time_step_spec: Any,
        action_spec: Any,
        actor: RankingModel,
        target_actor: RankingModel,
        critics: Critics,
        target_critics: Critics,
        config: RmtlConfig,
        *,
        actor_optimizer: keras.optimizers.Optimizer | None = None,
    ) -> None:
        """Ties the networks together; ``initialize`` copies them to their targets.

        Args:
          time_step_spec: The environment's.
          action_spec: Bounded, float32 `[task]`.
          actor: A ranking model whose tasks are all binary.
          target_actor: Another of the same configuration; may be ``actor`` itself where that is
            frozen.
          critics: With variables.
          target_critics: Another of the same configuration.
          config: Hyper-parameters.
          actor_optimizer: The actor's; needed if the actor is updated.

        Raises:
          ValueError: if actor, critics and specs differ in their tasks, or an optimizer is missing.
        """
        names = [task.name for task in actor.tasks]
        if names != [task.name for task in critics.tasks]:
            critic_names = [task.name for task in critics.tasks]
            raise ValueError(f"the actor predicts {names}, the critics judge {critic_names}")
        if list(action_spec.shape) != [len(names)]:
            raise ValueError(f"actions have shape {action_spec.shape}, but tasks are {names}")
        if config.actor_update != "none" and actor_optimizer is None:
            raise ValueError(f"actor_update={config.actor_update!r} needs an actor optimizer")
        self.actor, self.target_actor = actor, target_actor
        self.critics, self.target_critics = critics, target_critics
        self.config = config
        self._actor_optimizer = actor_optimizer
        self._critic_optimizer = keras.optimizers.Adam(config.critic_learning_rate)
        network = RankingNetwork(actor, time_step_spec.observation)
        policy = actor_policy.ActorPolicy(time_step_spec, action_spec, network)
        collect = policy
        if config.exploration:
            collect = gaussian_policy.GaussianPolicy(policy, scale=config.exploration, clip=True)
        self._critic_optimizer.build(critics.trainable_variables)
        if actor_optimizer is not None:
            actor_optimizer.build(actor.trainable_variables)
        super().__init__(
            time_step_spec,
            action_spec,
            policy,
            collect,
            train_sequence_length=2,
            train_step_counter=tf.Variable(0, dtype=tf.int64, name="train_step"),
        )
        self._as_transition = data_converter.AsTransition(self.data_context, squeeze_time_dim=True)

    @property
    def critic_optimizer(self) -> keras.optimizers.Optimizer:
        """The critics' optimizer, for checkpoints."""
        return self._critic_optimizer

    @property
    def actor_optimizer(self) -> keras.optimizers.Optimizer | None:
        """The actor's optimizer, if it has one."""
        return self._actor_optimizer

    def _initialize(self) -> None:
        self._update_targets(1.0)

    def _update_targets(self, rate: float) -> None:
        """θ̄ ← βθ + (1 - β)θ̄ for actor and critics (18)."""
        pairs = [(self.critics, self.target_critics)]
        if self.target_actor is not self.actor:
            pairs.append((self.actor, self.target_actor))
        for source, target in pairs:
            common.soft_variables_update(
                source.trainable_variables, target.trainable_variables, tau=rate
            )

    def actions(self, features: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """π(s; θ) (6): predictions, float32 `[batch, task]`, of features `[batch]`."""
        return tf.sigmoid(self.actor(dict(features), training=training))

    def td_targets(self, next_time_steps: Any) -> tf.Tensor:
        """TD targets (11): the reward plus gamma · Q̄(s', π̄(s')), or alone at a session's end.

        Args:
          next_time_steps: Rewards `[batch, task]`, discounts `[batch]` (0 at a session's end) and
            observations.

        Returns:
          float32 `[batch, task]`, through which no gradient flows.
        """
        reward = next_time_steps.reward
        if self.config.min_reward is not None:
            reward = tf.maximum(reward, self.config.min_reward)
        features = next_time_steps.observation[FEATURES]
        actions = tf.sigmoid(self.target_actor(features, training=False))
        values = self.target_critics(features, actions, training=False)
        discount = self.config.gamma * next_time_steps.discount[:, None]
        # The observation after a session's end means nothing, not even a finite number.
        future = tf.where(discount > 0, discount * values, 0.0)
        return tf.stop_gradient(reward + future)

    def critic_loss(
        self, transitions: Any, training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The squared TD error, whose gradient is the step (14) of every sample.

        (13) averages signed errors over the batch before (14) multiplies them with the gradient of
        Q; errors of opposite sign would cancel. So each sample takes its own step, and the signed
        mean is kept as a diagnostic and as the test of convergence.

        Args:
          transitions: `[batch]`; those from a session's end to the next one's beginning count
            for nothing.
          training: Whether to drop units of the critics.

        Returns:
          float32 scalars: (1/2bK) Σ (target - Q)², δ = (1/bK) Σ (target - Q) (13), and the mean Q.
        """
        time_steps, policy_steps, next_time_steps = transitions
        targets = self.td_targets(next_time_steps)
        values = self.critics(
            time_steps.observation[FEATURES], policy_steps.action, training=training
        )
        valid = tf.cast(~time_steps.is_last(), tf.float32)[:, None]
        count = tf.maximum(tf.reduce_sum(valid), 1.0) * float(len(self.critics.tasks))
        errors = valid * (targets - values)
        return (
            tf.reduce_sum(tf.square(errors)) / (2 * count),
            tf.reduce_sum(errors) / count,
            tf.reduce_sum(valid * values) / count,
        )

    def actor_loss(self, time_steps: Any, training: bool = False) -> tf.Tensor:
        """J(θ) = -(1/b) Σ Σ_k Q_k(s, π_k(s; θ)), minimised before the critics converge (15).

        Args:
          time_steps: Observations `[batch]`; terminal ones count for nothing.
          training: Whether to drop units of the actor; never those of the critics.

        Returns:
          float32 scalar.
        """
        features = time_steps.observation[FEATURES]
        values = self.critics(features, self.actions(features, training), training=False)
        valid = tf.cast(~time_steps.is_last(), tf.float32)
        total = tf.reduce_sum(valid * tf.reduce_sum(values, axis=1))
        return -total / tf.maximum(tf.reduce_sum(valid), 1.0)

    def loss_weights(
        self, features: Mapping[str, tf.Tensor], labels: tf.Tensor, actions: tf.Tensor
    ) -> tf.Tensor:
        """ω = 1 - λ Q(s, a) (10), or an ablation's; see :class:`RmtlConfig`.

        Args:
          features: By name, `[batch]`.
          labels: float32 `[batch, task]`.
          actions: The actor's predictions, float32 `[batch, task]`.

        Returns:
          float32 `[batch, task]`, through which no gradient flows. The critics drop no unit.
        """
        return critic_loss_weights(self.critics, self.config, features, labels, actions)

    def weighted_bce_loss(self, transitions: Any, training: bool = False) -> tf.Tensor:
        """L(θ) = (1/b) Σ Σ_k ω_k BCE(π_k(s; θ), y_k) (17), the mean of the paper's sum.

        Of a task whose feedback is not always known, the mean over the known ones.

        Args:
          transitions: `[batch]`; the labels are the feedback in the next observations. Those from
            a session's end to the next one's beginning count for nothing.
          training: Whether to drop units of the actor.

        Returns:
          float32 scalar.
        """
        time_steps, _, next_time_steps = transitions
        features = time_steps.observation[FEATURES]
        labels = next_time_steps.observation[FEEDBACK]
        logits = self.actor(features, training=training)
        weights = self.loss_weights(features, labels, tf.sigmoid(logits))
        losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=with_zeros(labels), logits=logits)
        counted = tf.cast(~time_steps.is_last(), tf.float32)[:, None] * known_mask(labels)
        totals = tf.reduce_sum(counted * weights * losses, axis=0)
        return tf.reduce_sum(totals / tf.maximum(tf.reduce_sum(counted, axis=0), 1.0))

    def _train(
        self, experience: trajectory.Trajectory, weights: tf.Tensor | None = None
    ) -> tf_agent.LossInfo:
        del weights  # The buffer samples uniformly.
        transitions = self._as_transition(experience)
        with tf.GradientTape() as tape:
            loss, td_error, mean_q = self.critic_loss(transitions, training=True)
        self._critic_optimizer.minimize(loss, self.critics.trainable_variables, tape=tape)
        actor_loss = self._train_actor(transitions)
        self._update_targets(self.config.soft_update)
        self.train_step_counter.assign_add(1)
        info = RmtlInfo(loss, td_error, actor_loss, mean_q)
        return tf_agent.LossInfo(loss=loss + actor_loss, extra=info)

    def _train_actor(self, transitions: Any) -> tf.Tensor:
        if self.config.actor_update == "none" or self._actor_optimizer is None:
            return tf.constant(0.0)
        with tf.GradientTape() as tape:
            if self.config.actor_update == "q":
                loss = self.actor_loss(transitions.time_step, training=True)
            else:
                loss = self.weighted_bce_loss(transitions, training=True)
        self._actor_optimizer.minimize(loss, self.actor.trainable_variables, tape=tape)
        return loss


class DdpgMtlAgent(RmtlAgent):
    """Critics as RMTL's; the actor ascends their Q (15) and never sees a label.

    Lillicrap et al., "Continuous control with deep reinforcement learning", 2016. TF-Agents'
    DdpgAgent takes one scalar reward and one critic; here each task has its own, as in RMTL, which
    shares everything but the actor's update.
    """

    @staticmethod
    def configure(config: RmtlConfig) -> RmtlConfig:
        """RMTL's settings with DDPG's actor update, and noise on collected actions.

        Without noise the critics see one action per state, and how Q changes with the action, which
        is all that the actor learns from, is arbitrary.
        """
        return dataclasses.replace(config, actor_update="q", exploration=config.exploration or 0.1)
