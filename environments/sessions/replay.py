"""RMTL's environment: logged sessions, replayed impression by impression (Algorithm 1)."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tf_agents.environments import tf_environment
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts

from mtfx.environments.sessions.table import SessionTable
from mtfx.models.action_policy import FEATURES, FEEDBACK
from mtfx.models.known_labels import known_mask

#: Actions are kept this far from 0 and 1, where (2) is infinite: the least that float32 resolves.
ACTION_EPSILON = 1e-7


class SessionReplayEnvironment(tf_environment.TFEnvironment):
    """A batch of logged sessions side by side, each starting anew when it is over.

    The state is the features of the impression; the action is a prediction per task; the reward per
    task is the negative binary cross-entropy (2), and the labels that gave it are part of the
    *next* observation, so that no policy can see the feedback that it predicts. A label that nobody
    knows gives no reward. What the action is
    does not change what comes next: the log is replayed. After a session's last impression comes a
    terminal time step of discount 0, whose features repeat that impression and mean nothing.

    A reset takes the next session of a random order of all sessions, so none comes a second time
    before all others have come.
    """

    def __init__(self, table: SessionTable, batch_size: int, *, seed: int = 0) -> None:
        """Sets up the lanes.

        Args:
          table: The sessions.
          batch_size: Sessions replayed side by side.
          seed: Of the order of sessions.

        Raises:
          ValueError: if ``batch_size`` is less than 1.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        num_tasks = int(table.labels.shape[1])
        observation = {
            FEATURES: {
                name: _feature_spec(name, column) for name, column in table.features.items()
            },
            FEEDBACK: tensor_spec.TensorSpec(shape=[num_tasks], dtype=tf.float32, name=FEEDBACK),
        }
        reward = tensor_spec.TensorSpec(shape=[num_tasks], dtype=tf.float32, name="reward")
        action = _bounded([num_tasks], tf.float32, 0.0, 1.0, "action")
        super().__init__(ts.time_step_spec(observation, reward), action, batch_size)
        self._features = {
            name: tf.convert_to_tensor(column) for name, column in table.features.items()
        }
        self._labels = tf.cast(table.labels, tf.float32)
        self._ends = tf.cumsum(tf.constant(table.lengths, tf.int64))
        self._lengths = tf.constant(table.lengths, tf.int64)
        self._num_sessions = table.num_sessions
        self._seed = seed
        self._drawn = tf.Variable(0, dtype=tf.int64, name="sessions_drawn")
        lanes = [batch_size]
        self._row = tf.Variable(tf.zeros(lanes, tf.int64), name="row")
        self._end = tf.Variable(tf.zeros(lanes, tf.int64), name="end")
        self._step_type = tf.Variable(tf.fill(lanes, ts.StepType.LAST), name="step_type")
        self._reward = tf.Variable(tf.zeros([*lanes, num_tasks]), name="reward")
        self._feedback = tf.Variable(tf.zeros([*lanes, num_tasks]), name="feedback")
        self._started = tf.Variable(False, name="started")

    @property
    def num_sessions(self) -> int:
        """Number of sessions in the log."""
        return self._num_sessions

    def _current_time_step(self) -> ts.TimeStep:
        return tf.cond(self._started, self._observe, self._reset)

    @tf.function(autograph=False)
    def _reset(self) -> ts.TimeStep:
        self._started.assign(True)
        self._begin(tf.fill([self.batch_size], True))
        return self._observe()

    @tf.function(autograph=False)
    def _step(self, action: tf.Tensor) -> ts.TimeStep:
        return tf.cond(self._started, lambda: self._advance(action), self._reset)

    def _advance(self, action: tf.Tensor) -> ts.TimeStep:
        over = self._step_type == ts.StepType.LAST
        labels = tf.gather(self._labels, self._row)
        going = ~over[:, None]
        self._reward.assign(tf.where(going, negative_bce(labels, action), 0.0))
        self._feedback.assign(tf.where(going, labels, 0.0))
        is_last = self._row + 1 == self._end
        self._step_type.assign(tf.where(is_last, ts.StepType.LAST, ts.StepType.MID))
        self._row.assign(tf.where(is_last, self._row, self._row + 1))
        self._begin(over)
        return self._observe()

    def _begin(self, lanes: tf.Tensor) -> None:
        """Starts a session in the lanes marked by bool `[lane]`."""
        numbers = self._drawn + tf.cumsum(tf.cast(lanes, tf.int64)) - 1
        self._drawn.assign_add(tf.reduce_sum(tf.cast(lanes, tf.int64)))
        rounds = numbers // self._num_sessions
        seeds = tf.stack(
            [rounds, tf.fill(tf.shape(rounds), tf.constant(self._seed, tf.int64)), rounds * 0],
            axis=1,
        )
        # Padding lanes that start nothing count as session 0 of a round.
        places = tf.maximum(numbers, 0) % self._num_sessions
        # tf.random.experimental.index_shuffle pads the seeds of a batch on the wrong axis (2.16).
        sessions = tf.raw_ops.RandomIndexShuffle(
            index=places,
            seed=tf.cast(seeds, tf.int32),
            max_index=tf.constant(self._num_sessions - 1, tf.int64),
        )
        ends = tf.gather(self._ends, sessions)
        starts = ends - tf.gather(self._lengths, sessions)
        self._row.assign(tf.where(lanes, starts, self._row))
        self._end.assign(tf.where(lanes, ends, self._end))
        self._step_type.assign(tf.where(lanes, ts.StepType.FIRST, self._step_type))
        self._reward.assign(tf.where(lanes[:, None], 0.0, self._reward))
        self._feedback.assign(tf.where(lanes[:, None], 0.0, self._feedback))

    def _observe(self) -> ts.TimeStep:
        row = self._row.read_value()
        step_type = self._step_type.read_value()
        observation: dict[str, Any] = {
            FEATURES: {name: tf.gather(column, row) for name, column in self._features.items()},
            FEEDBACK: self._feedback.read_value(),
        }
        return ts.TimeStep(
            step_type=step_type,
            reward=self._reward.read_value(),
            discount=tf.where(step_type == ts.StepType.LAST, 0.0, 1.0),
            observation=observation,
        )


def _feature_spec(name: str, column: tf.Tensor) -> tf.TypeSpec:
    """Ids are bounded by those that occur: TF-Agents builds networks with samples of the spec."""
    shape = column.shape[1:].as_list()
    if not column.dtype.is_integer:
        return tensor_spec.TensorSpec(shape=shape, dtype=column.dtype, name=name)
    low, high = int(tf.reduce_min(column)), int(tf.reduce_max(column))
    return _bounded(shape, column.dtype, low, high, name)


def _bounded(shape: list[int], dtype: tf.DType, low: float, high: float, name: str) -> tf.TypeSpec:
    make: Any = tensor_spec.BoundedTensorSpec  # TensorFlow's stubs do not know its arguments.
    return make(shape, dtype, low, high, name)


def negative_bce(labels: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
    """RMTL's reward (2): y log a + (1 - y) log(1 - a), with a kept off 0 and 1.

    Args:
      labels: 0, 1 or ``mtfx.datasets.labels.UNKNOWN``, float32, any shape.
      actions: Predictions in [0, 1], float32 of the same shape.

    Returns:
      float32 of the same shape, at most 0; 0 where the label is unknown.
    """
    actions = tf.clip_by_value(actions, ACTION_EPSILON, 1 - ACTION_EPSILON)
    rewards = labels * tf.math.log(actions) + (1 - labels) * tf.math.log1p(-actions)
    return known_mask(labels) * rewards
