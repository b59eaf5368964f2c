"""The logged return of the policy that made a log, and whether it says anything of any policy."""

from __future__ import annotations

import math

import numpy as np

from mtfx.evaluation.ope.base import Estimate
from mtfx.evaluation.ope.bootstrap import mean_interval
from mtfx.evaluation.ope.config import BootstrapConfig
from mtfx.evaluation.ope.data import OfflineData


def logged_return(data: OfflineData, config: BootstrapConfig, gamma: float, seed: int) -> Estimate:
    """What the logging policy earned: the mean of the sessions' discounted rewards, by no model.

    Diagnostics: ``transitions``, ``lowest_reward`` and ``highest_reward``.

    Args:
      data: The held-out sessions.
      config: Of the interval.
      gamma: Discount in [0, 1].
      seed: Of the resamples.
    """
    rewards = data.rewards.numpy().astype(np.float64)
    returns = np.bincount(data.session.numpy(), weights=rewards * gamma ** data.step.numpy())
    low, high = mean_interval(returns, config, seed)
    about = {
        "transitions": data.num_transitions,
        "lowest_reward": float(rewards.min()),
        "highest_reward": float(rewards.max()),
    }
    return Estimate(float(returns.mean()), low, high, data.num_sessions, about)


def lack_of_evidence(logged: Estimate) -> str | None:
    """Why a log can judge no policy at all, in one sentence; None if it can.

    Args:
      logged: Of :func:`logged_return`.
    """
    about = logged.diagnostics
    lowest, highest = about["lowest_reward"], about["highest_reward"]
    if logged.num_sessions < 2:
        return (
            f"the held-out interactions are {logged.num_sessions} session, and an interval needs "
            "two at least: bring more data"
        )
    if not is_finite(logged):
        return "what the log earned is not finite: its rewards are no evidence"
    if not highest - lowest > 1e-6 * max(abs(lowest), abs(highest)):
        return (
            f"all {about['transitions']:,} rewards of the {logged.num_sessions:,} held-out "
            f"sessions are {highest:.4g}, which tells no policy from another (was the feedback "
            "joined to its requests?)"
        )
    return None


def is_finite(estimate: Estimate) -> bool:
    """Whether value and interval are numbers."""
    return all(math.isfinite(x) for x in (estimate.value, estimate.low, estimate.high))
