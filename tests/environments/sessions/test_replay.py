"""Logged sessions, replayed: order, rewards, ends, and what a policy may not see."""

import contextlib
import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from tf_agents.trajectories import time_step as ts

from mtfx.datasets.labels import UNKNOWN
from mtfx.environments.sessions.replay import SessionReplayEnvironment, negative_bce
from mtfx.environments.sessions.table import SessionTable


def make_table(lengths, tasks=2):
    rows = int(np.sum(lengths))
    labels = np.random.default_rng(0).integers(0, 2, (rows, tasks))
    return SessionTable(
        features={
            "row": tf.range(rows, dtype=tf.int64),
            "x": tf.random.stateless_normal([rows], [1, 2]),
        },
        labels=tf.constant(labels, tf.float32),
        lengths=np.asarray(lengths),
    )


def replay(environment, steps, action=0.3):
    """Time steps as NumPy, from a reset on."""
    tasks = environment.action_spec().shape[0]
    actions = tf.fill([environment.batch_size, tasks], action)
    taken = [environment.reset(), *(environment.step(actions) for _ in range(steps))]
    return tf.nest.map_structure(lambda *parts: np.stack(parts), *taken)


def test_features_of_several_values_are_replayed_whole():
    table = make_table([2, 3])
    rows = table.features["row"]
    tags = tf.stack([rows, rows - 1], axis=1)
    table = SessionTable({**table.features, "tags": tags}, table.labels, table.lengths)
    environment = SessionReplayEnvironment(table, 2)
    steps = replay(environment, 6)
    features = steps.observation["features"]
    assert features["tags"].shape == (7, 2, 2)
    np.testing.assert_array_equal(features["tags"][..., 0], features["row"])
    np.testing.assert_array_equal(features["tags"][..., 1], features["row"] - 1)
    spec = environment.observation_spec()["features"]["tags"]
    assert (spec.shape, spec.dtype, int(spec.minimum)) == ([2], tf.int64, -1)


def sessions_of(steps, lane):
    """Rows of each session that a lane completed."""
    found, rows = [], []
    for step_type, row in zip(
        steps.step_type[:, lane], steps.observation["features"]["row"][:, lane], strict=True
    ):
        if step_type == ts.StepType.LAST:
            found.append(rows)
            rows = []
        else:
            rows.append(int(row))
    return found


def test_the_reward_is_the_negative_cross_entropy():
    labels = np.array([[0.0, 1.0], [1.0, 0.0]], np.float32)
    actions = np.array([[0.2, 0.9], [0.4, 0.5]], np.float32)
    expected = labels * np.log(actions) + (1 - labels) * np.log(1 - actions)
    np.testing.assert_allclose(negative_bce(labels, actions), expected, rtol=1e-5)


@pytest.mark.parametrize("label", [0.0, 1.0])
@pytest.mark.parametrize("action", [0.0, 1.0])
def test_certain_predictions_have_finite_rewards(label, action):
    reward = negative_bce(tf.constant(label), tf.constant(action)).numpy()
    assert np.isfinite(reward)
    assert reward == pytest.approx(0.0 if label == action else np.log(1e-7), abs=1e-5, rel=0.02)


@contextlib.contextmanager
def without_tracing():
    """For many environments of a few steps: tracing takes half a second for each."""
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


@settings(max_examples=20)
@given(
    lengths=st.lists(st.integers(1, 5), min_size=1, max_size=8),
    lanes=st.integers(1, 5),
    seed=st.integers(0, 5),
)
def test_sessions_come_whole_in_order_and_each_once_per_round(lengths, lanes, seed):
    environment = SessionReplayEnvironment(make_table(lengths), lanes, seed=seed)
    starts = np.cumsum(lengths) - lengths
    logged = [
        list(range(start, start + length)) for start, length in zip(starts, lengths, strict=True)
    ]
    with without_tracing():
        steps = replay(environment, 2 * (sum(lengths) + len(lengths)))
    is_first = steps.step_type == ts.StepType.FIRST
    begun = steps.observation["features"]["row"][is_first].tolist()
    for lane in range(lanes):
        for session in sessions_of(steps, lane):
            assert session in logged
    for first in range(0, len(begun) - len(lengths) + 1, len(lengths)):
        assert sorted(begun[first : first + len(lengths)]) == sorted(starts)


def test_rewards_feedback_and_ends():
    table = make_table([3, 1])
    steps = replay(SessionReplayEnvironment(table, 2, seed=4), 9, action=0.3)
    labels = table.labels.numpy()
    rows = steps.observation["features"]["row"]
    for step in range(1, 10):
        for lane in range(2):
            kind = steps.step_type[step, lane]
            if kind == ts.StepType.FIRST:
                assert not steps.reward[step, lane].any()
                assert not steps.observation["feedback"][step, lane].any()
                assert steps.discount[step, lane] == 1
                continue
            judged = labels[rows[step - 1, lane]]
            np.testing.assert_allclose(
                steps.reward[step, lane], np.log(np.where(judged, 0.3, 0.7)), rtol=1e-5
            )
            np.testing.assert_array_equal(steps.observation["feedback"][step, lane], judged)
            assert steps.discount[step, lane] == (0 if kind == ts.StepType.LAST else 1)


def test_the_current_time_step_starts_a_session():
    environment = SessionReplayEnvironment(make_table([2, 2]), 3)
    assert (environment.current_time_step().step_type.numpy() == ts.StepType.FIRST).all()


def test_the_seed_decides_the_order():
    def order(seed):
        environment = SessionReplayEnvironment(make_table([1] * 30), 1, seed=seed)
        return replay(environment, 50).observation["features"]["row"].tolist()

    assert order(1) == order(1)
    assert order(1) != order(2)


def test_lanes_and_columns_are_checked():
    with pytest.raises(ValueError, match="batch_size"):
        SessionReplayEnvironment(make_table([2]), 0)
    with pytest.raises(ValueError, match="column x"):
        SessionTable({"x": tf.zeros([3])}, tf.zeros([2, 1]), np.array([2]))
    with pytest.raises(ValueError, match="at least one impression"):
        SessionTable({"x": tf.zeros([2])}, tf.zeros([2, 1]), np.array([2, 0]))


def test_an_unknown_label_gives_no_reward():
    labels = tf.constant([[0.0, UNKNOWN], [UNKNOWN, 1.0]])
    actions = tf.constant([[0.2, 0.9], [0.4, 0.5]])
    expected = [[np.log(0.8), 0.0], [0.0, np.log(0.5)]]
    np.testing.assert_allclose(negative_bce(labels, actions), expected, rtol=1e-5)


def test_sessions_with_unknown_labels_are_replayed_whole():
    table = make_table([3, 2])
    labels = table.labels.numpy()
    labels[1, 0] = labels[4, :] = UNKNOWN
    gaps = dataclasses.replace(table, labels=tf.constant(labels))
    steps = replay(SessionReplayEnvironment(gaps, 1), 7)
    row = steps.observation["features"]["row"][:, 0]
    for step in range(1, len(row)):
        if steps.step_type[step, 0] == ts.StepType.FIRST:
            continue
        given = labels[row[step - 1]]
        np.testing.assert_array_equal(steps.observation["feedback"][step, 0], given)
        hidden = given == UNKNOWN
        np.testing.assert_array_equal(steps.reward[step, 0][hidden], 0.0)
        assert (steps.reward[step, 0][~hidden] < 0).all()
