"""Decisions of a trial: none without a difference, the right one with it, none from bad groups."""

import dataclasses
import json
import math

import numpy as np
import pytest

from mtfx.evaluation.ab_test.trial import METRICS, TrialSettings, judge_trial
from mtfx.evaluation.ab_test.user_totals import ArmLog
from tests.evaluation.trial_users import random_arm

DAYS = tuple(f"day {number}" for number in range(1, 11))
SETTINGS = TrialSettings(effect=0.1)


def trial(lift=1.0, users=600, settings=SETTINGS, days=DAYS, seed=0, **options):
    arms = [
        random_arm(name, users, len(days), (seed, place), lift=rise, **options)
        for place, (name, rise) in enumerate((("old", 1.0), ("new", lift)))
    ]
    return judge_trial(*arms, days, settings)


def test_a_difference_is_found_and_measured():
    result = trial(lift=1.5)
    watch = result.metrics["watch_s"]
    assert (result.decision, watch.direction) == ("better", "up")
    assert watch.decided_on is not None
    last = watch.looks[-1]
    assert last.sequence is not None
    assert last.interval is not None
    assert last.sequence[0] < last.interval[0] < last.difference < last.interval[1]
    assert last.interval[1] < last.sequence[1]
    assert last.interval[0] < 0.5 < last.interval[1]
    assert last.p < 0.05
    # What does not differ is not said to.
    assert result.metrics["plays"].direction == "open"
    assert trial(lift=1 / 1.5).decision == "worse"
    assert trial().decision == "undecided"


def test_the_first_day_that_decides_is_kept():
    result = trial(lift=1.5)
    watch = result.metrics["watch_s"]
    excluded = [not look.sequence[0] <= 0 <= look.sequence[1] for look in watch.looks]
    assert watch.decided_on == excluded.index(True)


def test_later_days_do_not_change_earlier_looks():
    arms = [random_arm(name, 300, 10, seed) for name, seed in (("old", 1), ("new", 2))]
    short = []
    for arm in arms:
        early = arm.day < 4
        short.append(ArmLog(arm.name, arm.user[early], arm.day[early], arm.values[early]))
    whole, part = judge_trial(*arms, DAYS, SETTINGS), judge_trial(*short, DAYS[:4], SETTINGS)
    for name in METRICS:
        assert whole.metrics[name].looks[:4] == part.metrics[name].looks
        assert whole.metrics[name].today[:4] == part.metrics[name].today


@pytest.mark.slow
def test_looking_every_day_does_not_inflate_the_error():
    """1,000 A/A trials of 30 days whose users differ, join late and stay away."""
    days = tuple(map(str, range(30)))
    settings = dataclasses.replace(SETTINGS, min_users=50)
    count, false_alarms, every_day = 1000, dict.fromkeys(METRICS, 0), dict.fromkeys(METRICS, 0)
    for number in range(count):
        found = trial(users=150, days=days, settings=settings, seed=number, late=number % 2 == 1)
        for name, metric in found.metrics.items():
            false_alarms[name] += metric.decided_on is not None
            every_day[name] += any(
                look.interval is not None and not look.interval[0] <= 0 <= look.interval[1]
                for look in metric.looks
            )
    alpha = settings.alpha
    slack = 3 * math.sqrt(alpha * (1 - alpha) / count)
    for name in METRICS:
        assert false_alarms[name] / count <= alpha + slack, (name, false_alarms)
        assert every_day[name] / count > alpha + slack, (name, every_day)


def test_groups_that_were_not_divided_as_planned_decide_nothing():
    old, new = random_arm("old", 900, 3, 1), random_arm("new", 600, 3, 2, lift=3.0)
    result = judge_trial(old, new, DAYS[:3], SETTINGS)
    assert result.metrics["watch_s"].direction == "up"
    assert (result.mismatch, result.decision) == (True, "invalid")
    planned = dataclasses.replace(SETTINGS, treatment_share=0.4)
    assert judge_trial(old, new, DAYS[:3], planned).decision == "better"


def test_too_few_users_are_shown_and_decide_nothing():
    few = trial(lift=20.0, users=99)
    assert few.decision == "undecided"
    assert few.metrics["watch_s"].looks[-1].difference > 1
    assert few.metrics["watch_s"].looks[-1].sequence is None
    with pytest.raises(ValueError, match="new has 1 users"):
        judge_trial(random_arm("old", 5, 2, 0), random_arm("new", 1, 2, 0), DAYS[:2], SETTINGS)
    with pytest.raises(ValueError, match="at least one day"):
        judge_trial(random_arm("old", 5, 2, 0), random_arm("new", 5, 2, 0), (), SETTINGS)


def test_an_arm_without_interactions_has_no_relative_difference():
    old, new = random_arm("old", 200, 2, 1), random_arm("new", 200, 2, 2)
    new.values[:, 2] = 0.0
    result = judge_trial(old, new, DAYS[:2], SETTINGS)
    metric = result.metrics["positive_rate"]
    assert (metric.direction, metric.looks[-1].treatment) == ("open", 0.0)
    assert metric.looks[-1].difference is None
    assert "NaN" not in json.dumps(result.to_json())


def test_daily_figures_are_of_the_day_alone():
    result = trial(users=40, days=DAYS[:2])
    arm = random_arm("old", 40, 2, (0, 0), lift=1.0)
    second = arm.values[arm.day == 1].sum(axis=0)
    found = [result.metrics[name].today[1][0] for name in ("watch_s", "positive_rate", "plays")]
    np.testing.assert_allclose(found, [second[0] / 40, second[2] / second[1], second[1] / 40])


@pytest.mark.parametrize(
    "changes",
    [
        {"metric": "clicks"},
        {"alpha": 0.0},
        {"effect": -1.0},
        {"treatment_share": 1.0},
        {"min_users": 1},
    ],
)
def test_wrong_settings_are_named(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        dataclasses.replace(SETTINGS, **changes)
