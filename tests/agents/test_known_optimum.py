"""All agents find a known optimum from good data; from narrow data only the careful ones survive.

The problem has two steps, so that the best first action is not the one with the highest reward.
"""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from mtfx.agents.building import build_agent
from mtfx.agents.config import BcqConfig, CqlSacConfig, Td3Config, UwacTd3Config
from mtfx.agents.offline_training import train_offline
from mtfx.agents.registry import AGENTS
from tests.agents import known_optimum

#: Those whose actions are judged alone; the problem has no candidates to learn from.
WITHOUT_CANDIDATES = [name for name, entry in AGENTS.items() if not entry.needs_candidates]
STEPS = 3000
SHARED = {"hidden_units": (32, 32), "gamma": known_optimum.GAMMA, "batch_size": 128}
#: A hundredth of the default steps, so the papers' small rates are raised to TD3's.
CONFIGS = {
    "bcq": BcqConfig(**SHARED, perturbation_learning_rate=1e-3, critic_learning_rate=1e-3),
    "td3": Td3Config(**SHARED),
    "uwac_td3": UwacTd3Config(**SHARED),
    "cql_sac": CqlSacConfig(
        **SHARED, actor_learning_rate=1e-3, critic_learning_rate=1e-3, entropy_learning_rate=1e-3
    ),
}


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a trained policy does on held-out first states."""

    actions: np.ndarray
    value: float
    expected: float


def trained(name, problem, seed=1):
    agent = build_agent(name, problem.states.shape[1], 1, CONFIGS[name], seed)
    logs = train_offline(agent, problem.data, STEPS, 128, seed, log_every=STEPS)
    actions = agent.greedy_actions(tf.constant(problem.states), tf.constant([0, 1])).numpy()[:, 0]
    return Outcome(actions, float(problem.value(actions).mean()), logs[-1].policy_q)


def value(problem, actions):
    return float(problem.value(actions).mean())


def test_the_optimum_is_one():
    """By trying: no action on a grid is better, and behaviour is far from it on either data."""
    for behaviour in (known_optimum.uniform, known_optimum.narrow):
        problem = known_optimum.two_steps(behaviour, rows=10)
        grid = np.linspace(-1, 1, 2001)
        values = np.stack([problem.value(np.full(200, action)) for action in grid])
        np.testing.assert_allclose(grid[values.argmax(axis=0)], problem.best, atol=1e-3)
        assert value(problem, problem.best) - value(problem, problem.behaviour) > 0.2


@pytest.mark.slow
@pytest.mark.parametrize("name", WITHOUT_CANDIDATES)
def test_every_agent_finds_the_optimum_in_good_data(name):
    problem = known_optimum.two_steps(known_optimum.uniform)
    outcome = trained(name, problem)
    best, behaviour = value(problem, problem.best), value(problem, problem.behaviour)
    assert best - outcome.value < 0.05 * (best - behaviour)
    # Nor is it the best action of a step that sees no further than its reward.
    short_sighted = value(problem, problem.best - known_optimum.GAMMA * known_optimum.BONUS / 2)
    assert outcome.value > short_sighted
    assert np.sqrt(np.mean(np.square(outcome.actions - problem.best))) < 0.18


@pytest.mark.slow
def test_bcq_survives_narrow_data():
    problem = known_optimum.two_steps(known_optimum.narrow)
    outcome = trained("bcq", problem)
    assert outcome.value > value(problem, problem.behaviour) + 0.05
    # Three standard deviations of the behaviour's noise, and rho.
    centre = known_optimum.peak(problem.states[:, 0]) - 0.3
    assert np.abs(outcome.actions - centre).max() < 0.15 + CONFIGS["bcq"].rho + 0.02
    assert outcome.expected == pytest.approx(outcome.value, abs=0.15)


@pytest.mark.slow
def test_cql_survives_narrow_data():
    problem = known_optimum.two_steps(known_optimum.narrow)
    outcome = trained("cql_sac", problem)
    assert outcome.value > value(problem, problem.behaviour) - 0.05
    centre = known_optimum.peak(problem.states[:, 0]) - 0.3
    assert np.abs(outcome.actions - centre).mean() < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["td3", "uwac_td3"])
def test_others_are_misled_by_extrapolation(name):
    """They expect more of actions that the data lack than the best action is worth."""
    problem = known_optimum.two_steps(known_optimum.narrow)
    outcome = trained(name, problem)
    assert outcome.value < value(problem, problem.behaviour) - 0.2
    assert outcome.expected > value(problem, problem.best)
    assert outcome.expected > outcome.value + 0.5
