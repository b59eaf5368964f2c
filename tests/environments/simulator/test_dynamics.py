"""The simulator step by step, against one session at a time in plain NumPy."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from mtfx.datasets.rewards import RewardConfig
from mtfx.environments.simulator.config import SimulatorConfig
from mtfx.environments.simulator.draws import Stream, fold_in, session_seeds, uniforms
from mtfx.environments.simulator.dynamics import Simulator
from tests.simulator_worlds import random_world

REWARD = RewardConfig(
    watch_weight=2.0, integrity_weight=0.7, feedback_weights=(("click", 0.1), ("like", 3.0))
)


def numbers(seed, stream, step, columns):
    return uniforms(fold_in(tf.constant([seed]), stream, step), columns).numpy()[0].astype(float)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class Reference:
    """One session, with the world's tables read directly."""

    def __init__(self, world, config, user, seed):
        self.tables, self.facts = world.response.arrays(), world.response.settings()
        self.world, self.config, self.user, self.seed = world, config, user, seed
        draw = np.clip(numbers(seed, Stream.INITIAL, 0, 1)[0], 2**-25, 1)
        # The normal quantile by bisection of its distribution function.
        low, high = -6.0, 6.0
        for _ in range(60):
            middle = (low + high) / 2
            below = 0.5 * (1 + float(tf.math.erf(tf.constant(middle / 2**0.5, tf.float64)))) < draw
            low, high = (middle, high) if below else (low, middle)
        self.satisfaction = np.clip(
            self.tables["mood"][user] + self.facts["mood_sd"] * low, 0.12, 0.8
        )
        self.step, self.watched = 0, set()
        self.now_ms, self.past = int(world.requests.start_ms[user]), []

    def state(self, offered):
        world, newest = self.world, self.past[::-1][:50]
        angle = self.now_ms % 86_400_000 / 86_400_000 * 2 * np.pi
        sums = np.sum([*(values for _, values in newest), np.zeros(4)], axis=0)
        age_s = (self.now_ms - newest[0][0]) / 1000 if newest else None
        return np.concatenate(
            [
                world.requests.attributes[self.user],
                [np.sin(angle), np.cos(angle)],
                [1.5 if age_s is None else np.log1p(age_s) / 12],
                [np.log1p(len(newest)) / 5],
                sums / (len(newest) + 3),
                [len(newest) / 100],
                sums / max(len(newest), 1),
                np.mean([world.predictions[self.user, slot] for slot in offered], axis=0),
            ]
        )

    def show(self, slot):
        """Feedback, watch time, reward, and whether the session is over."""
        tables, facts, user, step = self.tables, self.facts, self.user, self.step
        draw = numbers(self.seed, Stream.RESPONSE, step, 4)
        distance = self.satisfaction - facts["neutral"]
        chance = sigmoid(tables["logits"][user, slot] + np.array(facts["slopes"]) * distance)
        feedback = (draw[1:] < chance).astype(float)
        duration = float(tables["duration_s"][user, slot])
        median = tables["median_watch_s"][user, slot] * np.exp(facts["watch_slope"] * distance)
        quantile = np.clip(draw[0], 1e-7, 1 - 1e-7)
        watch = min(median * (quantile / (1 - quantile)) ** 0.5, facts["max_loops"] * duration)
        worth = min(max(float(feedback @ facts["satisfaction_weights"]), 0), 1)
        self.satisfaction = (
            self.config.carry_over * self.satisfaction + (1 - self.config.carry_over) * worth
        )
        leaving = tables["leave_logits"][user] - facts["leave_slope"] * (
            self.satisfaction - facts["neutral"]
        )
        leaves = numbers(self.seed, Stream.LEAVE, step, 1)[0] < sigmoid(leaving)
        self.watched.add(slot)
        self.past.append((self.now_ms, np.append(feedback, min(watch / duration, 3.0))))
        self.now_ms += round(1000 * watch) + 2_000
        self.step += 1
        over = (
            leaves
            or self.satisfaction < self.config.leave_below
            or self.step == self.config.max_views
            or self.step == self.world.pool_size
        )
        # Long view is not named by the reward and counts 1.
        reward = 2.0 * watch / 60 + 0.7 * min(watch / duration, 1) + feedback @ [0.1, 1.0, 3.0]
        return feedback, watch, reward, over


