"""Training an agent on transitions held in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
import tensorflow as tf
from tf_agents.agents import tf_agent
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory

from agents.fusion_registry import q_values

#: States on which the mean Q of a log line is measured.
_Q_SAMPLE = 1024
#: By how much an action may be out of bounds.
_ROUNDING = 1e-5


class Transitions(Protocol):
    """Arrays or tensors of N transitions, for example a ``trainers.transition_data`` table."""

    @property
    def states(self) -> Any:
        """float32 `[N, S]`."""

    @property
    def actions(self) -> Any:
        """float32 `[N, A]` in [-1, 1]."""

    @property
    def rewards(self) -> Any:
        """float32 `[N]`."""

    @property
    def next_states(self) -> Any:
        """float32 `[N, S]`."""

    @property
    def discounts(self) -> Any:
        """float32 `[N]`, 0 at a session's end and 1 elsewhere."""


class TransitionTensors(NamedTuple):
    """Transitions as float32 tensors."""

    states: tf.Tensor
    actions: tf.Tensor
    rewards: tf.Tensor
    next_states: tf.Tensor
    discounts: tf.Tensor


@dataclasses.dataclass(frozen=True)
class OfflineLog:
    """What training reports every so many steps.

    Attributes:
      step: Steps so far.
      loss: Mean total loss of the steps since the last log.
      losses: Mean of the agent's own figures over the same steps, by name.
      data_q: Mean of min_j Q_j(s, a) over a fixed sample of the data.
      policy_q: Mean of min_j Q_j(s, π(s)) over the same states, the paper's Figure 5.
    """

    step: int
    loss: float
    losses: dict[str, float]
    data_q: float
    policy_q: float


class TrainingDivergedError(RuntimeError):
    """A loss or value is no longer a finite number."""


def train_offline(
    agent: Any,
    table: Transitions,
    steps: int,
    batch_size: int,
    seed: int = 0,
    *,
    log_every: int = 1000,
    on_log: Callable[[OfflineLog], None] | None = None,
    checkpoint_dir: str | None = None,
    checkpoint_every: int = 10_000,
) -> list[OfflineLog]:
    """Trains until the agent has made ``steps`` steps in all.

    Minibatches are drawn uniformly with replacement; which ones is a function of the seed and the
    step's number. ``log_every`` steps run in one call of TensorFlow.

    Args:
      agent: One of ``agents.fusion_registry.build_agent``.
      table: The transitions.
      steps: Training steps, those of an earlier run included.
      batch_size: Transitions per step.
      seed: Of the minibatches.
      log_every: Steps between logs.
      on_log: Called with every log.
      checkpoint_dir: Where the agent is saved and, if it was, resumed; None saves nothing.
      checkpoint_every: Steps between checkpoints, rounded up to logs; the last step saves one too.

    Returns:
      All logs of this call.

    Raises:
      ValueError: if the table is empty, its shapes differ or are not the agent's, a number is not
        finite or an action out of bounds.
      TrainingDivergedError: if a loss is not finite.
    """
    data = transition_tensors(agent, table)
    manager = None
    if checkpoint_dir is not None:
        checkpoint = tf.train.Checkpoint(agent=agent)
        manager = tf.train.CheckpointManager(checkpoint, checkpoint_dir, max_to_keep=1)
        checkpoint.restore(manager.latest_checkpoint)
    run = training_loop(agent, data, batch_size, seed)
    sample = tf.random.stateless_uniform(
        [min(_Q_SAMPLE, data.states.shape[0])],
        [seed, -1],
        maxval=data.states.shape[0],
        dtype=tf.int32,
    )
    mean_q = _mean_q(agent, tf.gather(data.states, sample), tf.gather(data.actions, sample))
    logs: list[OfflineLog] = []
    done = int(agent.train_step_counter)
    while done < steps:
        count = min(log_every - done % log_every, steps - done)
        try:
            means = run(tf.constant(count, tf.int32))
        except tf.errors.InvalidArgumentError as error:
            # TF-Agents checks its losses in the graph.
            if "Inf" not in str(error) and "NaN" not in str(error):
                raise
            raise TrainingDivergedError(
                _diverged(f"between the steps {done} and {done + count}, a loss is not finite")
            ) from error
        before, done = done, done + count
        logs.append(_log(done, means, mean_q(tf.constant([seed, done], tf.int32))))
        if on_log is not None:
            on_log(logs[-1])
        if manager is not None and (
            done == steps or before // checkpoint_every != done // checkpoint_every
        ):
            manager.save(checkpoint_number=done)
    return logs


