"""Training of an agent on a log, and its Q beside the truth along the way (Figure 5)."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from mtfx.agents.building import build_agent, q_values
from mtfx.agents.config import FusionAgentConfig
from mtfx.agents.offline_training import OfflineLog, train_offline
from mtfx.agents.registry import AGENTS
from mtfx.datasets.file_names import pattern_free
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.runner import SessionRunner
from mtfx.environments.simulator.value import figures_of
from mtfx.evaluation.ope.data import OfflineData
from mtfx.experiments.batchrl.trial import FusionTrial
from mtfx.experiments.engine.simulation import curve_sessions
from mtfx.models.action_policy import ActionSample
from mtfx.models.export.policy import agent_function
from mtfx.models.fusion.base import FusionFunction

_CHECKPOINTS, _CURVE = "checkpoints", "curve.jsonl"
#: Initial states of the log in which Q is looked at, at most.
_STATES = 1_000


class CurvePoint(NamedTuple):
    """An agent in the course of its training, at the starts of sessions.

    Attributes:
      step: Training steps so far.
      q_mean: Mean of min_j Q_j(s, π(s)) over initial states: what the agent expects to earn.
      q_deviation: Standard deviation over the states.
      true_return: What it earns in the simulator, mean discounted return of a session.
      loss: Mean loss since the point before.
    """

    step: int
    q_mean: float
    q_deviation: float
    true_return: float
    loss: float


def train_policy(
    trial: FusionTrial,
    data: OfflineData,
    simulator: Simulator,
    fusion: FusionFunction,
    directory: str,
) -> list[CurvePoint]:
    """Trains the trial's policy, or goes on where a killed attempt stopped.

    Args:
      trial: Of a policy that is an agent.
      data: What it learns from.
      simulator: With the reward that it learns from; it only measures.
      fusion: Scores candidates by the agent's actions.
      directory: For checkpoints and the curve.

    Returns:
      The curve.
    """
    steps = max(round(trial.config.steps * trial.policy.share), 1)
    agent = _agent(trial, simulator.state_dim, data.action_dim)
    curve = _Curve(trial, agent, data, simulator, fusion, directory)
    log_every = -(-steps // trial.config.curve_points)
    train_offline(
        agent,
        data,
        steps,
        trial.config.batch_size,
        trial.seed,
        log_every=log_every,
        on_log=curve.add,
        checkpoint_dir=os.path.join(directory, _CHECKPOINTS),
        checkpoint_every=log_every,
    )
    return curve.points()


class ServedAgent:
    """An agent's policy as it would be served: the actions are functions of the states."""

    def __init__(self, agent: Any) -> None:
        """Keeps the policy of an agent of ``mtfx.agents.building.build_agent``."""
        self._function = agent_function(agent.policy)

    def actions(self, states: tf.Tensor, users: tf.Tensor, seed: tf.Tensor) -> ActionSample:
        """See :class:`mtfx.models.action_policy.ActionPolicy`; nothing is drawn."""
        del users, seed
        action = tf.clip_by_value(self._function(states), -1.0, 1.0)
        return ActionSample(action, tf.fill([tf.shape(states)[0]], float("nan")))


def load_agent(trial: FusionTrial, state_dim: int, action_dim: int, directory: str) -> ServedAgent:
    """The policy that :func:`train_policy` trained.

    Raises:
      ValueError: if there is no finished training.
    """
    agent = _agent(trial, state_dim, action_dim)
    found = tf.train.latest_checkpoint(os.path.join(pattern_free(directory), _CHECKPOINTS))
    if found is None:
        raise ValueError(f"there is no trained agent in {directory}: delete it and run again")
    status = tf.train.Checkpoint(agent=agent).restore(found)
    status.assert_existing_objects_matched()
    # Optimizers, which only training needs.
    status.expect_partial()
    return ServedAgent(agent)


def agent_config(trial: FusionTrial) -> FusionAgentConfig:
    """The hyper-parameters of a trial's agent: its settings, and the algorithm's defaults."""
    name = trial.policy.learner
    units = trial.config.hidden_units
    config = AGENTS[name].config(
        hidden_units=(units, units),
        gamma=trial.config.gamma,
        batch_size=trial.config.batch_size,
        train_steps=trial.config.steps,
    )
    own = {
        "bcq": (
            *("rho", "sampled_actions", "critic_learning_rate"),
            *("vae_learning_rate", "perturbation_learning_rate"),
        ),
        "cql_sac": ("cql_alpha",),
    }
    return dataclasses.replace(
        config, **{key: getattr(trial.config, key) for key in own.get(name, ())}
    )


def _agent(trial: FusionTrial, state_dim: int, action_dim: int) -> Any:
    return build_agent(trial.policy.learner, state_dim, action_dim, agent_config(trial), trial.seed)


class _Curve:
    """Measures the agent at every log, and keeps the points in a file, as training may resume."""

    def __init__(
        self,
        trial: FusionTrial,
        agent: Any,
        data: OfflineData,
        simulator: Simulator,
        fusion: FusionFunction,
        directory: str,
    ) -> None:
        policy = ServedAgent(agent)
        self._file = Path(directory, _CURVE)
        self._gamma = trial.config.gamma
        # Traced once; the agent's variables change beneath it.
        self._runner = SessionRunner(simulator, fusion, policy)
        self._users, self._seed = curve_sessions(simulator, trial.seed, trial.config.curve_sessions)
        states = tf.gather(data.states, data.initial_rows()[:_STATES])

        @tf.function(autograph=False)
        def initial_q() -> tf.Tensor:
            users = tf.zeros([tf.shape(states)[0]], tf.int32)
            sample = policy.actions(states, users, tf.constant(self._seed, tf.int32))
            return q_values(agent, states, sample.action)

        self._initial_q = initial_q

    def add(self, log: OfflineLog) -> None:
        """Measures the agent now."""
        values = self._initial_q().numpy().astype(np.float64)
        figures = figures_of(self._runner, self._users, self._seed, self._gamma)
        point = CurvePoint(
            log.step,
            float(values.mean()),
            float(values.std()),
            float(figures.discounted_return.mean()),
            log.loss,
        )
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(point._asdict()) + "\n")

    def points(self) -> list[CurvePoint]:
        """All points in order of the steps; of a step that was taken twice, the later one."""
        points: dict[int, CurvePoint] = {}
        for line in self._file.read_text(encoding="utf-8").splitlines():
            # The last line of a killed attempt may not be whole.
            if line.endswith("}"):
                point = CurvePoint(**json.loads(line))
                points[point.step] = point
        return [points[step] for step in sorted(points)]
