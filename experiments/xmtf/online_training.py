"""Training of an agent while it acts: a request of every lane, a step on the buffer, and again.

All methods of xMTF's Table 3 go through this loop, so that they have the same sessions to learn
from, the same buffer, batch and exploration.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tf_agents.replay_buffers import tf_uniform_replay_buffer
from tf_agents.trajectories import policy_step, trajectory
from tf_agents.trajectories import time_step as ts

from mtfx.agents.exploration import ActionNoise, ExplorationPolicy, RandomExploration
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.environment import FusionEnvironment
from mtfx.environments.simulator.user_groups import user_groups
from mtfx.experiments.xmtf.learners import Learner
from mtfx.experiments.xmtf.trial import XmtfSettings
from mtfx.models.action_policy import STATE

#: Pairs of steps drawn for each that is learnt from: those from a session's end to the next one's
#: start are left out, which are less than a third where sessions have two views and more.
_SPARE = 1.5


class Progress(NamedTuple):
    """Means over some steps of training.

    Attributes:
      reward: Of the requests made, with exploration.
      loss: The agent's total loss.
    """

    reward: float
    loss: float


class OnlineTraining:
    """An agent, its environment and its buffer."""

    def __init__(
        self,
        learner: Learner,
        simulator: Simulator,
        config: XmtfSettings,
        seed: tuple[int, int],
    ) -> None:
        """Sets up environment and buffer, and explores at random.

        Args:
          learner: Is trained, and acts.
          simulator: With the reward that is learnt from, and users that none is judged on.
          config: How much is collected, and how: its lanes, warm-up, preparation, steps, batch,
            buffer and deviations. A learner's preparation uses requests of its own, explored as in
            the warm-up, but nothing of what users did.
          seed: Of sessions, exploration and minibatches.
        """
        self._learner, self._config, self._seed = learner, config, seed
        self._environment = FusionEnvironment(
            simulator,
            learner.fusion,
            config.lanes,
            users=user_groups(simulator.world.user_ids).training,
            seed=seed,
            observed_candidates=learner.observed_candidates,
        )
        # TensorFlow and TF-Agents do not tell pyright what environments give.
        shown: Any = self._environment.time_step_spec()
        action = policy_step.PolicyStep(self._environment.action_spec(), (), ())
        spec = trajectory.from_transition(shown, action, shown)
        # No more room than is filled: at the paper's size the candidates take gigabytes.
        length = min(config.buffer_size // config.lanes, config.warmup + config.steps)
        self._buffer = tf_uniform_replay_buffer.TFUniformReplayBuffer(
            spec, config.lanes, max_length=max(length, 2)
        )
        self._time_step = self._environment.reset()
        self._done = 0
        action_dim = learner.fusion.action_dim
        explore = self._run(RandomExploration(action_dim, config.random_deviation), False)
        if learner.prepares and config.preparation:
            explore(config.warmup)
            self._prepare(tf.constant(config.preparation))
            self._buffer.clear()
        explore(config.warmup)
        self._train = self._run(ActionNoise(learner, config.noise_deviation), True)

    @property
    def transitions(self) -> int:
        """Frames in the buffer, those between two sessions included."""
        return int(self._buffer.num_frames())

    def train(self, steps: int) -> Progress:
        """Makes a number of steps.

        Raises:
          ValueError: if the loss is no longer finite.
        """
        reward, loss = self._train(steps)
        if not np.isfinite(loss):
            raise ValueError(
                "training diverged: the loss is not finite; lower critic_learning_rate"
            )
        return Progress(reward, loss)

    def _run(self, policy: ExplorationPolicy, learning: bool) -> Any:
        """A function of a number of steps, which gives their mean reward and loss."""

        @tf.function(autograph=False)
        def loop(time_step: ts.TimeStep, first: tf.Tensor, count: tf.Tensor) -> Any:
            # TF-Agents samples without seeds of its own; this is the graph's, not the program's.
            tf.random.set_seed(self._seed[0])

            def body(done: tf.Tensor, step: ts.TimeStep, sums: tf.Tensor) -> Any:
                following, rewarded = self._collect(policy, step, first + done)
                loss = self._learn() if learning else tf.zeros([])
                return done + 1, following, sums + tf.concat([rewarded, [loss]], axis=0)

            _, last, sums = tf.while_loop(
                lambda done, *_: done < count,
                body,
                (tf.constant(0), time_step, tf.zeros([3])),
                parallel_iterations=1,
            )
            return last, sums

        def run(count: int) -> tuple[float, float]:
            self._time_step, sums = loop(
                self._time_step, tf.constant(self._done), tf.constant(count)
            )
            self._done += count
            reward, requests, loss = sums.numpy().astype(float)
            return reward / max(requests, 1.0), loss / count

        return run

    @tf.function(autograph=False)
    def _prepare(self, count: tf.Tensor) -> tf.Tensor:
        tf.random.set_seed(self._seed[0])
        _, loss = tf.while_loop(
            lambda done, _: done < count,
            lambda done, _: (done + 1, self._learner.prepare(self._batch())),
            (tf.constant(0), tf.zeros([])),
            parallel_iterations=1,
        )
        return loss

    def _collect(
        self, policy: ExplorationPolicy, step: ts.TimeStep, number: tf.Tensor
    ) -> tuple[ts.TimeStep, tf.Tensor]:
        """One step of the environment; and the sum of rewards, and of how many requests."""
        observed: Any = step.observation
        states = observed[STATE] if isinstance(observed, dict) else observed
        seed = tf.random.experimental.stateless_fold_in(tf.constant(self._seed, tf.int32), number)
        users = tf.zeros([self._config.lanes], tf.int32)
        action = policy.actions(states, users, seed).action
        following: Any = self._environment.step(action)
        self._buffer.add_batch(
            trajectory.from_transition(step, policy_step.PolicyStep(action, (), ()), following)
        )
        requests = tf.reduce_sum(tf.cast(step.step_type != ts.StepType.LAST, tf.float32))
        return following, tf.stack([tf.reduce_sum(following.reward), requests])

    def _learn(self) -> tf.Tensor:
        return self._learner.train(self._batch()).loss

    def _batch(self) -> trajectory.Trajectory:
        """Transitions within sessions, drawn uniformly."""
        size = self._config.batch_size
        drawn, _ = self._buffer.get_next(math.ceil(_SPARE * size), num_steps=2)
        within = tf.where(~drawn.is_boundary()[:, 0])[:size, 0]
        return tf.nest.map_structure(lambda part: tf.gather(part, within), drawn)
