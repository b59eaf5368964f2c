"""Training an agent on transitions held in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from tf_agents.agents import tf_agent

from mtfx.agents.building import q_values
from mtfx.agents.transition_tensors import (
    CandidateTensors,
    Transitions,
    TransitionTensors,
    candidate_tensors,
    experience,
    transition_tensors,
)
from mtfx.datasets.file_names import pattern_free
from mtfx.errors import TrainingDivergedError

#: States on which the mean Q of a log line is measured.
_Q_SAMPLE = 1024


@dataclasses.dataclass(frozen=True)
class OfflineLog:
    """What training reports at intervals.

    Attributes:
      step: Steps of this training so far.
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
    made_before: int = 0,
) -> list[OfflineLog]:
    """Trains until the agent has made ``steps`` steps, besides those before this training.

    Minibatches are drawn uniformly with replacement; which ones is a function of the seed and the
    step's number, which counts the steps before this training too. ``log_every`` steps run in one
    call of TensorFlow.

    Args:
      agent: One of ``mtfx.agents.building.build_agent``.
      table: The transitions.
      steps: Training steps, those of a killed run of this training included.
      batch_size: Transitions per step.
      seed: Of the minibatches.
      log_every: Steps between logs.
      on_log: Called with every log.
      checkpoint_dir: Where the agent is saved and, if it was, resumed; None saves nothing.
      checkpoint_every: Steps between checkpoints, rounded up to logs; the last step saves one too.
      made_before: Steps of earlier trainings, from whose end this one goes on (warm start).

    Returns:
      All logs of this call.

    Raises:
      ValueError: if the table is empty, its shapes differ or are not the agent's, a number is not
        finite or an action out of bounds; if the agent has not made the steps before.
      TrainingDivergedError: if a loss is not finite.
    """
    data = transition_tensors(agent, table)
    candidates = candidate_tensors(agent, table)
    manager = None
    if checkpoint_dir is not None:
        checkpoint = tf.train.Checkpoint(agent=agent)
        manager = tf.train.CheckpointManager(
            checkpoint, pattern_free(checkpoint_dir), max_to_keep=1
        )
        if manager.latest_checkpoint is not None:
            # Optimizers make their variables in the first step, and get their values then.
            status = checkpoint.restore(manager.latest_checkpoint)
            status.assert_existing_objects_matched()
    run = training_loop(agent, data, batch_size, seed, candidates)
    sample = tf.random.stateless_uniform(
        [min(_Q_SAMPLE, data.states.shape[0])],
        [seed, -1],
        maxval=data.states.shape[0],
        dtype=tf.int32,
    )
    mean_q = _mean_q(agent, tf.gather(data.states, sample), tf.gather(data.actions, sample))
    logs: list[OfflineLog] = []
    done = int(agent.train_step_counter) - made_before
    if done < 0:
        raise ValueError(
            f"the agent has made {done + made_before} steps, not the {made_before} before this "
            "training"
        )
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


def training_loop(
    agent: Any,
    data: TransitionTensors,
    batch_size: int,
    seed: int,
    candidates: CandidateTensors | None = None,
    size: tf.Variable | None = None,
) -> Callable[[tf.Tensor], tf_agent.LossInfo]:
    """A function that makes as many steps as it is told, and gives the means of their losses.

    Args:
      agent: One of ``mtfx.agents.building.build_agent``.
      data: The transitions; variables where they change.
      batch_size: Transitions per step.
      seed: Of the minibatches.
      candidates: For an agent that learns from them.
      size: How many of the transitions there are yet, int32; all when None.

    Returns:
      A function of the number of steps, int32.
    """
    count = data.states.shape[0] if size is None else size

    @tf.function(autograph=False)
    def step() -> tf_agent.LossInfo:
        # TF-Agents' TD3 and CQL sample without a seed of their own. In a function's graph this sets
        # the graph's seed, not the program's.
        tf.random.set_seed(seed)
        number = tf.cast(agent.train_step_counter, tf.int32)
        rows = tf.random.stateless_uniform(
            [batch_size], tf.stack([seed, number]), maxval=count, dtype=tf.int32
        )
        info = agent.train(experience(data, rows, candidates))
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
