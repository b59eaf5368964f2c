"""Policies that are searched for in the simulator: Bayesian optimisation, evolution, CEM."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from agents.search.base import Progress, SearchResult
from agents.search.policies import (
    ConstantVectorPolicy,
    NetworkPolicy,
    NetworkShape,
    PopulationObjective,
    VectorPolicy,
)
from agents.search.registry import search_config, search_entry
from environments.simulator.dynamics import Simulator
from environments.simulator.runner import SessionRunner
from environments.simulator.value import figures_of
from models.fusion.base import FusionFunction

#: No personalisation and no search: equal weights for all predictions.
CONSTANT = "constant"


@dataclasses.dataclass(frozen=True)
class SearchMethod:
    """A method that searches.

    Attributes:
      search: Key of ``agents.search.registry``; empty searches nothing.
      personalised: Whether the parameters are those of a network from the state to the weights,
        or the weights themselves, the same for everybody.
      defaults: Settings that differ from the search's own.
      summary: One line for ``--help``.
    """

    search: str
    personalised: bool
    defaults: dict[str, Any]
    summary: str


#: BatchRL-MTF's baselines BO and ES (section 4.4.1), xMTF's CEM, and none at all.
SEARCH_METHODS: dict[str, SearchMethod] = {
    CONSTANT: SearchMethod("", False, {}, "equal weights for everybody"),
    "bo": SearchMethod("bayesian", False, {}, "Bayesian optimisation of one set of weights"),
    "es": SearchMethod("evolution", True, {}, "a small network found by evolution strategy"),
    "cem": SearchMethod("cem", False, {}, "cross-entropy method on one set of weights"),
}


@dataclasses.dataclass(frozen=True)
class PolicySearchConfig:
    """How a policy is searched for.

    Attributes:
      method: Key of ``SEARCH_METHODS``.
      sessions: Simulated sessions whose mean return is a point's value. Ours: the standard error
        of a mean return is then a few percent of it.
      gamma: Discount of the return; BatchRL-MTF's.
      settings: Overrides of the search's settings.
      seed: Of the sessions, which are the same for every point, and of the search.
    """

    method: str
    sessions: int = 500
    gamma: float = 0.95
    settings: tuple[tuple[str, Any], ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in SEARCH_METHODS:
            raise ValueError(
                f"no search method {self.method!r}; there are: {', '.join(SEARCH_METHODS)}"
            )
        if self.sessions < 1:
            raise ValueError(f"sessions must be at least 1, got {self.sessions}")
        if not 0 <= self.gamma <= 1:
            raise ValueError(f"gamma must lie in [0, 1], got {self.gamma}")


def search_policy(
    simulator: Simulator,
    fusion: FusionFunction,
    config: PolicySearchConfig,
    progress: Progress | None = None,
) -> tuple[VectorPolicy, SearchResult | None]:
    """Searches for the policy whose simulated sessions have the highest mean return.

    Args:
      simulator: Where points are tried.
      fusion: Scores candidates by the policy's weights.
      config: The search.
      progress: Told of every call of the objective.

    Returns:
      The policy found, and the course of the search (None where nothing was searched).

    Raises:
      ValueError: if a setting is unknown or out of its range.
    """
    method = SEARCH_METHODS[config.method]
    policy: VectorPolicy
    if method.personalised:
        policy = NetworkPolicy(NetworkShape(simulator.state_dim, fusion.action_dim))
    else:
        policy = ConstantVectorPolicy(fusion.action_dim)
    if not method.search:
        return policy, None
    entry = search_entry(method.search)
    settings = search_config(method.search, {**method.defaults, **dict(config.settings)})
    result = entry.maximise(
        PopulationObjective(policy, _mean_return(simulator, fusion, policy, config)),
        policy.size,
        settings,
        config.seed,
        progress,
    )
    policy.assign(result.best)
    return policy, result


def _mean_return(
    simulator: Simulator, fusion: FusionFunction, policy: VectorPolicy, config: PolicySearchConfig
) -> Callable[[VectorPolicy], np.ndarray]:
    # The runner drops sessions that have ended, so that members cannot share a batch.
    runner = SessionRunner(simulator, fusion, policy)
    rng = np.random.default_rng(config.seed)
    users = rng.integers(simulator.world.num_users, size=config.sessions)

    def evaluate(_: VectorPolicy) -> np.ndarray:
        figures = figures_of(runner, users, config.seed, config.gamma)
        return np.asarray([figures.discounted_return.mean()])

    return evaluate
