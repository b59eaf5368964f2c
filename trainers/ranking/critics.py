"""Training RMTL's critics on replayed sessions while the actor is frozen (section 3.2)."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from tf_agents.drivers import dynamic_step_driver
from tf_agents.replay_buffers import tf_uniform_replay_buffer

from mtfx.agents.rmtl import RmtlAgent
from mtfx.datasets.file_names import pattern_free
from mtfx.environments.sessions.replay import SessionReplayEnvironment
from mtfx.errors import TrainingDivergedError
from mtfx.files import read_json, write_atomically
from mtfx.trainers.ranking.config import CriticTrainingConfig

#: Told the step and the window's mean signed TD error after every window.
CriticHook = Callable[[int, float], None]
_STATE_FILE = "state.json"
#: A frame with a history takes four kilobytes, so that fewer of them are kept.
_MOST_REPLAY_BYTES = 2 << 30


@dataclasses.dataclass(frozen=True)
class CriticTrainingResult:
    """How training went.

    Attributes:
      converged: Whether the TD error fell below the tolerance before the last pass.
      steps: Steps taken, over all resumptions.
      windows: Last step of every window.
      td_error: Mean signed TD error (13) of every window.
      critic_loss: Mean squared TD error, halved, of every window.
      q: Mean action value of every window.
    """

    converged: bool = False
    steps: int = 0
    windows: tuple[int, ...] = ()
    td_error: tuple[float, ...] = ()
    critic_loss: tuple[float, ...] = ()
    q: tuple[float, ...] = ()


def train_critics(
    agent: RmtlAgent,
    environment: SessionReplayEnvironment,
    num_impressions: int,
    config: CriticTrainingConfig,
    checkpoint_dir: str,
    on_window_end: CriticHook | None = None,
) -> CriticTrainingResult:
    """Trains until the TD error is small, or the last pass.

    Fills TF-Agents' replay buffer with the transitions of Algorithm 1, then samples batches from
    it. A run that was killed goes on after its last complete window when called again with the same
    ``checkpoint_dir``; the buffer is then collected anew, the same if the actor is frozen.

    Args:
      agent: Initialised; its actor is updated too if its configuration says so.
      environment: Of the training sessions.
      num_impressions: Impressions in the environment's sessions.
      config: Settings.
      checkpoint_dir: Made if missing.
      on_window_end: Called after each window.

    Raises:
      TrainingDivergedError: if the loss is not finite.
    """
    trainer = _CriticTrainer(agent, environment, num_impressions, config, checkpoint_dir)
    return trainer.run(on_window_end)


class _CriticTrainer:
    """A replay buffer, the driver that fills it, and the loop that samples from it."""

    def __init__(
        self,
        agent: RmtlAgent,
        environment: SessionReplayEnvironment,
        num_impressions: int,
        config: CriticTrainingConfig,
        checkpoint_dir: str,
    ) -> None:
        self._agent, self._config, self._directory = agent, config, checkpoint_dir
        lanes = environment.batch_size
        sessions = environment.num_sessions
        size = sum(
            spec.dtype.size * math.prod(spec.shape)
            for spec in tf.nest.flatten(agent.collect_data_spec)
        )
        room = max(lanes * 2, _MOST_REPLAY_BYTES // size)
        frames = min(config.replay_capacity, room, num_impressions + sessions)
        buffer = tf_uniform_replay_buffer.TFUniformReplayBuffer(
            agent.collect_data_spec, batch_size=lanes, max_length=max(2, math.ceil(frames / lanes))
        )
        share = min(1.0, frames / (num_impressions + sessions))
        self._fill = self._driver(environment, buffer, math.ceil(share * num_impressions))
        # With a buffer smaller than the log, as many transitions come in as are sampled.
        per_window = config.window * config.batch_size
        changes = share < 1.0 or agent.config.actor_update != "none"
        self._refill = self._driver(environment, buffer, per_window) if changes else None
        data = buffer.as_dataset(
            sample_batch_size=config.batch_size, num_steps=2, num_parallel_calls=2
        )
        self._samples = iter(data.prefetch(2))
        self._steps_per_pass = max(1, math.ceil(num_impressions / config.batch_size))
        objects: dict[str, Any] = {
            "critics": agent.critics,
            "target_critics": agent.target_critics,
            "critic_optimizer": agent.critic_optimizer,
            "step": agent.train_step_counter,
        }
        if agent.config.actor_update != "none":
            objects |= {"actor": agent.actor, "target_actor": agent.target_actor}
            objects["actor_optimizer"] = agent.actor_optimizer
        self._checkpoint = tf.train.Checkpoint(**objects)
        self._manager = tf.train.CheckpointManager(
            self._checkpoint, os.path.join(pattern_free(checkpoint_dir), "critics"), max_to_keep=2
        )

    def _driver(
        self,
        environment: SessionReplayEnvironment,
        buffer: tf_uniform_replay_buffer.TFUniformReplayBuffer,
        num_steps: int,
    ) -> Callable[[], Any]:
        driver = dynamic_step_driver.DynamicStepDriver(
            environment, self._agent.collect_policy, [buffer.add_batch], num_steps=num_steps
        )
        return tf.function(lambda: driver.run(), autograph=False)

    def run(self, on_window_end: CriticHook | None) -> CriticTrainingResult:
        """Trains; see :func:`train_critics`."""
        result = self._restore()
        last = self._config.passes * self._steps_per_pass
        if result.converged or result.steps >= last:
            return result
        self._fill()
        while result.steps < last and not result.converged:
            count = min(self._config.window, last - result.steps)
            loss, error, q = (float(value) for value in self._train(tf.constant(count)))
            if not math.isfinite(loss):
                raise TrainingDivergedError(
                    f"the critics' loss is {loss} at step {result.steps + count}; lower the "
                    f"critics' learning rate (now {self._agent.config.critic_learning_rate:g})"
                )
            steps = result.steps + count
            enough = steps >= self._config.min_passes * self._steps_per_pass
            result = CriticTrainingResult(
                converged=enough and abs(error) < self._config.tolerance,
                steps=steps,
                windows=(*result.windows, steps),
                td_error=(*result.td_error, error),
                critic_loss=(*result.critic_loss, loss),
                q=(*result.q, q),
            )
            self._save(result)
            if on_window_end is not None:
                on_window_end(steps, error)
            if self._refill is not None:
                self._refill()
        if not result.converged:
            logging.getLogger(__name__).warning(
                "the critics' mean TD error is %.4f after %d steps, not within ±%g: training goes "
                "on with them as they are; more passes may help",
                result.td_error[-1],
                result.steps,
                self._config.tolerance,
            )
        return result

    @tf.function
    def _train(self, count: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Takes ``count`` steps; mean loss, signed TD error and Q."""
        totals = tf.zeros([3])
        # AutoGraph is for this loop; it need not rewrite the agent.
        train = tf.autograph.experimental.do_not_convert(self._agent.train)
        for _ in tf.range(count):
            experience, _ = next(self._samples)
            info = train(experience).extra
            totals += tf.stack([info.critic_loss, info.td_error, info.q])
        return tf.unstack(totals / tf.cast(count, tf.float32))

    def _save(self, result: CriticTrainingResult) -> None:
        path = self._manager.save(checkpoint_number=result.steps)
        content = {"checkpoint": os.path.basename(path), "result": dataclasses.asdict(result)}
        state = os.path.join(self._directory, _STATE_FILE)
        write_atomically(state, json.dumps(content))

    def _restore(self) -> CriticTrainingResult:
        state = os.path.join(self._directory, _STATE_FILE)
        if not tf.io.gfile.exists(state):
            return CriticTrainingResult()
        content = read_json(state)
        path = os.path.join(self._directory, "critics", content["checkpoint"])
        self._checkpoint.restore(path).assert_existing_objects_matched()
        values = content["result"]
        curves = ("windows", "td_error", "critic_loss", "q")
        return CriticTrainingResult(
            values["converged"], values["steps"], *(tuple(values[name]) for name in curves)
        )


def discounted_returns(rewards: np.ndarray, lengths: np.ndarray, gamma: float) -> np.ndarray:
    """What Q estimates: every step's reward and, discounted, those to the end of its session.

    Args:
      rewards: `[impressions, task]`, sessions one after the other.
      lengths: `[sessions]`.
      gamma: Discount.

    Returns:
      float64 `[impressions, task]`.
    """
    returns = np.asarray(rewards, np.float64).copy()
    is_last = np.zeros(len(returns), bool)
    is_last[np.cumsum(lengths) - 1] = True
    # From the last step of the longest session backwards, all sessions at once.
    position = np.arange(len(returns)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    for step in range(int(np.max(lengths)) - 2, -1, -1):
        rows = np.flatnonzero((position == step) & ~is_last)
        returns[rows] += gamma * returns[rows + 1]
    return returns
