"""The value of a policy: figures per session, from the simulator's truth."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from mtfx.datasets.rewards import positive_feedbacks
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.runner import Seed, SessionRunner
from mtfx.models.action_policy import ActionPolicy
from mtfx.models.fusion.base import FusionFunction


@dataclasses.dataclass(frozen=True)
class SessionFigures:
    """One number per session, in the order of the users given; float64 `[session]`.

    Attributes:
      discounted_return: Sum of gamma^t times the reward of request t.
      total_reward: Sum of rewards.
      watch_s: Seconds watched in all.
      positive_rate: Share of the views with a positive interaction (BatchRL-MTF's UPIRate).
      views: Number of requests.
    """

    discounted_return: np.ndarray
    total_reward: np.ndarray
    watch_s: np.ndarray
    positive_rate: np.ndarray
    views: np.ndarray


def session_figures(
    simulator: Simulator,
    fusion: FusionFunction,
    policy: ActionPolicy,
    users: np.ndarray,
    seed: Seed,
    gamma: float,
) -> SessionFigures:
    """Runs a session for each user.

    With the same users and seed, session i meets the same initial satisfaction, and at each request
    the same random numbers, under any policy: compare policies by the differences per session.

    Args:
      simulator: The simulator.
      fusion: Scores the candidates.
      policy: Chooses the actions.
      users: Index of each session's user, int `[session]`.
      seed: Of sessions and policy.
      gamma: Discount per request, in [0, 1].

    Returns:
      The figures.

    Raises:
      ValueError: if gamma is out of range, the users are unknown or none, or the policy or fusion
        function misbehaves.
    """
    return figures_of(SessionRunner(simulator, fusion, policy), users, seed, gamma)


def figures_of(
    runner: SessionRunner, users: np.ndarray, seed: Seed, gamma: float
) -> SessionFigures:
    """As :func:`session_figures`, with a runner that was traced before: for searches."""
    if not 0.0 <= gamma <= 1.0:
        raise ValueError(f"gamma must lie in [0, 1], got {gamma}")
    world = runner.simulator.world
    mask = tf.constant(
        positive_feedbacks(runner.simulator.config.reward, world.feedback_names), tf.float32
    )
    sums = {name: np.zeros(len(users)) for name in ("returns", "reward", "watch", "positive")}
    views = np.zeros(len(users))
    for sessions, step, request in runner.run(users, seed):
        outcome = request.outcome
        reward = outcome.reward.numpy()
        sums["returns"][sessions] += gamma**step * reward
        sums["reward"][sessions] += reward
        sums["watch"][sessions] += outcome.watch_s.numpy()
        sums["positive"][sessions] += tf.reduce_max(outcome.feedback * mask, axis=1).numpy()
        views[sessions] = step + 1
    return SessionFigures(
        discounted_return=sums["returns"],
        total_reward=sums["reward"],
        watch_s=sums["watch"],
        positive_rate=sums["positive"] / views,
        views=views,
    )
