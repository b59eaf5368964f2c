"""RMTL's three stages: convergence, resumption at each, transfer, and the MDP's known answer."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from mtfx.agents.rmtl import RmtlAgent
from mtfx.agents.rmtl_config import RmtlConfig
from mtfx.datasets.spec import Task
from mtfx.environments.sessions.replay import SessionReplayEnvironment
from mtfx.environments.sessions.table import SessionTable
from mtfx.errors import TrainingDivergedError
from mtfx.models.config import CriticConfig, ModelConfig, StateConfig
from mtfx.models.critics import build_critics
from mtfx.models.input_features import InputFeature
from mtfx.models.mtl.registry import BackboneConfig
from mtfx.models.ranking_model import RankingModel
from mtfx.trainers.ranking.config import CriticTrainingConfig, RmtlTrainingConfig, TrainingConfig
from mtfx.trainers.ranking.critic_artifact import load_critics, save_critics
from mtfx.trainers.ranking.critics import discounted_returns, train_critics
from mtfx.trainers.ranking.ddpg import train_ddpg
from mtfx.trainers.ranking.rmtl import CRITIC_DIR, critic_config, learn_critics, train_rmtl
from mtfx.trainers.ranking.training import build_for_training

INPUTS = (InputFeature("item", "categorical", 12), InputFeature("age", "numeric"))
TASKS = (Task("click"), Task("like"))
STATE = StateConfig(embedding_dim=4, hidden_units=(), state_dim=8)
SMALL = ModelConfig(
    backbone="shared_bottom",
    sizes=BackboneConfig(bottom_units=(16,), tower_units=(8,), dropout=0.1),
    state=STATE,
)
TRAINING = TrainingConfig(epochs=2, batch_size=64, seed=1)
QUICK = RmtlTrainingConfig(
    critics=CriticTrainingConfig(
        batch_size=64, passes=2, min_passes=1, window=4, lanes=8, tolerance=1e-6
    ),
    retrain_epochs=1,
)


def build_model(weighting=None):
    return RankingModel(INPUTS, TASKS, SMALL, seed=1, weighting=weighting)


def sessions(count=60, seed=0):
    """Clicks that the item decides."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 6, count)
    rows = int(lengths.sum())
    item = rng.integers(0, 12, rows)
    labels = np.stack([item % 2, item % 3 == 0], axis=1)
    return SessionTable(
        {
            "item": tf.constant(item, tf.int64),
            "age": tf.constant(rng.normal(size=rows), tf.float32),
        },
        tf.constant(labels, tf.float32),
        lengths,
    )


def batches(seed=0):
    table = sessions(seed=seed)
    return tf.data.Dataset.from_tensor_slices((table.features, table.labels)).batch(64)


def run(directory: Path, config=QUICK, **overrides):
    arguments = {
        "build_model": build_model,
        "model_config": SMALL,
        "train_data": batches(),
        "validation_data": batches(1),
        "load_sessions": sessions,
        "training": TRAINING,
        "config": config,
        "checkpoint_dir": str(directory / "checkpoints"),
        "log_dir": str(directory / "logs"),
    }
    return train_rmtl(**{**arguments, **overrides})


def never():
    raise AssertionError("a finished stage was repeated")


@settings(max_examples=30)
@given(lengths=st.lists(st.integers(1, 7), min_size=1, max_size=6), gamma=st.floats(0, 0.99))
def test_returns_are_discounted_sums_to_the_sessions_end(lengths, gamma):
    rewards = -np.random.default_rng(2).exponential(size=(sum(lengths), 2))
    returns = discounted_returns(rewards, np.asarray(lengths), gamma)
    start = 0
    for length in lengths:
        for step in range(length):
            rest = rewards[start + step : start + length]
            expected = (gamma ** np.arange(len(rest)))[:, None] * rest
            np.testing.assert_allclose(returns[start + step], expected.sum(axis=0), rtol=1e-9)
        start += length


class _FixedActor(RankingModel):
    """Predicts 0.25 and 0.6 wherever it is asked."""

    def call(self, inputs, training=False):
        logits = tf.math.log([0.25 / 0.75, 0.6 / 0.4])
        return tf.tile(logits[None], [tf.shape(inputs["item"])[0], 1])


