"""Rollouts and figures: the same sessions, whole, in order; policies that misbehave are named."""

import numpy as np
import pytest
import tensorflow as tf

from mtfx.environments.simulator import runner as runner_module
from mtfx.environments.simulator.config import SimulatorConfig
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.policies import ConstantPolicy
from mtfx.environments.simulator.rollout import rollout, rollout_of
from mtfx.environments.simulator.runner import SessionRunner
from mtfx.environments.simulator.value import figures_of, session_figures
from mtfx.models.action_policy import ActionSample
from mtfx.models.fusion.base import FusionFunction
from mtfx.models.fusion.config import FusionConfig, build_fusion
from tests.simulator_worlds import random_world

USERS = np.arange(20).repeat(3)
ACTION = np.array([0.5, -0.2, 0.9])


@pytest.fixture(scope="module")
def simulator():
    return Simulator(random_world(), SimulatorConfig(candidates=12, max_views=15))


@pytest.fixture(scope="module")
def fusion():
    return build_fusion(FusionConfig(), 3)


@pytest.fixture(scope="module")
def runner(simulator, fusion):
    return SessionRunner(simulator, fusion, ConstantPolicy(ACTION))


@pytest.fixture(scope="module")
def interactions(runner):
    return rollout_of(runner, USERS, seed=4)


class Stubborn:
    """Gives the tensor it is made with."""

    def __init__(self, action):
        self.action = action

    def actions(self, states, users, seed):
        batch = tf.shape(states)[0]
        return ActionSample(tf.tile([self.action], [batch, 1]), tf.zeros([batch]))


def test_requests_are_whole_sessions_in_order(simulator, interactions):
    i = interactions
    assert np.unique(i.session).tolist() == list(range(len(USERS)))
    order = np.lexsort((i.step, i.session))
    np.testing.assert_array_equal(order, np.arange(i.num_requests))
    for session in range(len(USERS)):
        rows = np.flatnonzero(i.session == session)
        assert i.step[rows].tolist() == list(range(len(rows)))
        assert i.discount[rows].tolist() == [1.0] * (len(rows) - 1) + [0.0]
        np.testing.assert_array_equal(i.next_state[rows[:-1]], i.state[rows[1:]])
        np.testing.assert_array_equal(i.next_state[rows[-1]], i.state[rows[-1]])
        assert len(set(i.item_id[rows])) == len(rows)
        assert set(i.item_id[rows]) <= set(simulator.world.item_ids[USERS[session]])
    np.testing.assert_array_equal(i.user, USERS[i.session])
    assert i.state.shape == (i.num_requests, simulator.state_dim)
    assert (i.candidate_count == 12).all()
    assert np.isnan(i.log_density).all()
    assert i.step.max() == 14


def test_the_shown_candidate_has_the_highest_score(interactions):
    weights = (ACTION + 1) / 2
    scores = np.log(interactions.predictions.astype(np.float64) + 1e-3) @ weights
    rows = np.arange(interactions.num_requests)
    shown = scores[rows, interactions.chosen]
    assert (shown >= scores.max(axis=1) - 1e-5).all()


def test_figures_are_the_sums_of_the_rollout(runner, interactions):
    figures = figures_of(runner, USERS, 4, gamma=0.9)
    i = interactions
    for session in range(len(USERS)):
        rows = i.session == session
        reward = i.reward[rows].astype(float)
        assert figures.discounted_return[session] == pytest.approx(
            sum(0.9**t * r for t, r in enumerate(reward)), rel=1e-5
        )
        assert figures.total_reward[session] == pytest.approx(reward.sum(), rel=1e-5)
        assert figures.watch_s[session] == pytest.approx(i.watch_s[rows].sum(), rel=1e-5)
        assert figures.views[session] == rows.sum()
        # Likes: the one feedback that is not merely watching.
        assert figures.positive_rate[session] == pytest.approx(i.feedback[rows, 2].mean())


def test_batches_of_sessions_do_not_change_them(
    simulator, fusion, runner, interactions, monkeypatch
):
    monkeypatch.setattr(runner_module, "SESSIONS_AT_ONCE", 7)
    again = rollout(simulator, fusion, ConstantPolicy(ACTION), USERS, seed=4)
    np.testing.assert_array_equal(again.item_id, interactions.item_id)
    np.testing.assert_allclose(again.reward, interactions.reward, rtol=1e-6)
    cut = rollout_of(runner, USERS, seed=4, max_requests=50)
    assert 50 - 15 < cut.num_requests <= 50
    np.testing.assert_array_equal(cut.item_id, interactions.item_id[: cut.num_requests])
    assert cut.discount[-1] == 0


def test_common_random_numbers_make_comparisons_sharp(simulator, fusion):
    runner = SessionRunner(simulator, fusion, policy := ConstantPolicy(ACTION))
    users = np.arange(20).repeat(10)
    first = figures_of(runner, users, 1, 0.95).discounted_return
    policy.assign(ACTION + np.array([0.1, 0.0, 0.0]))
    paired = figures_of(runner, users, 1, 0.95).discounted_return - first
    unpaired = figures_of(runner, users, 2, 0.95).discounted_return - first
    assert paired.std() < 0.8 * unpaired.std()
    assert np.mean(paired == 0) > 0.1


def test_seeds_decide(runner, interactions):
    other = rollout_of(runner, USERS, seed=(4, 1))
    assert other.num_requests != interactions.num_requests or not np.array_equal(
        other.item_id, interactions.item_id
    )
    with pytest.raises(ValueError, match="one or two integers"):
        rollout_of(runner, USERS, seed=[1, 2, 3])


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ([0.0, 0.0, 1.1], r"outside \[-1, 1\]"),
        ([0.0, float("nan"), 0.0], "NaN"),
        ([0.0, 0.0], r"must be \[batch, 3\]"),
    ],
)
def test_bad_actions_are_refused(simulator, fusion, action, message):
    with pytest.raises(ValueError, match=message):
        session_figures(simulator, fusion, Stubborn(action), USERS, 0, 0.9)


class NotFinite(FusionFunction):
    def scores(self, predictions, action, states=None):
        return tf.math.log(predictions[..., 0] - 0.5)


def test_bad_input_is_named(simulator, runner):
    policy = ConstantPolicy(ACTION)
    with pytest.raises(ValueError, match="fused scores"):
        session_figures(simulator, NotFinite(3, 3), policy, USERS, 0, 0.9)
    with pytest.raises(ValueError, match="takes 2 predictions, but the world has 3: task_0"):
        rollout(simulator, build_fusion(FusionConfig(), 2), policy, USERS, 0)
    for users, message in (
        (np.array([], int), "at least one user"),
        (np.array([0, 20]), "no user 20"),
        (np.array([0.5]), "users are indices"),
    ):
        with pytest.raises(ValueError, match=message):
            rollout_of(runner, users, 0)
        with pytest.raises(ValueError, match=message):
            figures_of(runner, users, 0, 0.9)
    with pytest.raises(ValueError, match="gamma"):
        figures_of(runner, USERS, 0, 1.1)
    with pytest.raises(ValueError, match="more than max_requests = 1"):
        rollout_of(runner, USERS, 4, max_requests=1)
    with pytest.raises(ValueError, match="at least 1"):
        rollout_of(runner, USERS, 4, max_requests=0)
