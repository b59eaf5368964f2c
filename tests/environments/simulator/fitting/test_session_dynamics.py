"""Moods, leaving and the effects of satisfaction, planted in sessions and found again."""

import dataclasses

import numpy as np
import pytest

from mtfx.datasets.labels import UNKNOWN
from mtfx.environments.simulator.fitting.session_dynamics import (
    LoggedSessions,
    fit_sessions,
    neutral_shift,
    offset_slope,
)
from mtfx.environments.simulator.satisfaction import NEUTRAL, SatisfactionRule

RULE = SatisfactionRule(("click", "long_view"), (0.4, 0.4), ())
USERS, CARRY, LEAVE_BELOW = 100, 0.95, 0.1
SLOPES = np.array([6.0, 3.0])
LEVELS = np.array([-1.4, -1.8])
LEAVE_SLOPE, LEAVE_INTERCEPT = 8.0, -2.6


def sigmoid(value):
    return 1 / (1 + np.exp(-value))


def draw(sessions, seed):
    """Sessions by the simulator's rules, one view after the other."""
    rng = np.random.default_rng(seed)
    users, numbers, feedback = [], [], []
    for session in range(sessions):
        user = int(rng.integers(USERS))
        satisfaction = mood = MOODS[user]
        while True:
            logits = LEVELS + TASTES[user] + SLOPES * (satisfaction - mood)
            given = (rng.random(2) < sigmoid(logits)).astype(float)
            users.append(user)
            numbers.append(session)
            feedback.append(given)
            worth = np.clip(given @ [0.4, 0.4] + SHIFT, 0, 1)
            satisfaction = CARRY * satisfaction + (1 - CARRY) * worth
            leaves = sigmoid(LEAVE_INTERCEPT - LEAVE_SLOPE * (satisfaction - NEUTRAL))
            if satisfaction < LEAVE_BELOW or rng.random() < leaves:
                break
    users = np.array(users)
    logged = LoggedSessions(users, np.array(numbers), np.array(feedback), np.zeros(sessions, bool))
    return logged, LEVELS + TASTES[users][:, None]


TASTES = np.random.default_rng(99).normal(0, 0.8, USERS)
_CHANCES = sigmoid(LEVELS + TASTES[:, None])
SHIFT = NEUTRAL - float((_CHANCES @ [0.4, 0.4]).mean())
MOODS = np.clip(_CHANCES @ [0.4, 0.4] + SHIFT, 0.12, 0.8)


def _origin(found):
    """What is added to satisfaction found to have the planted one: neutral is a mean over views,
    of which satisfied users have more."""
    return SHIFT - found.reward_shift


@pytest.fixture(scope="module")
def fitted():
    train, _ = draw(3000, seed=0)
    held_out, logits = draw(2000, seed=1)
    return fit_sessions(RULE, train, held_out, logits, CARRY, LEAVE_BELOW), train


def test_moods_are_the_users_mean_satisfaction(fitted):
    moods = np.array([fitted[0].moods[user] for user in range(USERS)])
    assert np.corrcoef(moods, MOODS)[0, 1] > 0.9
    assert np.abs(moods - MOODS + _origin(fitted[0])).mean() < 0.03


def test_a_mood_is_the_shrunken_mean_of_the_users_impressions(fitted):
    found, train = fitted
    worth = np.clip(train.feedback @ [0.4, 0.4] + found.reward_shift, 0, 1)
    assert worth.mean() == pytest.approx(NEUTRAL, abs=1e-4)
    own = worth[train.user == 7]
    by_hand = (own.sum() + 20 * worth.mean()) / (len(own) + 20)
    assert found.moods[7] == pytest.approx(np.clip(by_hand, 0.12, 0.8), rel=1e-6)


def test_leaving_is_found(fitted):
    assert fitted[0].leave_slope == pytest.approx(LEAVE_SLOPE, rel=0.25)
    at_origin = LEAVE_INTERCEPT - LEAVE_SLOPE * _origin(fitted[0])
    assert fitted[0].leave_intercept == pytest.approx(at_origin, abs=0.2)


def test_slopes_of_satisfaction_are_found(fitted):
    np.testing.assert_allclose(fitted[0].slopes, SLOPES, atol=1.5)


def test_a_feedback_that_follows_the_first_is_seen_to(fitted):
    found, train = fitted
    both = (train.feedback[:, 0] * train.feedback[:, 1]).sum()
    assert found.share_with_primary == (
        1.0,
        pytest.approx((both + 1) / (train.feedback[:, 1].sum() + 2)),
    )


def test_the_end_of_a_cut_session_is_no_departure(fitted):
    train = fitted[1]
    cut = dataclasses.replace(train, cut=np.ones_like(train.cut))
    found = fit_sessions(RULE, cut, train, np.zeros_like(train.feedback), CARRY, LEAVE_BELOW)
    assert found.leave_intercept == pytest.approx(np.log(1e-4 / (1 - 1e-4)), abs=1e-6)
    assert found.leave_slope == 0.0


@pytest.mark.parametrize("rate", [0.01, 0.3, 0.8])
def test_the_mean_reward_is_neutral_where_it_is_cut(rate):
    feedback = (np.random.default_rng(3).random((2000, 2)) < rate).astype(float)
    shift = neutral_shift(RULE, feedback)
    assert RULE.worth(feedback, shift).mean() == pytest.approx(NEUTRAL, abs=1e-4)
    assert (shift > 0) == (rate < 0.3 / 0.8)


def test_an_offset_slope_is_the_logistic_regressions():
    rng = np.random.default_rng(2)
    offset, value = rng.normal(size=30_000), rng.normal(0, 0.2, 30_000)
    labels = (rng.random(30_000) < sigmoid(offset + 0.3 + 2.5 * value)).astype(float)
    assert offset_slope(offset, value, labels) == pytest.approx(2.5, abs=0.25)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_labels_of_one_kind_have_no_slope(label):
    assert offset_slope(np.zeros(9), np.arange(9.0), np.full(9, label)) == 0.0


def test_unknown_feedback_is_worth_nothing_and_fits_no_slope():
    logged, logits = draw(300, 3)
    logged = dataclasses.replace(logged, cut=np.zeros(300, bool))
    rng = np.random.default_rng(0)
    gaps = np.where(rng.random(logged.feedback.shape) < 0.3, UNKNOWN, logged.feedback)
    hidden = dataclasses.replace(logged, feedback=gaps)
    zeros = np.where(gaps == UNKNOWN, 0.0, gaps)
    np.testing.assert_array_equal(RULE.worth(gaps, 0.1), RULE.worth(zeros, 0.1))
    found = fit_sessions(RULE, hidden, hidden, logits, CARRY, LEAVE_BELOW)
    both = (gaps != UNKNOWN).all(axis=1)
    together = (gaps[both, 0] * gaps[both, 1]).sum()
    assert found.share_with_primary[1] == pytest.approx((together + 1) / (gaps[both, 1].sum() + 2))
    assert np.isfinite(found.slopes).all()
