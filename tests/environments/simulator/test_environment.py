"""The simulator as an environment of TF-Agents: specs, ends, restarts, drivers."""

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.drivers import dynamic_step_driver
from tf_agents.environments import tf_environment
from tf_agents.policies import random_tf_policy
from tf_agents.replay_buffers import tf_uniform_replay_buffer
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts
from tf_agents.utils import nest_utils

from mtfx.agents.xmtf import xmtf_specs
from mtfx.environments.simulator.config import SimulatorConfig
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.environment import FusionEnvironment
from mtfx.environments.simulator.policies import ConstantPolicy
from mtfx.environments.simulator.rollout import rollout
from mtfx.models.action_policy import MASK, PREDICTIONS, STATE
from mtfx.models.fusion.config import FusionConfig, build_fusion
from tests.simulator_worlds import random_world

LANES = 5


@pytest.fixture(scope="module")
def simulator():
    return Simulator(random_world(users=8, pool=9), SimulatorConfig(candidates=6, max_views=12))


@pytest.fixture(scope="module")
def fusion():
    return build_fusion(FusionConfig(), 3)


def make(simulator, fusion, **options):
    return FusionEnvironment(simulator, fusion, LANES, **options)


def play(environment, steps):
    actions = tf.fill([environment.batch_size, 3], 0.3)
    taken = [environment.reset(), *(environment.step(actions) for _ in range(steps))]
    return tf.nest.map_structure(lambda *parts: np.stack(parts), *taken)


@pytest.fixture(scope="module")
def environment(simulator, fusion):
    return make(simulator, fusion, seed=3)


@pytest.fixture(scope="module")
def steps(environment):
    """The first 60 steps."""
    return play(environment, 60)


def users_of(simulator, steps):
    """Users of the sessions, in the order in which they start."""
    attributes = steps.observation[..., :4][steps.step_type == ts.StepType.FIRST]
    known = simulator.world.requests.attributes
    return [int(np.abs(known - e).sum(axis=1).argmin()) for e in attributes]


def test_sessions_end_and_start_anew(simulator, steps):
    first, last = steps.step_type == ts.StepType.FIRST, steps.step_type == ts.StepType.LAST
    assert last.any()
    np.testing.assert_array_equal(first[1:], last[:-1])
    np.testing.assert_array_equal(steps.discount == 0, last)
    assert not steps.reward[first].any()
    views = steps.observation[:, :, simulator.state_names.index("session_views")] * 100
    assert (views[first] == 0).all()
    np.testing.assert_allclose(views[1:][~first[1:]], views[:-1][~first[1:]] + 1, atol=1e-4)
    # Pools of nine items are watched to their end, where nothing is left to offer.
    emptied = views > 8.5
    assert emptied.any()
    assert last[emptied].all()
    means = steps.observation[..., [name.startswith("mean_") for name in simulator.state_names]]
    assert (means[emptied] == 0).all()


@pytest.mark.slow
def test_users_take_turns_and_the_seed_decides(simulator, fusion, steps):
    found = users_of(simulator, steps)
    assert len(found) > 16
    assert sorted(found[:8]) == sorted(found[8:16]) == list(range(8))
    other = play(make(simulator, fusion, seed=4, users=np.array([2, 5, 6, 7])), 30)
    assert set(users_of(simulator, other)) == {2, 5, 6, 7}
    assert users_of(simulator, play(make(simulator, fusion, seed=4), 30))[:8] != found[:8]


def test_a_lane_is_a_session_of_the_simulator(simulator, fusion, steps):
    """The first sessions are those that a rollout with the same seed and users gives."""
    users = np.array(users_of(simulator, steps)[:LANES])
    found = rollout(simulator, fusion, ConstantPolicy(np.full(3, 0.3)), users, seed=3)
    for lane in range(LANES):
        rows = np.flatnonzero(found.session == lane)
        length = len(rows)
        np.testing.assert_allclose(steps.reward[1 : length + 1, lane], found.reward[rows], 1e-5)
        np.testing.assert_allclose(
            steps.observation[:length, lane], found.state[rows], rtol=1e-4, atol=1e-6
        )
        assert steps.step_type[length, lane] == ts.StepType.LAST


