"""Searched policies: better than none where the search can see it, and the real executor."""

import dataclasses
import json

import numpy as np
import pytest
from tfx.types import standard_artifacts

from components.artifacts import Simulator as SimulatorArtifact
from components.policy_search.executor import Executor
from components.policy_search.search import SEARCH_METHODS, PolicySearchConfig, search_policy
from environments.simulator.config import SimulatorConfig
from environments.simulator.dynamics import Simulator
from environments.simulator.value import session_figures
from environments.simulator.world import save_world
from models.fusion.config import FusionConfig
from models.fusion.registry import build_fusion
from models.fusion.saved_policy import SavedPolicy
from tests.simulator_worlds import random_world

RULES = SimulatorConfig(candidates=20, max_views=20)
SETTINGS = (("initial_points", 8), ("rounds", 6))


@pytest.mark.slow
def test_bayesian_optimisation_beats_equal_weights_on_other_sessions():
    simulator = Simulator(random_world(), RULES)
    fusion = build_fusion(FusionConfig(), simulator.world.num_predictions)
    config = PolicySearchConfig("bo", sessions=150, settings=SETTINGS, seed=1)
    found, result = search_policy(simulator, fusion, config)
    constant, nothing = search_policy(simulator, fusion, PolicySearchConfig("constant"))
    assert nothing is None
    assert result.history[-1].evaluations >= 20
    users = np.random.default_rng(5).integers(simulator.world.num_users, size=600)
    returns = [
        session_figures(simulator, fusion, policy, users, 99, 0.95).discounted_return
        for policy in (found, constant)
    ]
    gain = returns[0] - returns[1]
    assert gain.mean() > 2 * gain.std() / np.sqrt(len(gain))


def test_the_evolved_policy_is_personal():
    simulator = Simulator(random_world(), RULES)
    fusion = build_fusion(FusionConfig(), simulator.world.num_predictions)
    settings = (("population", 4), ("generations", 1))
    policy, _ = search_policy(
        simulator, fusion, PolicySearchConfig("es", sessions=20, settings=settings)
    )
    states = np.random.default_rng(0).normal(size=(30, simulator.state_dim)).astype(np.float32)
    assert policy(states).numpy().std(axis=0).min() > 0


@pytest.mark.parametrize(
    ("values", "match"),
    [({"method": "grid"}, "grid"), ({"sessions": 0}, "sessions"), ({"gamma": 1.5}, "gamma")],
)
def test_wrong_settings_are_named(values, match):
    with pytest.raises(ValueError, match=match):
        PolicySearchConfig(**{"method": "bo", **values})


def test_every_method_is_described():
    assert all(method.summary for method in SEARCH_METHODS.values())


def test_the_executor_writes_a_policy(tmp_path):
    world = random_world(users=5, pool=30)
    save_world(world, tmp_path / "world")
    simulator, model = SimulatorArtifact(), standard_artifacts.Model()
    simulator.uri, model.uri = str(tmp_path / "world"), str(tmp_path / "model")
    config = PolicySearchConfig("bo", sessions=10, settings=(("initial_points", 2), ("rounds", 1)))
    Executor().Do(
        {"simulator": [simulator]},
        {"model": [model]},
        {
            "search": json.dumps(dataclasses.asdict(config)),
            "fusion": json.dumps(FusionConfig().to_dict()),
            "simulator_config": json.dumps(RULES.to_dict()),
            "code_version": "abc",
        },
    )
    policy = SavedPolicy(f"{model.uri}/Format-Serving")
    assert policy.metadata.method == "bo"
    assert policy.metadata.prediction_names == world.prediction_names
    assert policy.metadata.state_dim == Simulator(world, RULES).state_dim