@pytest.mark.parametrize(
    ("pool", "config"),
    [
        (40, SimulatorConfig(candidates=10, max_views=12, reward=REWARD)),
        (6, SimulatorConfig(candidates=10, max_views=50, reward=REWARD)),
        (9, SimulatorConfig(candidates=4, leave_below=0.3, carry_over=0.8, reward=REWARD)),
    ],
)
def test_sessions_are_those_of_the_reference(pool, config):
    world = random_world(users=6, pool=pool, seed=1)
    simulator = Simulator(world, config)
    users = np.arange(6, dtype=np.int32).repeat(3)
    seeds = session_seeds(tf.constant([5, 6]), len(users)).numpy()
    session = simulator.reset(tf.constant(users), tf.constant([5, 6]))
    references = [Reference(world, config, u, s) for u, s in zip(users, seeds, strict=True)]
    over, ended = np.zeros(len(users), bool), np.zeros(len(users), int)
    for number in range(config.max_views):
        offer = simulator.candidates(session)
        states = simulator.observe(session).numpy()
        mask, slots = offer.mask.numpy(), offer.slots.numpy()
        chosen = (number + np.arange(len(users))) % np.maximum(mask.sum(axis=1), 1)
        following, outcome = simulator.step(session, tf.constant(chosen, tf.int32))
        for row, reference in enumerate(references):
            if over[row]:
                continue
            offered = slots[row][mask[row]].tolist()
            left = pool - len(reference.watched)
            assert len(set(offered)) == len(offered) == min(left, config.candidates)
            assert not set(offered) & reference.watched
            np.testing.assert_array_equal(
                offer.predictions[row][mask[row]], world.predictions[users[row], offered]
            )
            assert float(session.satisfaction[row]) == pytest.approx(
                reference.satisfaction, abs=1e-4
            )
            np.testing.assert_allclose(states[row], reference.state(offered), atol=1e-3, rtol=1e-3)
            feedback, watch, reward, done = reference.show(slots[row, chosen[row]])
            np.testing.assert_array_equal(outcome.feedback[row], feedback)
            assert float(outcome.watch_s[row]) == pytest.approx(watch, rel=1e-3)
            assert float(outcome.reward[row]) == pytest.approx(reward, rel=1e-3)
            assert bool(outcome.done[row]) == bool(done)
            over[row], ended[row] = done, number
        if over.all():
            break
        session = following
    assert over.all()
    assert len(set(ended)) > 1
    if pool == 6:
        assert any(len(reference.watched) == pool for reference in references)


def test_state_names_are_the_states_columns():
    world = random_world(users=2, pool=5, tasks=2, attributes=3)
    simulator = Simulator(world, SimulatorConfig(candidates=3))
    session = simulator.reset(tf.constant([1]), tf.constant([0, 0]))
    state = dict(zip(simulator.state_names, simulator.observe(session).numpy()[0], strict=True))
    assert state["attribute_2"] == world.requests.attributes[1, 2]
    assert state["session_like"] == state["session_views"] == state["history_click"] == 0
    assert simulator.state_names[-2:] == ("mean_task_0", "mean_task_1")
    later = simulator.reset(
        tf.constant([1]), tf.constant([0, 0]), tf.constant([3_600_000 * 6], tf.int64)
    )
    morning = dict(zip(simulator.state_names, simulator.observe(later).numpy()[0], strict=True))
    assert morning["hour_sin"] == pytest.approx(1.0)


def test_what_a_log_knew_before_the_session_is_in_the_state():
    world = random_world(users=2, pool=9)
    now = int(world.requests.start_ms[0])
    past_ms, past = world.requests.past_ms.copy(), world.requests.past.copy()
    past_ms[0, :2], past[0, :2] = [now - 60_000, now - 86_400_000], [[1, 0, 0, 0.5], [1, 1, 0, -1]]
    requests = dataclasses.replace(world.requests, past_ms=past_ms, past=past)
    simulator = Simulator(dataclasses.replace(world, requests=requests))
    session = simulator.reset(tf.constant([0, 1]), tf.constant([0, 0]))
    known, stranger = (
        dict(zip(simulator.state_names, row, strict=True))
        for row in simulator.observe(session).numpy()
    )
    assert known["history_click"] == pytest.approx(2 / 5)
    assert known["history_watch_share"] == pytest.approx(0.5 / 4)
    assert known["session_views"] == pytest.approx(0.01)
    assert known["session_watch_share"] == pytest.approx(0.5)
    assert stranger["history_click"] == 0


def test_the_same_luck_whatever_is_shown_and_however_batched():
    simulator = Simulator(random_world(), SimulatorConfig(candidates=5))
    users = tf.constant([3, 4, 5])
    session = simulator.reset(users, tf.constant([7, 8]))
    # The same items in another batch: the middle session alone.
    alone = type(session)(*(part[1:2] for part in session))
    first, outcome = simulator.step(session, tf.constant([0, 2, 1]))
    second, lone = simulator.step(alone, tf.constant([2]))
    assert outcome.watch_s[1] == lone.watch_s[0]
    np.testing.assert_array_equal(first.remaining[1:2], second.remaining)
    # Luck is a fixed number per session and step: better items cannot get worse answers.
    logits = simulator.world.response.arrays()["logits"]
    slots = simulator.candidates(session).slots.numpy()
    for column in range(5):
        _, other = simulator.step(session, tf.fill([3], column))
        for row, user in enumerate((3, 4, 5)):
            better = logits[user, slots[row, column]] >= logits[user, slots[row, [0, 2, 1][row]]]
            mine, theirs = (found.feedback[row].numpy() for found in (other, outcome))
            assert (mine[better] >= theirs[better]).all()


@settings(max_examples=10)
@given(pool=st.integers(1, 12), candidates=st.integers(1, 15), seed=st.integers(0, 99))
def test_nothing_is_shown_twice_until_the_pool_is_empty(pool, candidates, seed):
    world = random_world(users=3, pool=pool)
    simulator = Simulator(world, SimulatorConfig(candidates=candidates, leave_below=0.0))
    session = simulator.reset(tf.constant([0, 1, 2]), tf.constant([seed, 0]))
    shown = []
    for _ in range(pool):
        slots = simulator.candidates(session).slots[:, 0]
        session, outcome = simulator.step(session, tf.zeros([3], tf.int32))
        shown.append(slots.numpy())
    for of_session in np.array(shown).T:
        assert sorted(of_session) == list(range(pool))
    assert outcome.done.numpy().all()
    assert not simulator.candidates(session).mask.numpy().any()
    assert np.isfinite(simulator.observe(session).numpy()).all()
