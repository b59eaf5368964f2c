"""The loop that acts and learns: what reaches the agent, and what the environment ranks by."""

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.agents import tf_agent

from mtfx.environments.simulator.config import SimulatorConfig
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.experiments.xmtf.learners import Learner, XmtfLearner
from mtfx.experiments.xmtf.online_training import OnlineTraining, Progress
from mtfx.experiments.xmtf.trial import XmtfSettings, XmtfTrial
from mtfx.models.action_policy import MASK, PREDICTIONS, STATE
from mtfx.models.fusion.config import FusionConfig, build_fusion
from tests.simulator_worlds import random_world

CONFIG = XmtfSettings(
    lanes=4,
    warmup=6,
    preparation=0,
    steps=8,
    batch_size=5,
    buffer_size=1_000,
    random_deviation=0.5,
    noise_deviation=0.01,
)


@pytest.fixture(scope="module")
def simulator():
    rules = SimulatorConfig(candidates=6, max_views=5)
    return Simulator(random_world(users=10, pool=12), rules)


class Recorder(Learner):
    """Keeps what it is trained on, and always wants the same."""

    observed_candidates = 3

    def __init__(self):
        self.fusion = build_fusion(FusionConfig(), 3)
        self.seen = []
        self.loss = tf.Variable(1.0, trainable=False)

    def greedy_actions(self, states):
        return tf.fill([tf.shape(states)[0], 3], 0.5)

    def train(self, experience):
        tf.py_function(self._keep, tf.nest.flatten(experience), [])
        return tf_agent.LossInfo(self.loss.read_value(), ())

    def _keep(self, *parts):
        self.seen.append([part.numpy() for part in parts])


class Recorded(NamedTuple):
    """A training, and what was seen of it after eight steps."""

    training: OnlineTraining
    recorder: Recorder
    progress: Progress
    explored: int
    transitions: int
    sizes: list
    batches: Any
    actions: np.ndarray


@pytest.fixture(scope="module")
def recorded(simulator):
    recorder = Recorder()
    training = OnlineTraining(recorder, simulator, CONFIG, (1, 2))
    explored = training.transitions
    progress = training.train(8)
    spec = training._buffer.data_spec
    packed = [tf.nest.pack_sequence_as(spec, batch) for batch in recorder.seen]
    return Recorded(
        training,
        recorder,
        progress,
        explored,
        training.transitions,
        [len(batch[0]) for batch in recorder.seen],
        tf.nest.map_structure(lambda *values: np.concatenate(values), *packed),
        np.asarray(training._buffer.gather_all().action),
    )


def test_each_step_takes_a_request_of_every_lane_and_learns_from_a_batch(recorded):
    assert recorded.explored == 4 * 6
    assert recorded.transitions == 4 * (6 + 8)
    assert recorded.sizes == [5] * 8
    assert recorded.progress.loss == pytest.approx(1.0)
    assert recorded.progress.reward > 0


def test_only_transitions_within_a_session_are_learnt_from(recorded, simulator):
    seen = recorded.batches
    assert not seen.is_boundary()[:, 0].any()
    ends = seen.discount[:, 0] == 0
    assert 0 < ends.mean() < 1
    np.testing.assert_array_equal(seen.is_last()[:, 0], ends)
    # Four numbers of the user come first in a state.
    states, views = seen.observation[STATE], simulator.state_names.index("session_views")
    np.testing.assert_array_equal(states[:, 0, :4], states[:, 1, :4])
    np.testing.assert_allclose(states[:, 1, views] - states[:, 0, views], 0.01, atol=1e-6)
    assert (seen.reward[:, 0] > 0).any()
    assert seen.observation[PREDICTIONS].shape[2:] == (3, 3)
    assert seen.observation[MASK].dtype == bool


def test_the_warm_up_is_random_and_what_follows_is_near_the_agents_actions(recorded):
    assert recorded.actions[:, :6].std() > 0.3
    np.testing.assert_allclose(recorded.actions[:, 6:], 0.5, atol=0.05)


def test_a_loss_that_is_not_finite_stops_the_training(recorded):
    recorded.recorder.loss.assign(float("nan"))
    with pytest.raises(ValueError, match="training diverged"):
        recorded.training.train(1)


def test_xmtf_ranks_by_its_own_cells_of_normalised_states():
    settings = (("hidden_units", 4), ("cell_units", 4), ("inner_candidates", 5))
    learner = XmtfLearner(XmtfTrial("xmtf", 0, settings), state_dim=4, num_predictions=3)
    assert learner.observed_candidates == 5
    rng = np.random.default_rng(0)
    states = tf.constant(rng.normal(5.0, 3.0, (6, 4)), tf.float32)
    predictions = tf.constant(rng.random((6, 7, 3)), tf.float32)
    actions = tf.constant(rng.uniform(-1, 1, (6, 3)), tf.float32)
    agent = learner.agent
    agent.normalizer.update(states)
    shown = learner.fusion.scores(predictions, actions, states)
    standard = (states - tf.reduce_mean(states, 0)) / tf.math.reduce_std(states, 0)
    np.testing.assert_allclose(
        shown, agent.fusion.scores(predictions, actions, standard), rtol=1e-2, atol=1e-2
    )
    np.testing.assert_array_equal(
        shown, agent.fusion.scores(predictions, actions, agent.normalized(states))
    )
    # They follow what the inner stage learns.
    agent.fusion.cells.biases[-1].assign_add(tf.random.stateless_normal([3, 1, 1], [1, 2]))
    assert not np.allclose(shown, learner.fusion.scores(predictions, actions, states))


def test_without_cells_no_candidates_are_kept():
    settings = (("hidden_units", 4),)
    learner = XmtfLearner(XmtfTrial("xmtf_no_inner", 0, settings), 4, 3)
    assert learner.observed_candidates == 1
    assert learner.agent.fusion.cells is None


@pytest.mark.slow
def test_cells_are_prepared_without_rewards_and_their_requests_are_dropped(simulator):
    settings = (("hidden_units", 4), ("cell_units", 4), ("inner_candidates", 5), ("batch_size", 8))
    learner = XmtfLearner(XmtfTrial("xmtf", 0, settings), simulator.state_dim, 3)
    agent = learner.agent
    cells = [variable.numpy() for variable in agent.fusion.cells.trainable_variables]
    others = [agent.actor, agent.critic]
    before = [variable.numpy() for network in others for variable in network.variables]
    config = dataclasses.replace(CONFIG, preparation=3)
    training = OnlineTraining(learner, simulator, config, (1, 2))
    moved = [
        np.abs(new - old).max()
        for new, old in zip(agent.fusion.cells.trainable_variables, cells, strict=True)
    ]
    assert min(moved) > 0
    after = [variable.numpy() for network in others for variable in network.variables]
    for new, old in zip(after, before, strict=True):
        np.testing.assert_array_equal(new, old)
    # The second exploration only: what was explored with other cells is gone.
    assert training.transitions == 4 * 6
    assert int(agent.train_step_counter) == 0
