"""The simulator explored by the real component: what it writes, whoever does the work."""

import dataclasses
import json
import os

import numpy as np
import pytest
import tensorflow as tf

from mtfx.agents.exploration import MixedExploration, RandomExploration
from mtfx.components.interaction_gen.config import SimulatedInteractionConfig
from mtfx.components.interaction_gen.cuts import SPLITS
from mtfx.datasets.rewards import REWARD_PRESETS, build_reward
from mtfx.datasets.transitions.codec import concatenate
from mtfx.datasets.transitions.table import load_transitions
from mtfx.environments.simulator.config import SimulatorConfig
from mtfx.environments.simulator.user_groups import user_groups
from mtfx.errors import DataError
from mtfx.models.export.policy import PolicyMetadata, PolicyModule, export_policy
from mtfx.models.fusion.config import FormulaFreeConfig, FusionConfig
from mtfx.pipelines.beam_args import local_beam_args
from tests.components.interaction_gen.conftest import IN_PROCESS, small_config

TWO_WORKERS = (*IN_PROCESS, "--direct_running_mode=multi_threading", "--direct_num_workers=2")


def everything(generated):
    return concatenate([generated.batch(split) for split in SPLITS])


def assert_equal(left, right):
    for field in dataclasses.fields(left):
        np.testing.assert_array_equal(
            getattr(left, field.name), getattr(right, field.name), err_msg=field.name
        )


def test_sessions_are_whole_and_chained(explore):
    generated = explore()
    batch = everything(generated)
    sessions, first = np.unique(batch.session_id, return_index=True)
    assert len(sessions) == 60
    spec = generated.manifest.spec
    assert spec.prediction_names == ("task_0", "task_1", "task_2")
    assert spec.action_dim == 3
    for begin in first:
        rows = np.flatnonzero(batch.session_id == batch.session_id[begin])
        np.testing.assert_array_equal(np.diff(rows), 1)
        np.testing.assert_array_equal(batch.step[rows], np.arange(len(rows)))
        np.testing.assert_array_equal(batch.discount[rows], [1] * (len(rows) - 1) + [0])
        np.testing.assert_array_equal(batch.next_state[rows[:-1]], batch.state[rows[1:]])
        # The next request comes when the video has been watched.
        waited = np.diff(batch.timestamp_ms[rows])
        np.testing.assert_allclose(waited, batch.watch_s[rows[:-1]] * 1000, atol=1)
        assert len(set(batch.user_id[rows])) == 1
    reward = build_reward("default", spec.feedback_names)
    np.testing.assert_allclose(
        batch.reward, reward(batch.feedback, batch.watch_s, batch.duration_s), rtol=1e-5, atol=1e-6
    )
    assert np.abs(batch.action).max() <= 1
    assert np.isfinite(batch.log_density).all()
    # The pools of 15 run low: late requests have fewer candidates.
    np.testing.assert_array_equal(batch.candidate_count, np.minimum(10, 15 - batch.step))


def test_the_last_tenth_of_the_sessions_is_for_evaluation(explore):
    generated = explore()
    starts = {
        split: generated.batch(split).timestamp_ms[generated.batch(split).step == 0]
        for split in SPLITS
    }
    assert (len(starts["train"]), len(starts["eval"])) == (54, 6)
    assert starts["train"].max() < starts["eval"].min()
    assert generated.artifact.split_names == '["train", "eval"]'


def test_policies_are_judged_on_users_that_they_do_not_learn_from(explore):
    groups = user_groups(np.arange(12))
    for config in (small_config(), small_config(sessions=40, days=1e-4, eval_fraction=0.3)):
        generated = explore(config)
        for split, group in zip(SPLITS, groups, strict=True):
            batch = generated.batch(split)
            assert set(batch.user_id.astype(int)) <= set(group.tolist())
            assert len(set(batch.user_id)) > 1


def test_users_are_divided_between_the_explorations(explore):
    batch = everything(explore())
    mixed = MixedExploration(RandomExploration(3), RandomExploration(3))
    parts = mixed.parts(tf.constant(batch.user_id.astype(int), tf.int32)).numpy()
    np.testing.assert_array_equal(batch.behaviour_policy, np.array(["random", "noise"])[parts])
    assert set(batch.behaviour_policy) == {"random", "noise"}
    noisy = batch.action[batch.behaviour_policy == "noise"]
    assert 0.07 < noisy.std() < 0.13
    assert batch.action[batch.behaviour_policy == "random"].std() > 0.3


@pytest.mark.slow
def test_workers_and_runs_change_nothing_but_the_seed_does(explore):
    once = everything(explore())
    assert_equal(everything(explore(beam_args=TWO_WORKERS)), once)
    other = everything(explore(small_config(seed=1)))
    assert other.size != once.size or not np.allclose(other.action, once.action)


@pytest.mark.slow
def test_processes_change_nothing(explore):
    assert_equal(everything(explore(beam_args=local_beam_args(workers=2))), everything(explore()))


@pytest.mark.slow
def test_many_files_are_in_order_of_time(explore):
    generated = explore(small_config(shards=4))
    names = [os.path.basename(path) for path in generated.files("train")]
    assert names == [f"data_tfrecord-0000{i}-of-00004.gz" for i in range(4)]
    batch = generated.batch("train")
    starts = batch.timestamp_ms[batch.step == 0]
    assert (np.diff(starts) > 0).all()
    assert_equal(batch, explore().batch("train"))
    table = load_transitions(os.path.join(generated.uri, "Split-train", "*"), max_transitions=50)
    np.testing.assert_array_equal(table.rewards, batch.reward[-table.num_transitions :])