def transition_tensors(agent: Any, table: Transitions) -> TransitionTensors:
    """The table as tensors; raises ValueError if an agent cannot learn from it."""
    state_dim = agent.time_step_spec.observation.shape[0]
    action_dim = agent.action_spec.shape[0]
    data = TransitionTensors(
        *(
            tf.convert_to_tensor(getattr(table, name), tf.float32, name=name)
            for name in TransitionTensors._fields
        )
    )
    count = data.states.shape[0]
    if not count:
        raise ValueError("there are no transitions to learn from")
    shapes = TransitionTensors(
        [count, state_dim], [count, action_dim], [count], [count, state_dim], [count]
    )
    for name, values, shape in zip(TransitionTensors._fields, data, shapes, strict=True):
        if list(values.shape) != shape:
            raise ValueError(f"{name} of the transitions should be {shape}, not {values.shape}")
        finite = tf.math.is_finite(values)
        if name == "next_states":
            # What follows a session's end is not used.
            finite |= data.discounts[:, tf.newaxis] == 0
        if not bool(tf.reduce_all(finite)):
            whole = tf.reduce_all(tf.reshape(finite, [count, -1]), axis=1)
            row = int(tf.argmin(tf.cast(whole, tf.int8)))
            raise ValueError(f"{name} of the transitions holds no number, first in row {row}")
    if float(tf.reduce_max(tf.abs(data.actions))) > 1.0 + _ROUNDING:
        raise ValueError(
            f"actions are in [-1, 1], but one of the transitions has "
            f"{float(tf.reduce_max(tf.abs(data.actions)))}"
        )
    zeros = tf.zeros_like(data.next_states)
    over = data.discounts[:, tf.newaxis] == 0
    return data._replace(next_states=tf.where(over, zeros, data.next_states))


def experience(data: Transitions, rows: tf.Tensor) -> trajectory.Trajectory:
    """Some transitions in the form that ``TFAgent.train`` takes.

    Args:
      data: The transitions, as tensors.
      rows: Which ones, int32 `[batch]`.

    Returns:
      Trajectories `[batch, 2]`.
    """
    actions, discounts = tf.gather(data.actions, rows), tf.gather(data.discounts, rows)
    rewards, zeros = tf.gather(data.rewards, rows), tf.zeros(tf.shape(rows), tf.float32)
    middle = tf.fill(tf.shape(rows), ts.StepType.MID)
    following = tf.where(discounts > 0, ts.StepType.MID, ts.StepType.LAST)
    return trajectory.Trajectory(
        step_type=tf.stack([middle, following], axis=1),
        observation=tf.stack(
            [tf.gather(data.states, rows), tf.gather(data.next_states, rows)], axis=1
        ),
        action=tf.stack([actions, actions], axis=1),
        policy_info=(),
        next_step_type=tf.stack([following, middle], axis=1),
        reward=tf.stack([rewards, zeros], axis=1),
        discount=tf.stack([discounts, zeros], axis=1),
    )


def training_loop(
    agent: Any, data: TransitionTensors, batch_size: int, seed: int
) -> Callable[[tf.Tensor], tf_agent.LossInfo]:
    """A function that makes as many steps as it is told, and gives the means of their losses."""
    size = data.states.shape[0]

    @tf.function(autograph=False)
    def step() -> tf_agent.LossInfo:
        # TF-Agents' TD3 and CQL sample without a seed of their own. In a function's graph this sets
        # the graph's seed, not the program's.
        tf.random.set_seed(seed)
        number = tf.cast(agent.train_step_counter, tf.int32)
        rows = tf.random.stateless_uniform(
            [batch_size], tf.stack([seed, number]), maxval=size, dtype=tf.int32
        )
        info = agent.train(experience(data, rows))
        return tf.nest.map_structure(lambda value: tf.cast(value, tf.float32), info)

    zeros = tf.nest.map_structure(
        lambda spec: np.zeros(spec.shape, np.float32),
        step.get_concrete_function().structured_outputs,
    )

    def accumulate(count: tf.Tensor, total: tf_agent.LossInfo) -> Any:
        return count + 1, tf.nest.map_structure(tf.add, total, step())

    @tf.function(autograph=False)
    def run(count: tf.Tensor) -> tf_agent.LossInfo:
        _, total = tf.while_loop(
            lambda done, _: done < count,
            accumulate,
            (tf.constant(0), tf.nest.map_structure(tf.constant, zeros)),
            parallel_iterations=1,
        )
        return tf.nest.map_structure(lambda value: value / tf.cast(count, tf.float32), total)

    return run


def _mean_q(agent: Any, states: tf.Tensor, actions: tf.Tensor) -> Callable[[tf.Tensor], Any]:
    """A function from a seed to the mean Q of the given and of the policy's own actions."""

    @tf.function(autograph=False)
    def mean_q(seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        own = agent.greedy_actions(states, seed)
        return (
            tf.reduce_mean(q_values(agent, states, actions)),
            tf.reduce_mean(q_values(agent, states, own)),
        )

    return mean_q


def _log(step: int, means: tf_agent.LossInfo, mean_q: tuple[tf.Tensor, tf.Tensor]) -> OfflineLog:
    extra = means.extra._asdict() if hasattr(means.extra, "_asdict") else {}
    losses = {name: float(value) for name, value in extra.items() if value is not None}
    log = OfflineLog(step, float(means.loss), losses, float(mean_q[0]), float(mean_q[1]))
    if not np.isfinite([log.loss, log.data_q, log.policy_q, *losses.values()]).all():
        raise TrainingDivergedError(
            _diverged(f"by step {step}, loss {log.loss}, mean Q {log.policy_q}")
        )
    return log


def _diverged(how: str) -> str:
    return f"training diverged {how}; lower the critics' learning rate, or scale rewards down"
