"""Sessions in full: every request, what was offered, chosen and answered."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.requests import Request
from mtfx.environments.simulator.runner import Seed, SessionRunner
from mtfx.models.action_policy import ActionPolicy
from mtfx.models.fusion.base import FusionFunction


@dataclasses.dataclass(frozen=True)
class Interactions:
    """Requests, ordered by session and step; the fields of a transition record.

    Attributes:
      state: float32 `[n, S]`.
      next_state: State at the session's next request; after the last one it repeats ``state`` and
        means nothing, as the discount is 0. float32 `[n, S]`.
      predictions: Of the candidates, 0 where there is none, float32 `[n, C, K]`.
      candidate_count: Candidates that are real; they come first. int64 `[n]`.
      chosen: Index of the shown one among the candidates, int64 `[n]`.
      action: float32 `[n, A]`.
      log_density: Of the action, NaN if unknown, float32 `[n]`.
      feedback: 0 or 1, float32 `[n, F]`.
      watch_s: Seconds, float32 `[n]`.
      duration_s: Seconds, float32 `[n]`.
      reward: float32 `[n]`.
      discount: 0 at the session's last request, else 1, float32 `[n]`.
      session: Index of the session among the users given, int64 `[n]`.
      step: Number of the request in its session, from 0, int64 `[n]`.
      user: Index of the user, int64 `[n]`.
      item_id: What was shown, `[n]`.
    """

    state: np.ndarray
    next_state: np.ndarray
    predictions: np.ndarray
    candidate_count: np.ndarray
    chosen: np.ndarray
    action: np.ndarray
    log_density: np.ndarray
    feedback: np.ndarray
    watch_s: np.ndarray
    duration_s: np.ndarray
    reward: np.ndarray
    discount: np.ndarray
    session: np.ndarray
    step: np.ndarray
    user: np.ndarray
    item_id: np.ndarray

    @property
    def num_requests(self) -> int:
        """n, number of requests."""
        return len(self.reward)


def rollout(
    simulator: Simulator,
    fusion: FusionFunction,
    policy: ActionPolicy,
    users: np.ndarray,
    seed: Seed,
    max_requests: int | None = None,
) -> Interactions:
    """Runs a session for each user and records every request.

    Memory grows with requests times candidates times predictions: 100,000 requests of 100
    candidates with 6 predictions take 240 MB.

    Args:
      simulator: The simulator.
      fusion: Scores the candidates.
      policy: Chooses the actions.
      users: Index of each session's user, int `[session]`; a user may come more than once.
      seed: Of sessions and policy.
      max_requests: Keeps the first sessions that together make no more than so many; whole
        sessions only.

    Returns:
      The requests of the sessions kept.

    Raises:
      ValueError: if the users are unknown or none, the policy or fusion function misbehaves, or
        the first session alone is longer than ``max_requests``.
    """
    return rollout_of(SessionRunner(simulator, fusion, policy), users, seed, max_requests)


def rollout_of(
    runner: SessionRunner, users: np.ndarray, seed: Seed, max_requests: int | None = None
) -> Interactions:
    """As :func:`rollout`, with a runner that was traced before."""
    if max_requests is not None and max_requests < 1:
        raise ValueError(f"max_requests must be at least 1, got {max_requests}")
    users = np.asarray(users)
    parts: list[dict[str, np.ndarray]] = []
    requests = 0
    for sessions, step, request in runner.run(users, seed):
        # At step 0 of a batch of sessions, those before it are complete.
        if step == 0 and max_requests is not None and requests >= max_requests:
            break
        parts.append(_columns(request, sessions, step, users[sessions]))
        requests += len(sessions)
    return _finish(runner.simulator, parts, max_requests)


def _columns(
    request: Request, sessions: np.ndarray, step: int, users: np.ndarray
) -> dict[str, np.ndarray]:
    outcome, candidates = request.outcome, request.candidates
    shown = tf.gather(candidates.slots, request.chosen, batch_dims=1)
    tensors = {
        "state": request.state,
        "predictions": candidates.predictions,
        "candidate_count": tf.math.count_nonzero(candidates.mask, axis=1),
        "chosen": tf.cast(request.chosen, tf.int64),
        "action": request.sample.action,
        "log_density": request.sample.log_density,
        "feedback": outcome.feedback,
        "watch_s": outcome.watch_s,
        "duration_s": outcome.duration_s,
        "reward": outcome.reward,
        "discount": 1.0 - tf.cast(outcome.done, tf.float32),
        "slot": shown,
    }
    return {name: tensor.numpy() for name, tensor in tensors.items()} | {
        "session": sessions.astype(np.int64),
        "step": np.full(len(sessions), step, np.int64),
        "user": users.astype(np.int64),
    }


def _finish(
    simulator: Simulator, parts: list[dict[str, np.ndarray]], max_requests: int | None
) -> Interactions:
    """Puts the requests in order and cuts them to whole sessions."""
    session = np.concatenate([part["session"] for part in parts])
    step = np.concatenate([part["step"] for part in parts])
    order = np.lexsort((step, session))
    if max_requests is not None:
        ends = np.cumsum(np.bincount(session))
        kept = int(np.searchsorted(ends, max_requests, side="right"))
        if not kept:
            raise ValueError(
                f"the first session makes {ends[0]} requests, more than max_requests = "
                f"{max_requests}"
            )
        order = order[: ends[kept - 1]]
    columns = {}
    for name in list(parts[0]):
        # Popped, so that the largest columns are not held twice.
        columns[name] = np.concatenate([part.pop(name) for part in parts])[order]
    slot = columns.pop("slot")
    following = columns["state"].copy()
    going = np.flatnonzero(columns["discount"])
    following[going] = columns["state"][going + 1]
    return Interactions(
        next_state=following,
        item_id=simulator.world.item_ids[columns["user"], slot],
        **columns,
    )
