"""An exported ranker earns in the simulator what its policy and fusion earn in memory."""

import numpy as np
import pytest
import tensorflow as tf

from mtfx.environments.simulator.config import SimulatorConfig
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.ranker_policy import RankerPolicy
from mtfx.environments.simulator.value import session_figures
from mtfx.errors import DataError
from mtfx.models.action_policy import ActionSample
from tests.simulator_worlds import random_world
from tests.small_rankers import export_small_ranker

USERS = np.arange(20)


class InMemory:
    def __init__(self, policy):
        self._policy = policy

    def actions(self, states, users, seed):
        return ActionSample(self._policy.act(states), tf.zeros([tf.shape(states)[0]]))


@pytest.fixture(scope="module")
def simulator():
    return Simulator(random_world(pool=30), SimulatorConfig(candidates=12, max_views=15))


@pytest.fixture(scope="module")
def exported(simulator, tmp_path_factory):
    names = list(simulator.world.prediction_names)
    directory = tmp_path_factory.mktemp("ranker")
    return export_small_ranker(directory, names, simulator.world.requests.config)


def test_its_actions_and_scores_are_those_of_its_parts(simulator, exported):
    directory, policy = exported
    ranker = RankerPolicy(str(directory), simulator)
    session = simulator.reset(tf.range(4), tf.constant([1, 2]))
    candidates = simulator.candidates(session)
    states = simulator.observe(session, candidates)
    action = ranker.actions(states, session.users, tf.constant([0, 0])).action
    np.testing.assert_allclose(action, policy.act(states), rtol=1e-5)
    found = ranker.scores(candidates.predictions, action, states)
    wanted = policy.fusion.scores(candidates.predictions, policy.act(states), states)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    assert np.ptp(wanted) > 0
    with pytest.raises(ValueError, match="takes the states"):
        ranker.scores(candidates.predictions, action)


@pytest.mark.slow
def test_its_sessions_are_those_of_its_parts(simulator, exported):
    directory, policy = exported
    ranker = RankerPolicy(str(directory), simulator)
    found = session_figures(simulator, ranker, ranker, USERS, 3, 1.0)
    wanted = session_figures(simulator, policy.fusion, InMemory(policy), USERS, 3, 1.0)
    np.testing.assert_array_equal(found.views, wanted.views)
    np.testing.assert_allclose(found.watch_s, wanted.watch_s, rtol=1e-6)
    # Another policy would have had other sessions: the test can tell.
    other = session_figures(simulator, policy.fusion, Middle(), USERS, 3, 1.0)
    assert not np.allclose(found.watch_s, other.watch_s)


class Middle:
    def actions(self, states, users, seed):
        batch = tf.shape(states)[0]
        return ActionSample(-tf.ones([batch, 3]), tf.zeros([batch]))


def test_a_ranker_of_another_world_is_refused(simulator, exported, tmp_path):
    directory, _ = exported
    other = Simulator(random_world(pool=30, attributes=5), simulator.config)
    with pytest.raises(DataError, match="of another ranking model"):
        RankerPolicy(str(directory), other)
    with pytest.raises(DataError, match="holds no ranker"):
        RankerPolicy(str(tmp_path), simulator)
