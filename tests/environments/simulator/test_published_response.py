"""The published simulator's users and their sessions, against NumPy."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from mtfx.environments.simulator.config import (
    CIRCULAR,
    PUBLISHED_RULES,
    PublishedSettings,
    SimulatorConfig,
)
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.policies import ConstantPolicy
from mtfx.environments.simulator.published_response import PublishedResponse
from mtfx.environments.simulator.value import session_figures
from mtfx.environments.simulator.world import load_caveat, load_world, save_world
from mtfx.models.fusion.config import FusionConfig, build_fusion
from tests.simulator_worlds import FEEDBACKS, random_world


def tables(users=12, pool=130, most=30.0, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "watch_s": rng.uniform(0.0, most, (users, pool)).astype(np.float32),
        "chances": rng.uniform(0.0, 1.0, (users, pool, len(FEEDBACKS))).astype(np.float32),
        # From a stranger to somebody who begins at 10, as KuaiRand-1K's users do.
        "logged_s": np.geomspace(1.0, 1e5, users).astype(np.float32),
        "duration_s": rng.uniform(5.0, 60.0, (users, pool)).astype(np.float32),
    }


def published_world(given):
    """A world that is ranked by the predicted play time alone."""
    users, pool = given["watch_s"].shape
    ranks = np.argsort(np.argsort(given["watch_s"], axis=1), axis=1)
    return dataclasses.replace(
        random_world(users=users, pool=pool),
        response=PublishedResponse(given, FEEDBACKS),
        predictions=(1.0 + ranks[..., None]) / pool,
        prediction_names=("play",),
        fused=(),
    )


def numpy_session(watch_s, logged_s):
    """Seconds watched and views of a user who is shown the longest first."""
    satisfaction, views, total = max(logged_s / 10_000, 0.11), 0, 0.0
    left = sorted(watch_s, reverse=True)
    while satisfaction >= 0.1 and views < 97 and left:
        seconds = left.pop(0)
        views, total = views + 1, total + seconds
        satisfaction = 0.95 * satisfaction + 0.05 * seconds / 400
    return total, views


@pytest.mark.parametrize("most", [30.0, 90.0])
def test_whole_sessions_are_those_of_the_published_rules(most):
    given = tables(most=most)
    world = published_world(given)
    simulator = Simulator(world)
    assert simulator.config == PUBLISHED_RULES
    fusion = build_fusion(FusionConfig(formula="formula1", low=0.0, high=1.0), 1)
    users = np.arange(world.num_users)
    found = session_figures(simulator, fusion, ConstantPolicy(np.ones(1)), users, 3, 0.9)
    expected = [
        numpy_session(seconds, logged)
        for seconds, logged in zip(
            given["watch_s"].astype(float), given["logged_s"].astype(float), strict=True
        )
    ]
    np.testing.assert_allclose(found.watch_s, [total for total, _ in expected], rtol=1e-5)
    assert found.views.tolist() == [views for _, views in expected]
    # What is predicted below 40 s never keeps anybody: the start alone says how long it lasts.
    lengths = set(found.views.astype(int).tolist())
    assert (len(lengths) > 3) if most < 40 else (97 in lengths)


def test_an_answer_is_the_prediction_and_changes_satisfaction_by_it_alone():
    given = tables()
    response = PublishedResponse(given, FEEDBACKS)
    rng = np.random.default_rng(1)
    users, slots = rng.integers(0, 12, 4_000), rng.integers(0, 130, 4_000)
    arguments = (tf.constant(users, tf.int32), tf.constant(slots, tf.int32))
    satisfaction = tf.constant(rng.uniform(0.1, 10.0, 4_000), tf.float32)
    seed = tf.constant([5, 6])
    found = response.respond(*arguments, satisfaction, seed)
    watch = given["watch_s"][users, slots]
    np.testing.assert_array_equal(found.watch_s, watch)
    np.testing.assert_array_equal(
        response.expected_watch_s(*arguments, satisfaction), found.watch_s
    )
    np.testing.assert_allclose(found.satisfaction_reward, watch / 400, rtol=1e-6)
    chances = given["chances"][users, slots]
    np.testing.assert_array_equal(response.probabilities(*arguments, satisfaction), chances)
    feedback = found.feedback.numpy()
    assert set(np.unique(feedback)) == {0.0, 1.0}
    np.testing.assert_allclose(feedback.mean(0), chances.mean(0), atol=0.03)
    np.testing.assert_array_equal(
        response.durations_s(*arguments), given["duration_s"][users, slots]
    )
    assert not response.leave_probability(arguments[0], satisfaction).numpy().any()


def test_a_session_starts_at_the_logged_seconds_by_10000_and_at_011_at_least():
    response = PublishedResponse(
        tables(users=3) | {"logged_s": np.array([0.0, 1_099.0, 25_000.0])}, FEEDBACKS
    )
    found = response.initial_satisfaction(tf.constant([0, 1, 2, 2]), tf.constant([1, 2]))
    np.testing.assert_allclose(found, [0.11, 0.11, 2.5, 2.5], rtol=1e-6)


def test_the_preset_is_the_published_codes():
    assert PublishedSettings() == PublishedSettings(400.0, 10_000.0, 0.11)
    assert SimulatorConfig(1_000, 97, 0.95, 0.1) == PUBLISHED_RULES
    with pytest.raises(ValueError, match="watch_s must be positive, got 0"):
        PublishedSettings(watch_s=0.0)


def test_a_saved_world_answers_alike_and_says_that_it_is_circular(tmp_path):
    world = published_world(tables())
    save_world(world, tmp_path / "published")
    again = load_world(tmp_path / "published").response
    assert isinstance(again, PublishedResponse)
    assert again.settings() == world.response.settings()
    for name, table in world.response.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], table)
    assert load_caveat(tmp_path / "published") == again.caveat == CIRCULAR
    save_world(random_world(), tmp_path / "other")
    assert load_caveat(tmp_path / "other") == ""


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("watch_s", np.full((12, 130), -1.0), "'watch_s' must not be negative"),
        ("watch_s", np.full((12, 130), np.nan), "'watch_s' is not finite"),
        ("chances", np.full((12, 130, 3), 1.5), r"'chances' must lie in \[0, 1\]"),
        ("chances", np.zeros((12, 130, 2)), r"'chances' must have shape \[12, 130, 3\]"),
        ("logged_s", np.zeros(11), r"'logged_s' must have shape \[12\]"),
    ],
)
def test_impossible_tables_are_named(name, value, message):
    with pytest.raises(ValueError, match=message):
        PublishedResponse(tables() | {name: value}, FEEDBACKS)


def test_a_missing_table_is_named():
    given = tables()
    del given["watch_s"]
    with pytest.raises(ValueError, match="lacks the table 'watch_s'"):
        PublishedResponse(given, FEEDBACKS)
