"""Sessions of a simulator under a policy like the one that made the log."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from environments.simulator import draws
from environments.simulator.dynamics import Simulator
from environments.simulator.session import Candidates, SessionState
from evaluation.session_sample import SessionSample, sample_of_impressions

_SESSIONS_AT_ONCE = 4_096


@dataclasses.dataclass(frozen=True)
class LoggingPolicy:
    """Shows the best of a few random candidates, by a noisy prediction.

    Attributes:
      choices: How many candidates it looks at.
      noise: Standard deviation of the noise, where the predicted log odds have 1.
      prediction: Index of the prediction it goes by.
    """

    choices: int = 4
    noise: float = 1.0
    prediction: int = 0


def simulate_sessions(
    simulator: Simulator, sessions: int, seed: int, policy: LoggingPolicy | None = None
) -> SessionSample:
    """Runs sessions of users drawn at random.

    Args:
      simulator: The simulator.
      sessions: How many.
      seed: Of everything random.
      policy: How items are chosen; the default when None.

    Returns:
      The sessions, none longer than the simulator's view cap.
    """
    policy = LoggingPolicy() if policy is None else policy
    rng = np.random.default_rng(seed)
    users = rng.integers(0, simulator.world.num_users, sessions).astype(np.int32)
    seeds = draws.session_seeds(tf.constant([seed, 1], tf.int32), sessions)
    mean, sd = _scale(simulator, policy.prediction)

    @tf.function(reduce_retracing=True)
    def step(session: SessionState, step_seed: tf.Tensor):
        candidates = simulator.candidates(session)
        chosen = _choose(candidates, policy, mean, sd, step_seed)
        return simulator.step(session, chosen)

    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for first in range(0, sessions, _SESSIONS_AT_ONCE):
        rows = slice(first, first + _SESSIONS_AT_ONCE)
        session = simulator.reset(tf.constant(users[rows]), seeds[rows])
        going = np.ones(int(session.users.shape[0]), bool)
        number = 0
        while going.any():
            session, outcome = step(session, tf.constant([seed + first, number], tf.int32))
            kept = np.flatnonzero(going)
            parts.append(
                (first + kept, outcome.feedback.numpy()[kept], outcome.watch_s.numpy()[kept])
            )
            going &= ~outcome.done.numpy()
            number += 1
    session_of, feedback, watch_s = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.argsort(session_of, kind="stable")
    return sample_of_impressions(
        simulator.world.feedback_names, session_of[order], feedback[order], watch_s[order]
    )


def _choose(
    candidates: Candidates, policy: LoggingPolicy, mean: float, sd: float, seed: tf.Tensor
) -> tf.Tensor:
    """Column of the chosen candidate, int32 `[batch]`: candidates come in random order."""
    columns = min(policy.choices, int(candidates.predictions.shape[1]))
    believed = (_log_odds(candidates.predictions[:, :columns, policy.prediction]) - mean) / sd
    believed += policy.noise * tf.random.stateless_normal(tf.shape(believed), seed)
    believed = tf.where(candidates.mask[:, :columns], believed, believed.dtype.min)
    return tf.argmax(believed, axis=1, output_type=tf.int32)


def _scale(simulator: Simulator, prediction: int) -> tuple[float, float]:
    odds = _log_odds(tf.constant(simulator.world.predictions[..., prediction])).numpy()
    return float(odds.mean()), max(float(odds.std()), 1e-6)


def _log_odds(probability: tf.Tensor) -> tf.Tensor:
    inside = tf.clip_by_value(probability, 1e-6, 1 - 1e-6)
    return tf.math.log(inside) - tf.math.log1p(-inside)
