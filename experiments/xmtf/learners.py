"""Learners of xMTF's experiments: agents with like networks, each with its fusion function."""

from __future__ import annotations

import abc
from typing import Any

import tensorflow as tf
from tf_agents.agents import tf_agent
from tf_agents.trajectories import trajectory
from tf_agents.utils import tensor_normalizer

from mtfx.agents.building import build_agent
from mtfx.agents.config import BcqConfig, FusionAgentConfig, Td3Config, XmtfConfig
from mtfx.agents.xmtf import XmtfAgent, build_xmtf
from mtfx.experiments.xmtf.trial import XmtfTrial
from mtfx.models.action_policy import MASK, PREDICTIONS, STATE, ActionSample
from mtfx.models.fusion.base import FusionFunction
from mtfx.models.fusion.config import CellsConfig, FusionConfig, build_fusion
from mtfx.models.fusion.formula_free import RawStateFusion

#: Normalised states are clipped to this, as by xMTF's agent.
_CLIP = 5.0


class Learner(abc.ABC):
    """An agent with the fusion function that its actions are for; a policy of states.

    Attributes:
      agent: The agent.
      fusion: Scores candidates by its actions and states that are not normalised.
      observed_candidates: How many candidates of a request it learns from; 0 for none.
    """

    agent: Any
    fusion: FusionFunction
    observed_candidates: int = 0
    #: Whether :meth:`prepare` has something to do.
    prepares: bool = False

    @abc.abstractmethod
    def greedy_actions(self, states: tf.Tensor) -> tf.Tensor:
        """Actions float32 `[batch, A]` of states that are not normalised."""

    @abc.abstractmethod
    def train(self, experience: trajectory.Trajectory) -> tf_agent.LossInfo:
        """One step on trajectories `[batch, 2]` of what the environment showed."""

    def prepare(self, experience: trajectory.Trajectory) -> tf.Tensor:
        """One step of what must be learnt before actions mean what they will; the loss."""
        del experience
        return tf.zeros([])

    def actions(self, states: tf.Tensor, users: tf.Tensor, seed: tf.Tensor) -> ActionSample:
        """See :class:`mtfx.models.action_policy.ActionPolicy`."""
        del users, seed
        unknown = tf.fill([tf.shape(states)[0]], float("nan"))
        return ActionSample(tf.clip_by_value(self.greedy_actions(states), -1, 1), unknown)


class FormulaLearner(Learner):
    """An agent that chooses the weights of a formula, with states normalised as xMTF's are."""

    def __init__(self, trial: XmtfTrial, state_dim: int, num_predictions: int) -> None:
        """Builds agent and formula."""
        self.fusion = build_fusion(FusionConfig(formula=trial.spec.formula), num_predictions)
        self.agent = build_agent(
            trial.spec.learner, state_dim, num_predictions, _config(trial), trial.seed
        )
        self._normalizer = tensor_normalizer.StreamingTensorNormalizer(
            tf.TensorSpec([state_dim], tf.float32, "state")
        )

    def greedy_actions(self, states: tf.Tensor) -> tf.Tensor:
        """See :class:`Learner`."""
        return self.agent.greedy_actions(self._normalized(states))

    def train(self, experience: trajectory.Trajectory) -> tf_agent.LossInfo:
        """See :class:`Learner`."""
        states: Any = experience.observation
        self._normalizer.update(states[:, 0])
        flat = tf.reshape(states, [-1, states.shape[-1]])
        normalized = tf.reshape(self._normalized(flat), tf.shape(states))
        normalized.set_shape(states.shape)
        return self.agent.train(experience._replace(observation=normalized))

    def _normalized(self, states: tf.Tensor) -> tf.Tensor:
        return self._normalizer.normalize(states, clip_value=_CLIP)


