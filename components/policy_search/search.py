"""Policies that are searched for in the simulator: Bayesian optimisation, evolution, CEM."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from mtfx.agents.search.base import Progress, SearchResult
from mtfx.agents.search.policies import (
    ConstantVectorPolicy,
    NetworkPolicy,
    NetworkShape,
    VectorPolicy,
)
from mtfx.agents.search.registry import SEARCHES
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.fresh_sessions import DrawnSessions, FreshSessions
from mtfx.environments.simulator.runner import SessionRunner
from mtfx.environments.simulator.value import figures_of
from mtfx.models.fusion.base import FusionFunction

#: Second numbers of the seeds: sessions that points are tried on, and those that none may see.
_SEARCHED, _HELD_OUT = 0, 1


@dataclasses.dataclass(frozen=True)
class PolicySearchConfig:
    """How a policy is searched for.

    Attributes:
      method: Key of ``mtfx.agents.search.registry.SEARCHES``.
      sessions: Simulated sessions whose mean return is a point's value. Ours: the standard error
        of a mean return is then a few percent of it.
      gamma: Discount of the return; BatchRL-MTF's.
      settings: Overrides of the search's settings.
      seed: Of the search and of the sessions: the same ones for points that are compared with one
        another, others for the next comparison.
    """

    method: str
    sessions: int = 500
    gamma: float = 0.95
    settings: tuple[tuple[str, Any], ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        SEARCHES[self.method]
        if self.sessions < 1:
            raise ValueError(f"sessions must be at least 1, got {self.sessions}")
        if not 0 <= self.gamma <= 1:
            raise ValueError(f"gamma must lie in [0, 1], got {self.gamma}")


class HeldOut(NamedTuple):
    """What a policy earns in sessions that no point of its search was tried on.

    Attributes:
      value: Mean return.
      standard_error: Of the mean.
    """

    value: float
    standard_error: float


class FoundPolicy(NamedTuple):
    """What a search gave.

    Attributes:
      policy: The policy found.
      result: The course of the search, whose ``value`` chose the policy and so flatters it; None
        where nothing was searched.
      held_out: What it is worth.
    """

    policy: VectorPolicy
    result: SearchResult | None
    held_out: HeldOut


def search_policy(
    simulator: Simulator,
    fusion: FusionFunction,
    config: PolicySearchConfig,
    progress: Progress | None = None,
) -> FoundPolicy:
    """Searches for the policy whose simulated sessions have the highest mean return.

    Args:
      simulator: Where points are tried.
      fusion: Scores candidates by the policy's weights.
      config: The search.
      progress: Told of every call of the objective.

    Raises:
      ValueError: if a setting is unknown or out of its range.
    """
    method = SEARCHES[config.method]
    policy: VectorPolicy
    if method.personalised:
        policy = NetworkPolicy(NetworkShape(simulator.state_dim, fusion.action_dim))
    else:
        policy = ConstantVectorPolicy(fusion.action_dim)
    returns = _Returns(simulator, fusion, policy, config)
    result = None
    if method.target:
        settings = method.config.from_dict(dict(config.settings))
        fresh = returns.fresh(_SEARCHED)
        compared = settings.compared

        def objective(points: np.ndarray) -> np.ndarray:
            values: list[float] = []
            for first in range(0, len(points), compared):
                sessions = fresh.draw()
                for point in points[first : first + compared]:
                    policy.assign(point)
                    values.append(float(returns(sessions).mean()))
            return np.asarray(values)

        result = method.load()(objective, policy.size, settings, config.seed, progress)
        policy.assign(result.best)
    found = returns(returns.fresh(_HELD_OUT).draw())
    error = float(found.std(ddof=1) / np.sqrt(len(found))) if len(found) > 1 else float("nan")
    return FoundPolicy(policy, result, HeldOut(float(found.mean()), error))


class _Returns:
    """Discounted returns of a policy, as it is now, in given sessions."""

    def __init__(
        self,
        simulator: Simulator,
        fusion: FusionFunction,
        policy: VectorPolicy,
        config: PolicySearchConfig,
    ) -> None:
        # The runner drops sessions that have ended, so that members cannot share a batch.
        self._runner = SessionRunner(simulator, fusion, policy)
        self._config = config

    def fresh(self, purpose: int) -> FreshSessions:
        users = self._runner.simulator.world.num_users
        return FreshSessions(users, self._config.sessions, (self._config.seed, purpose))

    def __call__(self, sessions: DrawnSessions) -> np.ndarray:
        figures = figures_of(self._runner, sessions.users, sessions.seed, self._config.gamma)
        return figures.discounted_return