@pytest.mark.slow
def test_a_two_state_mdp_is_solved(tmp_path):
    """Item 0, then item 1, then the end: Q(1) = r(1), Q(0) = r(0) + gamma r(1)."""
    labels = np.array([[1.0, 0.0], [0.0, 1.0]])
    table = SessionTable(
        {"item": tf.constant([0, 1] * 32, tf.int64), "age": tf.zeros([64])},
        tf.constant(np.tile(labels, (32, 1)), tf.float32),
        np.full(32, 2),
    )
    environment = SessionReplayEnvironment(table, 8)
    actor = _FixedActor(INPUTS, TASKS, SMALL)
    sizes = CriticConfig(state=STATE, action_units=4, bottom_units=(16,), tower_units=(8,))
    agent = RmtlAgent(
        environment.time_step_spec(),
        environment.action_spec(),
        actor,
        actor,
        build_critics(INPUTS, TASKS, sizes),
        build_critics(INPUTS, TASKS, sizes),
        RmtlConfig(gamma=0.9, critic_learning_rate=3e-3),
    )
    agent.initialize()
    config = CriticTrainingConfig(batch_size=64, passes=1500, min_passes=1500, window=500, lanes=8)
    train_critics(agent, environment, 64, config, str(tmp_path))
    reward = np.log([[0.25, 0.4], [0.75, 0.6]])
    expected = np.stack([reward[0] + 0.9 * reward[1], reward[1]])
    features = {"item": tf.constant([0, 1], tf.int64), "age": tf.zeros([2])}
    np.testing.assert_allclose(
        agent.critics(features, agent.actions(features)), expected, atol=1e-3
    )