def test_time_steps_are_those_of_the_spec(simulator, environment, steps):
    assert isinstance(environment, tf_environment.TFEnvironment)
    assert environment.action_spec().shape == [3]
    assert environment.observation_spec().shape == [simulator.state_dim]
    assert (environment.reset().step_type.numpy() == ts.StepType.FIRST).all()
    # TF-Agents' own check of batches against a spec, on actions drawn from the environment's.
    for seed in range(3):
        action = tensor_spec.sample_spec_nest(
            environment.action_spec(), outer_dims=(LANES,), seed=seed
        )
        found = environment.step(action)
        assert nest_utils.is_batched_nested_tensors(found, environment.time_step_spec())
        current = environment.current_time_step()
        np.testing.assert_array_equal(current.observation, found.observation)
        np.testing.assert_array_equal(current.reward, found.reward)


def test_runs_with_a_driver_and_a_replay_buffer(simulator, fusion):
    # Not reset: the driver asks for the current time step first.
    environment = make(simulator, fusion)
    policy = random_tf_policy.RandomTFPolicy(
        environment.time_step_spec(), environment.action_spec()
    )
    buffer = tf_uniform_replay_buffer.TFUniformReplayBuffer(
        policy.trajectory_spec, batch_size=LANES, max_length=50
    )
    driver = dynamic_step_driver.DynamicStepDriver(
        environment, policy, [buffer.add_batch], num_steps=100
    )
    driver.run()
    data = buffer.gather_all()
    assert data.observation.shape[0] == LANES
    assert int(tf.reduce_sum(tf.cast(~data.is_boundary(), tf.int32))) >= 100
    assert np.isfinite(data.reward.numpy()).all()


@pytest.mark.parametrize("value", [float("nan"), 1.01, -2.0])
def test_bad_actions_raise(environment, steps, value):
    with pytest.raises(tf.errors.InvalidArgumentError, match="clip it in the policy"):
        environment.step(tf.fill([LANES, 3], value))


def test_bad_arguments_are_named(simulator, fusion, environment):
    with pytest.raises(ValueError, match="batch_size"):
        FusionEnvironment(simulator, fusion, 0)
    with pytest.raises(ValueError, match="at least one user"):
        make(simulator, fusion, users=np.array([], int))
    with pytest.raises(ValueError, match="no user 8"):
        make(simulator, fusion, users=np.array([8]))
    with pytest.raises(ValueError, match="takes 4 predictions"):
        make(simulator, build_fusion(FusionConfig(), 4))
    with pytest.raises(ValueError, match=r"must be \[batch, 3\]"):
        environment.step(tf.zeros([LANES, 2]))


def test_some_of_the_candidates_can_be_observed(simulator, fusion, steps):
    """The same sessions as without, with the candidates among which the action chooses."""
    environment = make(simulator, fusion, seed=3, observed_candidates=4)
    taken = play(environment, 60)
    np.testing.assert_array_equal(taken.observation[STATE], steps.observation)
    np.testing.assert_array_equal(taken.reward, steps.reward)
    shown, mask = taken.observation[PREDICTIONS], taken.observation[MASK]
    assert shown.shape == (61, LANES, 4, 3)
    assert (shown[~mask] == 0).all()
    assert mask.any(axis=2).mean() > 0.8
    # Those with fewer than six left show all of them, and their means are the state's.
    names = simulator.state_names
    means = taken.observation[STATE][..., [name.startswith("mean_") for name in names]]
    whole = mask.any(axis=2) & ~mask.all(axis=2)
    assert whole.any()
    counts = mask.sum(axis=2, keepdims=True)
    np.testing.assert_allclose(
        means[whole], (shown.sum(axis=2) / np.maximum(counts, 1))[whole], rtol=1e-4
    )


def test_the_spec_with_candidates_is_what_xmtf_takes(simulator, fusion):
    environment = make(simulator, fusion, observed_candidates=99)
    spec, action = xmtf_specs(simulator.state_dim, simulator.num_candidates, 3)
    assert environment.time_step_spec() == spec
    assert environment.action_spec() == action
    with pytest.raises(ValueError, match="observed_candidates must be at least 0, got -1"):
        make(simulator, fusion, observed_candidates=-1)
