"""Trials in a small random world: the log, the training's curve, the searches' objective."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from mtfx.agents.search.policies import ConstantVectorPolicy
from mtfx.components.policy_search.returns import PopulationReturns, sessions_per_point
from mtfx.datasets.rewards import build_reward
from mtfx.environments.simulator.config import SimulatorConfig
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.policies import ConstantPolicy
from mtfx.environments.simulator.runner import SessionRunner
from mtfx.environments.simulator.user_groups import drawn_users, user_groups
from mtfx.environments.simulator.world import save_world
from mtfx.experiments.batchrl.log import FusionLog
from mtfx.experiments.batchrl.run import constant_action, run_trial
from mtfx.experiments.batchrl.training import load_agent
from mtfx.experiments.batchrl.trial import FusionTrial
from mtfx.experiments.engine.data import describe_world
from mtfx.experiments.engine.results import TrialRecord
from mtfx.experiments.engine.trial import with_requirements
from mtfx.models.fusion.config import FusionConfig, build_fusion
from tests.simulator_worlds import FEEDBACKS, random_world

SETTINGS = (
    ("requests", 240),
    ("candidates", 10),
    ("max_views", 6),
    ("hidden_units", 8),
    ("steps", 8),
    ("batch_size", 16),
    ("curve_points", 2),
    ("curve_sessions", 5),
    ("bo_points", 18),
    ("es_population", 4),
    ("es_generations", 2),
    ("eval_sessions", 30),
    ("ope_steps", 20),
    ("ope_hidden_units", 8),
)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    directory = tmp_path_factory.mktemp("world")
    save_world(random_world(users=12, pool=20), directory)
    return describe_world(str(directory))


def run(world, directory, *trials):
    """Runs trials and all they require, one after the other; results by key."""
    results = {}
    for trial in with_requirements(trials):
        paths = {key: str(directory / key) for key in (trial.key, *trial.requires)}
        own = Path(paths[trial.key])
        own.mkdir(parents=True, exist_ok=True)
        result = run_trial(world, trial, paths)
        TrialRecord(trial.key, {}, world.fingerprint, "", result).write(own)
        results[trial.key] = json.loads((own / "result.json").read_text())["result"]
    return results


@pytest.fixture(scope="module")
def trained(world, tmp_path_factory):
    """The log of random exploration, and BCQ trained on it."""
    directory = tmp_path_factory.mktemp("trials")
    trial = FusionTrial("policy", "bcq_re", 0, SETTINGS)
    return trial, run(world, directory, trial), directory


def test_the_log_holds_whole_sessions_of_at_most_so_many_requests(trained):
    trial, results, directory = trained
    log = FusionLog.load(str(directory / trial.log.key))
    notes = results[trial.log.key]["notes"]
    assert 240 - 12 < notes["requests"] == log.num_requests <= 240
    assert notes["sessions"] == log.num_sessions
    assert log.discount[np.append(np.diff(log.session) > 0, True)].max() == 0
    assert np.isfinite(log.log_density).all()
    figures = results[trial.log.key]["metrics"]["simulator"]
    assert figures["views"] == pytest.approx(log.num_requests / log.num_sessions)
    by_hand = 0.0
    rewards = build_reward("default", FEEDBACKS)(log.feedback, log.watch_s, log.duration_s)
    for reward, step in zip(rewards, log.step, strict=True):
        by_hand += 0.95**step * reward / log.num_sessions
    assert figures["true_return"] == pytest.approx(by_hand, rel=1e-5)


def test_the_last_sessions_are_held_out(trained, world, tmp_path):
    trial, _, directory = trained
    log = FusionLog.load(str(directory / trial.log.key))
    first, last = log.split()
    assert 24 - 6 < last.num_requests <= 24
    assert first.num_requests + last.num_requests == log.num_requests
    assert (last.state == log.state[first.num_requests :]).all()
    assert last.session[0] == last.step[0] == 0
    with pytest.raises(ValueError, match="raise the setting requests"):
        run(world, tmp_path, FusionTrial("log", "random", 0, (*SETTINGS, ("held_out", 0.01))))


def test_presets_value_the_same_log_differently(trained):
    trial, _, directory = trained
    log = FusionLog.load(str(directory / trial.log.key))
    plain = log.transitions("default", FEEDBACKS)
    timed = log.transitions("time", FEEDBACKS)
    extra = 2.0 * np.minimum(log.watch_s, 600.0) / 60.0
    np.testing.assert_allclose(timed.rewards - plain.rewards, extra, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(timed.actions, plain.actions)


def test_training_records_q_and_the_truth_at_its_points(trained):
    trial, results, _ = trained
    curves = results[trial.key]["curves"]
    assert curves["step"] == [4, 8]
    assert all(value > 0 for value in (*curves["q_deviation"], *curves["true_return"]))
    figures = results[trial.key]["metrics"]["session starts"]
    assert figures["q_mean"] == curves["q_mean"][-1]
    assert figures["q_error"] == pytest.approx(figures["q_mean"] - figures["true_return"])


def test_a_training_goes_on_where_it_stopped(world, trained, tmp_path):
    """A killed attempt left a checkpoint, its points, and half a line."""
    trial, results, directory = trained
    own = directory / trial.key
    with (own / "curve.jsonl").open("a") as file:
        file.write('{"step": 12, "q_me')
    again = run_trial(
        world, trial, {key: str(directory / key) for key in (trial.key, *trial.requires)}
    )
    assert again["curves"] == results[trial.key]["curves"]


def simulator_and_fusion(world, **settings):
    from mtfx.environments.simulator.world import load_world

    loaded = load_world(world.directory)
    config = SimulatorConfig(candidates=10, **settings)
    return Simulator(loaded, config), build_fusion(FusionConfig(), loaded.num_predictions)


@pytest.mark.slow
def test_members_earn_what_each_earns_alone(world):
    simulator, fusion = simulator_and_fusion(world, max_views=6)
    policy = ConstantVectorPolicy(fusion.action_dim, members=3)
    points = np.random.default_rng(0).uniform(-1, 1, (3, fusion.action_dim))
    policy.assign(points)
    together = PopulationReturns(simulator, fusion, policy, 7, 0.9, (3, 0))(policy)
    generator = np.random.default_rng((3, 0))
    users = drawn_users(user_groups(simulator.world.user_ids).training, 7, generator)
    seed = generator.integers(2**31, size=2)
    for point, value in zip(points, together, strict=True):
        returns = np.zeros(7)
        alone = SessionRunner(simulator, fusion, ConstantPolicy(point))
        for sessions, step, request in alone.run(users, seed):
            returns[sessions] += 0.9**step * request.outcome.reward.numpy()
        assert value == pytest.approx(returns.mean(), rel=1e-5)


@pytest.mark.slow
def test_each_call_of_a_search_meets_new_sessions(world):
    simulator, fusion = simulator_and_fusion(world, max_views=3)
    policy = ConstantVectorPolicy(fusion.action_dim, members=2)
    returns = PopulationReturns(simulator, fusion, policy, 4, 0.9, (0, 0))
    first, second = returns(policy), returns(policy)
    assert first[0] == first[1]
    assert first[0] != second[0]
    again = PopulationReturns(simulator, fusion, policy, 4, 0.9, (0, 0))
    assert again(policy) == pytest.approx(first)


def test_a_trained_agent_acts_as_it_would_be_served(trained):
    trial, _, directory = trained
    policy = load_agent(trial, *sizes_of(trial, directory), str(directory / trial.key))
    states = tf.constant(FusionLog.load(str(directory / trial.log.key)).state[:20])
    users = tf.zeros([20], tf.int32)
    first, again = (policy.actions(states, users, tf.constant(seed)) for seed in ([0, 1], [2, 3]))
    np.testing.assert_array_equal(first.action, again.action)
    assert np.isnan(first.log_density.numpy()).all()


def sizes_of(trial, directory):
    log = FusionLog.load(str(directory / trial.log.key))
    return log.state.shape[1], log.action.shape[1]


def test_points_share_out_the_sessions():
    assert sessions_per_point(1000, 48) == 20
    assert sessions_per_point(10, 48) == 1


def test_constants_are_the_middle_or_drawn_by_the_seed():
    assert not constant_action(0, 3, 5).any()
    drawn = [constant_action(number, 3, seed) for number in (1, 2) for seed in (0, 1)]
    assert len({tuple(action) for action in drawn}) == 4
    assert np.abs(drawn).max() <= 1.0
    np.testing.assert_array_equal(drawn[0], constant_action(1, 3, 0))


def test_a_world_is_known_by_its_content(world, tmp_path):
    save_world(random_world(users=12, pool=20), tmp_path / "same")
    save_world(random_world(users=12, pool=20, seed=1), tmp_path / "other")
    assert describe_world(str(tmp_path / "same")).fingerprint == world.fingerprint
    assert describe_world(str(tmp_path / "other")).fingerprint != world.fingerprint
    assert "world: 12 users with 20 items each" in world.facts()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_kind_of_policy_is_made_and_measured(world, tmp_path):
    names = ("constant", "bo", "es", "td3", "bcq_interaction", "bcq_noise", "random", "constant_1")
    trials = [FusionTrial("evaluation", name, 0, SETTINGS) for name in names]
    trials += [FusionTrial("estimates", name, 0, SETTINGS) for name in ("random", "td3")]
    results = run(world, tmp_path, *trials)
    for trial in trials[: len(names)]:
        metrics = results[trial.key]["metrics"]
        assert metrics["simulator"]["true_return"] > 0
        assert 1 <= metrics["simulator"]["views"] <= 6
        assert metrics["offline"]["estimated_return"] is not None
        shares = results[trial.key]["curves"]["actions"]
        assert [sum(bins) for bins in shares.values()] == pytest.approx([1.0] * 3)
    spread = {t.subject: results[t.key]["metrics"]["actions"]["spread"] for t in trials[:-2]}
    assert spread["constant"] == pytest.approx(0.0, abs=1e-6)
    assert spread["random"] > 0.3
    for trial in trials[len(names) :]:
        metrics = results[trial.key]["metrics"]
        evaluation = results[trial.required_trials[-1].key]["metrics"]
        assert metrics["conservative"] == evaluation["offline"]
        assert all(
            metrics[name]["estimated_return"] is not None for name in ("fqe", "doubly_robust")
        )
    notes = results[trials[1].training.key]["notes"]
    assert notes["points"] * notes["sessions_per_point"] <= notes["budget"]