def test_manifest_and_summary_say_what_was_written(explore):
    config, generated = small_config(), explore()
    manifest, summary = generated.manifest, generated.summary
    assert SimulatedInteractionConfig.from_json(json.dumps(manifest.config)) == config
    assert (manifest.code_version, manifest.seed) == ("1.2.3", 5)
    batch = everything(generated)
    span = (batch.timestamp_ms.min(), batch.timestamp_ms.max())
    assert (manifest.first_ms, manifest.last_ms) == summary.data_span_ms == span
    assert manifest.fusion == json.loads(json.dumps(FusionConfig().to_dict()))
    assert config.start_ms <= span[0]
    assert span[1] < config.start_ms + 3.1 * 86_400_000
    train = generated.batch("train")
    figures = summary.splits["train"]
    assert (figures.sessions, figures.transitions) == (54, train.size)
    assert figures.ended == 54
    assert figures.mean_reward == pytest.approx(train.reward.mean(), rel=1e-5)
    assert figures.feedback_rates["click"] == pytest.approx(train.feedback[:, 0].mean())
    assert sum(figures.behaviour.values()) == train.size
    assert figures.unknown_density == 0
    assert not os.path.exists(os.path.join(generated.uri, ".temporary"))


@pytest.mark.slow
def test_a_reward_preset_changes_the_reward_alone(explore):
    rules = SimulatorConfig(candidates=10, max_views=12, reward=REWARD_PRESETS["interaction"])
    batch, default = everything(explore(small_config(simulator=rules))), everything(explore())
    np.testing.assert_array_equal(batch.action, default.action)
    liked = default.feedback.any(axis=1)
    assert (batch.reward > default.reward)[liked].all()
    np.testing.assert_allclose(batch.reward[~liked], default.reward[~liked], rtol=1e-5)


def saved_policy(directory, action, state_dim=20, names=("task_0", "task_1", "task_2")):
    """A policy artifact whose policy always gives ``action``."""
    module = PolicyModule(
        lambda state: tf.tile(tf.constant([action]), [tf.shape(state)[0], 1]), [], state_dim
    )
    about = PolicyMetadata("bcq", state_dim, len(action), names, FusionConfig().to_dict())
    export_policy(module, str(directory / "Format-Serving"), about)
    return directory


@pytest.mark.slow
def test_noise_is_around_the_current_policy(explore, tmp_path):
    action = [0.5, -0.5, 0.0]
    config = small_config(exploration="noise")
    batch = everything(explore(config, saved_policy(tmp_path / "policy", action)))
    np.testing.assert_allclose(batch.action.mean(axis=0), action, atol=0.03)
    assert set(batch.behaviour_policy) == {"noise"}
    constant = everything(explore(small_config(exploration="noise", action=tuple(action))))
    np.testing.assert_allclose(batch.action[0], constant.action[0], atol=1e-6)


def test_actions_of_xmtf_are_coefficients_of_its_outer_stage(explore):
    free = FormulaFreeConfig(-0.4, 3.0)
    generated = explore(small_config(fusion=free))
    assert generated.manifest.fusion == {"formula": "xmtf", "low": -0.4, "high": 3.0}
    assert (
        SimulatedInteractionConfig.from_json(json.dumps(generated.manifest.config)).fusion == free
    )
    batch = everything(generated)
    a = np.where(batch.action < 0, 0.4, 3.0) * batch.action
    a = np.repeat(a, batch.candidate_count, axis=0)
    scores = (batch.predictions * (1 + a * batch.predictions)).sum(axis=1)
    ends = np.cumsum(batch.candidate_count)
    best = [np.argmax(part) for part in np.split(scores, ends[:-1])]
    assert np.mean(best == batch.chosen) > 0.99  # but for ties of float32


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ({"action": [0.1, 0.2]}, "action size 2 instead of 3"),
        ({"action": [0.1, 0.2, 0.3], "state_dim": 4}, "state size 4 instead of 20"),
        ({"action": [0.1, 0.2, 0.3], "names": ("a", "b", "c")}, r"predictions \['a', 'b', 'c'\]"),
    ],
)
def test_a_policy_of_another_world_is_refused(explore, tmp_path, policy, words):
    with pytest.raises(DataError, match=words):
        explore(policy_uri=saved_policy(tmp_path / "policy", **policy))


def test_inputs_that_do_not_fit_are_refused(explore, tmp_path):
    with pytest.raises(DataError, match="2 values, but the fusion function formula2 takes 3"):
        explore(small_config(action=(0.1, 0.2)))
    with pytest.raises(DataError, match=r"holds no world\.json"):
        explore(world=tmp_path)
    with pytest.raises(DataError, match=r"holds no fusion policy"):
        explore(policy_uri=tmp_path)
    weights = saved_policy(tmp_path / "weights", [0.1, 0.2, 0.3])
    with pytest.raises(DataError, match=r"for the fusion .*formula2.* those of .*xmtf"):
        explore(small_config(fusion=FormulaFreeConfig(-0.4, 3.0)), weights)
    with pytest.raises(DataError, match="all 1 sessions start in the same second"):
        explore(small_config(sessions=1))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"exploration": "greedy"}, "no exploration 'greedy'; there are: mixed, random, noise"),
        ({"sessions": 0}, "sessions must be at least 1"),
        ({"eval_fraction": 1.0}, "eval_fraction must be between"),
        ({"action": (2.0,)}, r"action must lie in \[-1, 1\]"),
        ({"action": (float("nan"),)}, r"action must lie in \[-1, 1\]"),
        ({"noise_deviation": 0}, "noise_deviation must be positive"),
        ({"seed": -1}, "seed must be from 0"),
        ({"shards": -1}, "shards must not be negative"),
    ],
)
def test_a_bad_configuration_is_refused_by_name(values, words):
    with pytest.raises(ValueError, match=words):
        small_config(**values)
