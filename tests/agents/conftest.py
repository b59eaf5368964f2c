"""A small log, actor and critics."""

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory
from tf_agents.trajectories.policy_step import PolicyStep

from mtfx.agents.rmtl import RmtlAgent
from mtfx.agents.rmtl_config import RmtlConfig
from mtfx.datasets.spec import Task
from mtfx.environments.sessions.replay import SessionReplayEnvironment
from mtfx.environments.sessions.table import SessionTable
from mtfx.models.config import CriticConfig, ModelConfig, StateConfig
from mtfx.models.critics import build_critics
from mtfx.models.input_features import InputFeature
from mtfx.models.keras import keras
from mtfx.models.mtl.registry import MmoeConfig
from mtfx.models.ranking_model import RankingModel

INPUTS = (InputFeature("item", "categorical", 20), InputFeature("age", "numeric"))
STATE = StateConfig(embedding_dim=4, hidden_units=(6,), state_dim=5)


class SmallLog:
    """Makes everything an agent needs."""

    inputs = INPUTS

    def table(self, lengths=(3, 1, 4, 2), tasks=2):
        rng = np.random.default_rng(5)
        rows = int(np.sum(lengths))
        return SessionTable(
            features={
                "item": tf.constant(rng.integers(0, 20, rows), tf.int64),
                "age": tf.constant(rng.normal(size=rows), tf.float32),
            },
            labels=tf.constant(rng.integers(0, 2, (rows, tasks)), tf.float32),
            lengths=np.asarray(lengths),
        )

    def tasks(self, count=2):
        return tuple(Task(name) for name in ("click", "like", "pay", "share", "follow")[:count])

    def actor(self, count=2, seed=1, dropout=0.0):
        sizes = MmoeConfig(bottom_units=(8,), tower_units=(4,), num_experts=2, dropout=dropout)
        model = RankingModel(
            INPUTS, self.tasks(count), ModelConfig("mmoe", sizes, STATE), seed=seed
        )
        model({"item": tf.zeros([1], tf.int64), "age": tf.zeros([1])})
        return model

    def critics(self, count=2, seed=3, dropout=0.0):
        config = CriticConfig(
            state=STATE,
            action_units=3,
            bottom_units=(7,),
            tower_units=(6,),
            dropout=dropout,
            seed=seed,
        )
        return build_critics(INPUTS, self.tasks(count), config)

    def environment(self, tasks=2, lanes=2):
        return SessionReplayEnvironment(self.table(tasks=tasks), lanes)

    def agent(self, count=2, dropout=0.0, **settings):
        environment = self.environment(count)
        return RmtlAgent(
            environment.time_step_spec(),
            environment.action_spec(),
            self.actor(count, 1, dropout),
            self.actor(count, 2, dropout),
            self.critics(count, 3, dropout),
            self.critics(count, 4, dropout),
            RmtlConfig(**settings),
            actor_optimizer=keras.optimizers.SGD(0.1),
        )

    def transitions(self, count=2, rows=12):
        """Transitions: ordinary, the last of a session, and from one session to the next."""
        rng = np.random.default_rng(8)

        def features():
            return {
                "item": tf.constant(rng.integers(0, 20, rows), tf.int64),
                "age": tf.constant(rng.normal(size=rows), tf.float32),
            }

        kinds = np.resize([ts.StepType.FIRST, ts.StepType.MID, ts.StepType.LAST], rows)
        ends = np.resize([False, True, False, False, False, False], rows)
        labels = tf.constant(rng.integers(0, 2, (rows, count)), tf.float32)
        zeros = tf.zeros([rows, count])
        step = ts.TimeStep(
            tf.constant(kinds, tf.int32),
            zeros,
            tf.zeros([rows]),
            {"features": features(), "feedback": zeros},
        )
        after = ts.TimeStep(
            tf.constant(np.where(ends, ts.StepType.LAST, ts.StepType.MID), tf.int32),
            tf.constant(-rng.exponential(size=(rows, count)), tf.float32),
            tf.constant(np.where(ends, 0.0, 1.0), tf.float32),
            {"features": features(), "feedback": labels},
        )
        actions = tf.constant(rng.uniform(size=(rows, count)), tf.float32)
        return trajectory.Transition(step, PolicyStep(actions), after)


@pytest.fixture(scope="session")
def small_log() -> SmallLog:
    return SmallLog()
