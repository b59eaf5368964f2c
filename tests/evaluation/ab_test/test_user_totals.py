"""Totals of users by day against plain loops, and the delta method against the bootstrap."""

import numpy as np
import pytest

from mtfx.evaluation.ab_test.user_totals import (
    DAYS,
    PLAYS,
    POSITIVES,
    WATCH_S,
    ArmLog,
    daily_moments,
)
from tests.evaluation.trial_users import random_arm


def by_loop(arm, day):
    """Totals of the users who are in the trial by the end of a day, `[user, 4]`."""
    rows = []
    for user in range(arm.users):
        days = [d for u, d in zip(arm.user, arm.day, strict=True) if u == user]
        if min(days) > day:
            continue
        mine = (arm.user == user) & (arm.day <= day)
        rows.append([*arm.values[mine].sum(axis=0), day - min(days) + 1])
    return np.asarray(rows)


def test_moments_are_those_of_a_plain_loop():
    arm = random_arm("a", users=25, days=6, seed=3, late=True, away=0.4)
    shuffled = np.random.default_rng(0).permutation(len(arm.user))
    arm = ArmLog("a", arm.user[shuffled], arm.day[shuffled], arm.values[shuffled])
    for day, moments in enumerate(daily_moments(arm, 6)):
        wanted = by_loop(arm, day)
        assert moments.users == len(wanted)
        np.testing.assert_allclose(moments.mean, wanted.mean(axis=0))
        np.testing.assert_allclose(moments.covariance, np.cov(wanted.T))
        np.testing.assert_allclose(moments.today, arm.values[arm.day == day].sum(axis=0))


@pytest.mark.parametrize(("above", "below"), [(WATCH_S, DAYS), (POSITIVES, PLAYS), (PLAYS, DAYS)])
def test_the_error_of_a_ratio_is_the_bootstraps(above, below):
    arm = random_arm("a", users=400, days=5, seed=4, late=True)
    *_, last = daily_moments(arm, 5)
    totals = by_loop(arm, 4)
    rng = np.random.default_rng(5)
    drawn = totals[rng.integers(len(totals), size=(2000, len(totals)))].sum(axis=1)
    found = last.ratio(above, below)
    assert found.value == pytest.approx(totals[:, above].sum() / totals[:, below].sum())
    assert found.error == pytest.approx((drawn[:, above] / drawn[:, below]).std(), rel=0.08)


def test_a_day_away_counts_as_nothing_watched():
    # One user watches 10 s on the first day and never comes back; the other 10 s on each of two.
    arm = ArmLog("a", np.asarray([0, 1, 1]), np.asarray([0, 0, 1]), np.asarray([[10.0, 1, 0]] * 3))
    *_, last = daily_moments(arm, 2)
    assert last.ratio(WATCH_S, DAYS).value == pytest.approx(30 / 4)
    assert last.ratio(PLAYS, DAYS).value == pytest.approx(3 / 4)


def test_what_has_no_ratio_says_so():
    arm = ArmLog("a", np.asarray([0]), np.asarray([1]), np.zeros([1, 3]))
    first, second = daily_moments(arm, 2)
    assert (first.users, first.ratio(WATCH_S, DAYS).value) == (0, None)
    assert second.ratio(POSITIVES, PLAYS).value is None
    assert (second.ratio(WATCH_S, DAYS).value, second.ratio(WATCH_S, DAYS).error) == (0.0, None)


@pytest.mark.parametrize(
    ("day", "values"), [([0, 1], [[1.0, 1, 1]]), ([-1], [[1.0, 1, 1]]), ([0], [[np.nan, 1, 1]])]
)
def test_rows_that_do_not_fit_are_refused(day, values):
    with pytest.raises(ValueError, match="arm a"):
        ArmLog("a", np.zeros(1, int), np.asarray(day), np.asarray(values))
