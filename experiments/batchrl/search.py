"""Searches of BatchRL-MTF's Table 1, BO and ES, on as many sessions as the agents' log has."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from mtfx.agents.search.bayesian import BayesianConfig
from mtfx.agents.search.evolution import EvolutionConfig
from mtfx.agents.search.policies import VectorPolicy
from mtfx.components.policy_search.returns import sessions_per_point
from mtfx.components.policy_search.search import PolicySearchConfig, search_policy, vector_policy
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.experiments.batchrl.trial import RANDOM_POINTS, FusionTrial
from mtfx.models.fusion.base import FusionFunction

_FILE = "parameters.npy"


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
    settings = _settings(trial)
    points = settings.evaluations
    config = PolicySearchConfig(
        method=trial.policy.learner,
        sessions=sessions_per_point(budget, points),
        gamma=trial.config.gamma,
        settings=tuple(vars(settings).items()),
        seed=trial.seed,
    )
    policy, result, _ = search_policy(simulator, fusion, config)
    assert result is not None
    np.save(os.path.join(directory, _FILE), result.best)
    return {
        "curves": {
            "points": [step.evaluations for step in result.history],
            "mean_return": [step.mean_value for step in result.history],
        },
        "notes": {
            "budget": budget,
            "points": points,
            "sessions_per_point": config.sessions,
            "parameters": policy.size,
        },
    }


def load_found(
    trial: FusionTrial, simulator: Simulator, fusion: FusionFunction, directory: str
) -> VectorPolicy:
    """The policy that :func:`search` found."""
    policy = vector_policy(trial.policy.learner, simulator, fusion)
    policy.assign(np.load(os.path.join(directory, _FILE)))
    return policy


def _settings(trial: FusionTrial) -> BayesianConfig | EvolutionConfig:
    if trial.policy.learner == "bo":
        rounds = -(-(trial.config.bo_points - RANDOM_POINTS) // BayesianConfig.batch)
        return BayesianConfig(initial_points=RANDOM_POINTS, rounds=rounds)
    return EvolutionConfig(
        population=trial.config.es_population, generations=trial.config.es_generations
    )
