"""The search for a fusion policy in the simulator: Bayesian optimisation, evolution, CEM."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from mtfx.agents.search.base import Progress, SearchResult
from mtfx.agents.search.policies import (
    ConstantVectorPolicy,
    NetworkPolicy,
    NetworkShape,
    PopulationObjective,
    VectorPolicy,
)
from mtfx.agents.search.registry import SEARCHES
from mtfx.components.policy_search.returns import PopulationReturns
from mtfx.config import Config
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.user_groups import user_groups
from mtfx.models.fusion.base import FusionFunction

#: Second numbers of the seeds: sessions that points are tried on, those that none may see, which
#: are of users that no policy learns from, and those that choose among the best points.
_SEARCHED, _HELD_OUT, _CHOSEN = 0, 1, 2


@dataclasses.dataclass(frozen=True)
class PolicySearchConfig(Config):
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
    """What a policy earns in sessions that no point of its search was tried on, of other users.

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
      progress: Notified of every call of the objective.

    Raises:
      ValueError: if a setting is unknown or out of its range.
    """
    method = SEARCHES[config.method]
    policy = vector_policy(config.method, simulator, fusion)
    result = None
    if method.target:
        settings = method.config.from_dict(dict(config.settings))
        # Points that are compared with one another run side by side, on the same sessions.
        members = vector_policy(config.method, simulator, fusion, settings.compared)
        returns = _returns(simulator, fusion, members, config, _SEARCHED)
        objective = PopulationObjective(members, returns)
        result = method.load()(objective, members.size, settings, config.seed, progress)
        if result.finalists is not None:
            finalists = vector_policy(config.method, simulator, fusion, len(result.finalists))
            finalists.assign(result.finalists)
            # What looked best where it was tried was lucky there.
            values = _returns(simulator, fusion, finalists, config, _CHOSEN)(finalists)
            best = int(np.argmax(values))
            result = dataclasses.replace(
                result, best=result.finalists[best], value=float(values[best])
            )
        policy.assign(result.best)
    found = _returns(simulator, fusion, policy, config, _HELD_OUT).of_sessions(policy)[0]
    error = float(found.std(ddof=1) / np.sqrt(len(found))) if len(found) > 1 else float("nan")
    return FoundPolicy(policy, result, HeldOut(float(found.mean()), error))


def vector_policy(
    method: str, simulator: Simulator, fusion: FusionFunction, members: int = 1
) -> VectorPolicy:
    """The policy whose parameters a method searches for, all zeros yet.

    Args:
      method: Key of ``SEARCHES``.
      simulator: Gives the states.
      fusion: Takes the actions.
      members: How many are tried side by side.
    """
    if SEARCHES[method].personalised:
        return NetworkPolicy(NetworkShape(simulator.state_dim, fusion.action_dim), members)
    return ConstantVectorPolicy(fusion.action_dim, members)


def _returns(
    simulator: Simulator,
    fusion: FusionFunction,
    policy: VectorPolicy,
    config: PolicySearchConfig,
    purpose: int,
) -> PopulationReturns:
    seed = (config.seed, purpose)
    groups = user_groups(simulator.world.user_ids)
    users = groups.evaluation if purpose == _HELD_OUT else groups.training
    return PopulationReturns(simulator, fusion, policy, config.sessions, config.gamma, seed, users)