def test_the_schedule_trains_logs_and_keeps_the_critics(tmp_path):
    epochs = []
    result = run(tmp_path, on_epoch_end=lambda epoch, metrics: epochs.append(metrics))
    assert len(result.history) == 1
    assert result.history[0]["click_weight"] > 1
    assert len(epochs) == 3
    history = json.loads((tmp_path / "logs" / "critics.json").read_text())
    assert history["steps"] == history["windows"][-1] > 0
    assert not history["converged"]
    critics = load_critics(str(tmp_path / "logs" / CRITIC_DIR), INPUTS, TASKS)
    assert (
        (critics(sessions().features, tf.fill([sessions().num_impressions, 2], 0.5)) <= 0)
        .numpy()
        .all()
    )
    again = run(tmp_path, load_sessions=sessions)
    assert again.resumed_from == 1
    for one, other in zip(
        result.model.trainable_variables, again.model.trainable_variables, strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_retraining_begins_at_the_pretrained_model(tmp_path):
    """With a learning rate of nearly nothing, it also ends there."""
    still = dataclasses.replace(QUICK, retrain_learning_rate=1e-12)
    result = run(tmp_path, still)
    pretrained = run(tmp_path / "other", dataclasses.replace(still, retrain_epochs=1))
    scratch = run(tmp_path / "scratch", dataclasses.replace(still, retrain_from="scratch"))

    def distance(one, other):
        pairs = zip(one.model.trainable_variables, other.model.trainable_variables, strict=True)
        return max(float(tf.reduce_max(tf.abs(a - b))) for a, b in pairs)

    assert distance(result, pretrained) < 1e-6
    assert distance(result, scratch) > 1e-3


@pytest.mark.slow
def test_the_start_is_kept_if_nothing_is_better(tmp_path):
    wild = dataclasses.replace(QUICK, retrain_learning_rate=50.0, keep_start=True)
    good = dataclasses.replace(TRAINING, epochs=8, patience=8, learning_rate=0.02)
    result = run(tmp_path, wild, training=good)
    pretrained = tf.train.Checkpoint(model=build_for_training(build_model, batches(), TRAINING))
    best = tf.train.latest_checkpoint(str(tmp_path / "checkpoints" / "pretrain" / "best"))
    pretrained.restore(best).expect_partial()
    for one, other in zip(
        result.model.trainable_variables, pretrained.model.trainable_variables, strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_critics_resume_where_they_were(tmp_path):
    sizes = critic_config(SMALL, 1, RmtlTrainingConfig())
    actor = build_for_training(build_model, batches(), TRAINING)
    whole = dataclasses.replace(QUICK.critics, passes=4)
    half = dataclasses.replace(whole, passes=2)

    def learn(folder, critics):
        config = dataclasses.replace(QUICK, critics=critics)
        return learn_critics(
            actor, sizes, sessions(), config, 1, str(tmp_path / folder), str(tmp_path / "logs")
        )

    _, first = learn("a", half)
    critics, resumed = learn("a", whole)
    assert resumed.td_error[: len(first.td_error)] == first.td_error
    assert resumed.steps == 2 * first.steps
    _, unbroken = learn("b", whole)
    assert resumed.steps == unbroken.steps
    assert resumed.q[-1] == pytest.approx(unbroken.q[-1], rel=0.1)
    repeated, third = learn("a", whole)
    assert third == resumed
    for one, other in zip(critics.variables, repeated.variables, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_a_small_buffer_sees_the_whole_log(tmp_path):
    config = dataclasses.replace(
        QUICK, critics=dataclasses.replace(QUICK.critics, replay_capacity=40)
    )
    actor = build_for_training(build_model, batches(), TRAINING)
    _, result = learn_critics(
        actor,
        critic_config(SMALL, 1, RmtlTrainingConfig()),
        sessions(),
        config,
        1,
        str(tmp_path / "c"),
        str(tmp_path / "l"),
    )
    assert np.isfinite(result.td_error).all()


def test_converged_critics_stop_early(tmp_path):
    loose = dataclasses.replace(
        QUICK, critics=dataclasses.replace(QUICK.critics, passes=50, tolerance=0.5)
    )
    actor = build_for_training(build_model, batches(), TRAINING)
    _, result = learn_critics(
        actor,
        critic_config(SMALL, 1, RmtlTrainingConfig()),
        sessions(),
        loose,
        1,
        str(tmp_path / "c"),
        str(tmp_path / "l"),
    )
    assert result.converged
    assert result.steps < 50 * 3


def test_divergence_is_an_error(tmp_path):
    wild = dataclasses.replace(QUICK, agent=RmtlConfig(critic_learning_rate=1e30))
    actor = build_for_training(build_model, batches(), TRAINING)
    with pytest.raises(TrainingDivergedError, match="critics' learning rate"):
        learn_critics(
            actor,
            critic_config(SMALL, 1, RmtlTrainingConfig()),
            sessions(),
            wild,
            1,
            str(tmp_path / "c"),
            str(tmp_path / "l"),
        )


@pytest.mark.slow
def test_ddpg_never_ends_below_its_start(tmp_path):
    actor = build_for_training(build_model, batches(), TRAINING)
    actor.fit(batches().repeat(20), verbose=0)
    before = actor.evaluate(batches(1), return_dict=True, verbose=0)
    target = build_for_training(build_model, batches(), TRAINING)
    result = train_ddpg(
        actor,
        target,
        critic_config(SMALL, 1, RmtlTrainingConfig()),
        sessions(),
        batches(1),
        QUICK,
        1,
        1e-2,
        str(tmp_path),
    )
    after = actor.evaluate(batches(1), return_dict=True, verbose=0)
    mean = [sum(m[f"{task.name}_auc"] for task in TASKS) for m in (before, after)]
    assert mean[1] >= mean[0] - 1e-6
    assert result.steps > 0


def test_transferred_critics_are_used_as_they_are(tmp_path):
    critics = build_critics(INPUTS, TASKS, critic_config(SMALL, 5, RmtlTrainingConfig()))
    save_critics(critics, str(tmp_path / "given"), {"from": "elsewhere"})
    config = dataclasses.replace(QUICK, critic_path=str(tmp_path / "given"))
    run(tmp_path, config, load_sessions=never)
    kept = load_critics(str(tmp_path / "logs" / CRITIC_DIR), INPUTS, TASKS)
    for one, other in zip(critics.variables, kept.variables, strict=True):
        np.testing.assert_array_equal(one, other)


def test_wrong_critics_are_refused(tmp_path):
    critics = build_critics(INPUTS, TASKS, critic_config(SMALL, 5, RmtlTrainingConfig()))
    save_critics(critics, str(tmp_path), {})
    with pytest.raises(ValueError, match="no critics"):
        load_critics(str(tmp_path / "nowhere"), INPUTS, TASKS)
    with pytest.raises(ValueError, match="judge"):
        load_critics(str(tmp_path), INPUTS, TASKS[:1])
    other = (InputFeature("item", "categorical", 13), INPUTS[1])
    with pytest.raises(ValueError, match="item differ"):
        load_critics(str(tmp_path), other, TASKS)


def test_regressions_have_no_critics():
    with pytest.raises(ValueError, match=r"binary tasks.*watch \(regression\)"):
        build_critics(INPUTS, (Task("watch", kind="regression"),), CriticConfig())


def test_critics_see_the_features_of_their_level():
    inputs = (
        InputFeature("user", "categorical", 5, level="session"),
        InputFeature("item", "categorical", 12),
    )
    features = {"user": tf.constant([1, 1]), "item": tf.constant([2, 3])}
    actions = tf.fill([2, 2], 0.5)
    for level, tells_apart in (("all", True), ("impression", True), ("session", False)):
        config = RmtlTrainingConfig(critic_features=level)
        critics = build_critics(inputs, TASKS, critic_config(SMALL, 1, config))
        first, second = critics(features, actions).numpy()
        assert np.any(first != second) == tells_apart
    with pytest.raises(ValueError, match="no feature of level session"):
        build_critics(inputs[1:], TASKS, critic_config(SMALL, 1, config))
    with pytest.raises(ValueError, match=r"'items'.*impression"):
        critic_config(SMALL, 1, RmtlTrainingConfig(critic_features="items"))  # type: ignore


def test_configurations_survive_json():
    config = RmtlTrainingConfig(
        agent=RmtlConfig(penalty=0.3), critics=CriticTrainingConfig(passes=3), critic_path="x"
    )
    values = json.loads(json.dumps(dataclasses.asdict(config)))
    assert RmtlTrainingConfig.from_dict(values) == config
    with pytest.raises(ValueError, match="speed"):
        RmtlTrainingConfig.from_dict({"speed": 1})
    sizes = CriticConfig(state=STATE, bottom_units=(3,))
    assert CriticConfig.from_dict(json.loads(json.dumps(dataclasses.asdict(sizes)))) == sizes
    with pytest.raises(ValueError, match="retrain_from"):
        RmtlTrainingConfig(retrain_from="nowhere")
    with pytest.raises(ValueError, match="passes"):
        CriticTrainingConfig(passes=0)
