"""Figures of simulated sessions: the same sessions for every policy of a seed."""

import numpy as np
import pytest

from mtfx.environments.simulator.config import SimulatorConfig
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.policies import ConstantPolicy
from mtfx.environments.simulator.runner import SessionRunner
from mtfx.environments.simulator.user_groups import user_groups
from mtfx.experiments.engine.simulation import curve_sessions, measured_figures
from mtfx.models.fusion.config import FusionConfig, build_fusion
from tests.simulator_worlds import random_world


@pytest.fixture(scope="module")
def simulator():
    return Simulator(random_world(users=8, pool=10), SimulatorConfig(candidates=4, max_views=3))


def figures(simulator, seed=1):
    fusion = build_fusion(FusionConfig(), simulator.world.num_predictions)
    policy = ConstantPolicy(np.zeros(fusion.action_dim, np.float32))
    return measured_figures(SessionRunner(simulator, fusion, policy), seed, 40, gamma=0.9)


def test_a_seed_says_which_sessions(simulator):
    first = figures(simulator)
    assert first == figures(simulator)
    assert first != figures(simulator, seed=2)
    assert 1 <= first["views"] <= 3
    assert 0 <= first["positive_rate"] <= 1


def test_the_final_ones_are_of_users_that_no_policy_learns_from(simulator):
    class Asked(SessionRunner):
        def run(self, users, seed):
            self.users = users
            return super().run(users, seed)

    fusion = build_fusion(FusionConfig(), simulator.world.num_predictions)
    runner = Asked(simulator, fusion, ConstantPolicy(np.zeros(fusion.action_dim, np.float32)))
    measured_figures(runner, 1, 40, gamma=0.9)
    assert set(runner.users) == set(user_groups(simulator.world.user_ids).evaluation)


def test_a_curves_sessions_are_others_than_the_final_ones(simulator):
    users, seed = curve_sessions(simulator, 1, 40)
    again, _ = curve_sessions(simulator, 1, 40)
    np.testing.assert_array_equal(users, again)
    assert set(users) <= set(user_groups(simulator.world.user_ids).training)
    assert seed == (1, 11)
    assert curve_sessions(simulator, 2, 40)[1] != seed