class XmtfLearner(Learner):
    """xMTF's agent, which brings its fusion function and normalises states itself.

    New cells are neither monotone nor alike in sign: what an action does with them is the reverse
    of what it will do, and an actor that has learnt from that ends at the wrong bounds. So they
    learn monotonicity, and their own order, before the outer stage does anything.
    """

    agent: XmtfAgent

    def __init__(self, trial: XmtfTrial, state_dim: int, num_predictions: int) -> None:
        """Builds the agent."""
        # Without inner stage there is nothing to learn from candidates; the agent wants one.
        candidates = trial.config.inner_candidates if trial.spec.has_cells else 1
        self.observed_candidates = min(candidates, trial.config.candidates)
        config = _config(trial)
        assert isinstance(config, XmtfConfig)
        self.agent = build_xmtf(
            state_dim, self.observed_candidates, num_predictions, config, trial.seed
        )
        self.prepares = trial.spec.has_cells
        self.fusion = RawStateFusion(self.agent.fusion, self.agent.normalized)

    def greedy_actions(self, states: tf.Tensor) -> tf.Tensor:
        """See :class:`Learner`."""
        return self.agent.greedy_actions(states)

    def train(self, experience: trajectory.Trajectory) -> tf_agent.LossInfo:
        """See :class:`Learner`."""
        return self.agent.train(experience)

    def prepare(self, experience: trajectory.Trajectory) -> tf.Tensor:
        """A step of the inner stage (18), with an outer stage that leaves the order as it is."""
        agent, observed = self.agent, experience.observation
        raw, predictions, mask = (
            observed[name][:, 0]  # type: ignore[index]  # TF-Agents does not say of what it is.
            for name in (STATE, PREDICTIONS, MASK)
        )
        agent.normalizer.update(raw)
        states = agent.normalized(raw)
        neutral = tf.zeros([tf.shape(raw)[0], agent.fusion.action_dim])
        parts = agent.inner_stage.train(predictions, mask, states, neutral, tf.constant(0))
        return agent.inner_stage.loss(*parts)


def build_learner(trial: XmtfTrial, state_dim: int, num_predictions: int) -> Learner:
    """The learner of a trial whose method is an agent.

    Args:
      trial: The trial.
      state_dim: S.
      num_predictions: K, also the size of the action.
    """
    kind = XmtfLearner if trial.spec.learner == "xmtf" else FormulaLearner
    return kind(trial, state_dim, num_predictions)


def _config(trial: XmtfTrial) -> FusionAgentConfig:
    """The hyper-parameters of a trial's agent; all agents share sizes and rates."""
    units = trial.config.hidden_units
    shared: dict[str, Any] = {
        # "A five-layer MLP": four hidden layers and the output.
        "hidden_units": (units,) * 4,
        "gamma": trial.config.gamma,
        "batch_size": trial.config.batch_size,
        "train_steps": trial.config.steps,
        "buffer_size": trial.config.buffer_size,
        "target_update_tau": trial.config.target_update_tau,
        "critic_learning_rate": trial.config.critic_learning_rate,
    }
    actor_rate = trial.config.actor_learning_rate
    spec = trial.spec
    if spec.learner == "td3":
        return Td3Config(**shared, actor_learning_rate=actor_rate)
    if spec.learner == "bcq":
        return BcqConfig(
            **shared,
            perturbation_learning_rate=actor_rate,
            vae_learning_rate=trial.config.vae_learning_rate,
            target_update_period=1,
            rho=trial.config.rho,
            sampled_actions=trial.config.sampled_actions,
        )
    return XmtfConfig(
        **shared,
        actor_learning_rate=actor_rate,
        inner_learning_rate=trial.config.inner_learning_rate,
        monotonicity_weight=trial.config.lambda_,
        transfer=trial.config.transfer,
        cell_scale=trial.config.cell_scale,
        monotonicity_margin=trial.config.margin,
        cells=CellsConfig(
            spec.cells,
            hidden_units=(trial.config.cell_units,) * 2,
            high=trial.config.largest_coefficient,
        ),
        # It is for logs; here the preparation is instead of it.
        warmup_steps=0,
        inner_stage=spec.inner_stage,
        outer_stage=spec.outer_stage,
    )
