"""Simulated figures of a policy: its final ones, and the sessions of a training's curve.

The final ones are of users that no policy learns from, a curve is of those that it learns from, to
be compared with what it expects of them (``mtfx.environments.simulator.user_groups``). The sessions
of a seed are distinguished by its second number, so that no two purposes share them.
"""

from __future__ import annotations

import numpy as np

from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.runner import SessionRunner
from mtfx.environments.simulator.user_groups import drawn_users, user_groups
from mtfx.environments.simulator.value import figures_of

#: Second number of the seeds of users and sessions; no log and no training has it.
_EVALUATION_SEED, _CURVE_SEED = 21, 11


def measured_figures(
    runner: SessionRunner, seed: int, sessions: int, gamma: float
) -> dict[str, float]:
    """The truth: means over simulated sessions, the same ones for all policies of a seed.

    No log, training or search has met the users of these sessions.

    Args:
      runner: Of the policy, in a simulator with the reward that counts, whatever was learnt from.
      seed: Says which sessions.
      sessions: How many.
      gamma: Discount per request.
    """
    groups, seeds = user_groups(runner.simulator.world.user_ids), (seed, _EVALUATION_SEED)
    users = drawn_users(groups.evaluation, sessions, np.random.default_rng(seeds))
    figures = figures_of(runner, users, seeds, gamma)
    return {
        "true_return": float(figures.discounted_return.mean()),
        "watch_s": float(figures.watch_s.mean()),
        # Of all plays together, as UPIRate is.
        "positive_rate": float((figures.positive_rate * figures.views).sum() / figures.views.sum()),
        "views": float(figures.views.mean()),
    }


def curve_sessions(
    simulator: Simulator, seed: int, sessions: int
) -> tuple[np.ndarray, tuple[int, int]]:
    """Users, and the seed of their sessions: the same at every point of a training's curve."""
    seeds = (seed, _CURVE_SEED)
    learnt = user_groups(simulator.world.user_ids).training
    return drawn_users(learnt, sessions, np.random.default_rng(seeds)), seeds
