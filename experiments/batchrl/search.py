"""The searches of BatchRL-MTF's Table 1, BO and ES, on as many sessions as the agents' log has."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import numpy as np

from mtfx.agents.search.base import SearchConfig
from mtfx.agents.search.bayesian import BayesianConfig
from mtfx.agents.search.evolution import EvolutionConfig
from mtfx.agents.search.policies import (
    ConstantVectorPolicy,
    NetworkPolicy,
    NetworkShape,
    PopulationObjective,
    VectorPolicy,
)
from mtfx.agents.search.registry import SEARCHES
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.experiments.batchrl.population_returns import PopulationReturns, sessions_per_point
from mtfx.experiments.batchrl.trials import FusionTrial
from mtfx.models.fusion.base import FusionFunction

_FILE = "parameters.npy"
_RANDOM_POINTS = 16


@dataclasses.dataclass(frozen=True)
class _Search:
    name: str
    config: SearchConfig
    points: int

    @property
    def members(self) -> int:
        return self.config.compared


def search(
    trial: FusionTrial, simulator: Simulator, fusion: FusionFunction, budget: int, directory: str
) -> dict[str, Any]:
    """Searches, and keeps what it found.

    Args:
      trial: Of policy ``bo`` or ``es``.
      simulator: Where points are tried.
      fusion: Scores candidates by the policy's weights.
      budget: Simulated sessions that the points share out.
      directory: For the parameters.

    Returns:
      ``curves`` of the search, and ``notes``.
    """
    chosen = _search(trial)
    policy = _policy(trial, simulator, fusion, chosen.members)
    sessions = sessions_per_point(budget, chosen.points)
    returns = PopulationReturns(
        simulator,
        fusion,
        policy,
        sessions,
        trial.setting("gamma"),
        (trial.seed, 0),
    )
    result = SEARCHES[chosen.name].load()(
        PopulationObjective(policy, returns), policy.size, chosen.config, trial.seed
    )
    np.save(os.path.join(directory, _FILE), result.best)
    return {
        "curves": {
            "points": [step.evaluations for step in result.history],
            "mean_return": [step.mean_value for step in result.history],
        },
        "notes": {
            "budget": budget,
            "points": chosen.points,
            "sessions_per_point": sessions,
            "parameters": policy.size,
        },
    }


def load_found(
    trial: FusionTrial, simulator: Simulator, fusion: FusionFunction, directory: str
) -> VectorPolicy:
    """The policy that :func:`search` found."""
    policy = _policy(trial, simulator, fusion, 1)
    policy.assign(np.load(os.path.join(directory, _FILE)))
    return policy


def _search(trial: FusionTrial) -> _Search:
    if trial.policy.learner == "bo":
        rounds = -(-(trial.setting("bo_points") - _RANDOM_POINTS) // BayesianConfig.batch)
        config = BayesianConfig(initial_points=_RANDOM_POINTS, rounds=rounds)
        # All points of a call cost the same, so a call of the random ones sets the size.
        return _Search("bo", config, config.evaluations)
    config = EvolutionConfig(
        population=trial.setting("es_population"), generations=trial.setting("es_generations")
    )
    return _Search("es", config, config.evaluations)


def _policy(
    trial: FusionTrial, simulator: Simulator, fusion: FusionFunction, members: int
) -> VectorPolicy:
    if trial.policy.learner == "bo":
        return ConstantVectorPolicy(fusion.action_dim, members)
    return NetworkPolicy(NetworkShape(simulator.state_dim, fusion.action_dim), members)
