"""The blessing: each reason to refuse, in words, and what is blessed."""

import dataclasses
import re

import numpy as np
import pytest

from evaluation.ope.base import Estimate
from evaluation.policy_blessing import BlessingConfig, decide
from evaluation.policy_report import report_actions

LOGGED = np.random.default_rng(0).uniform(-0.6, 0.6, (500, 2))
GOOD = report_actions(LOGGED[:100] * 0.8, LOGGED)
CONSTANT = report_actions(np.full((100, 2), 0.1), LOGGED)
NEW, OLD = Estimate(5.0, 4.0, 6.0, 100, {}), Estimate(4.2, 3.9, 4.6, 100, {})


def verdict(actions=GOOD, candidate=NEW, current=OLD, **settings):
    return decide(actions, candidate, current, BlessingConfig(**settings))


def test_bounds_are_compared_with_bounds_unless_asked_otherwise():
    assert verdict() == (True, [], [])
    refused = verdict(reference="value")
    assert refused.reasons == [
        "the lower bound of the policy's value, 4, is below the current policy's value, 4.2"
    ]
    assert verdict(reference="value", max_drop=0.3).blessed
    assert verdict(candidate=OLD, current=OLD).blessed  # as good is good enough
    worse = verdict(candidate=OLD, current=NEW, max_drop=0.05)
    assert not worse.blessed
    assert "below the current policy's lower bound, 4 by more than 0.05" in worse.reasons[0]


def test_a_first_run_has_only_absolute_bounds():
    first = verdict(current=None)
    assert first.blessed
    assert first.notes == ["there is no current policy to compare with"]
    assert "is below the bound 4.5" in verdict(current=None, min_value=4.5).reasons[0]


@pytest.mark.parametrize(
    ("actions", "reason"),
    [
        (np.where(np.arange(200).reshape(100, 2) < 50, np.nan, 0.1), "NaN or infinite in 25.00%"),
        (np.linspace(-2, 2, 200).reshape(100, 2), "lie outside \\[-1, 1\\]"),
        (np.full((100, 2), 0.1), "collapsed: its action is the same in all states"),
        (np.where(LOGGED[:100] > 0, 1.0, -1.0), "collapsed: its actions are at their bounds"),
        (np.where(LOGGED[:100] > 0, 0.9, -0.7), "100.0% of the policy's actions are beyond"),
    ],
)
def test_actions_that_are_refused(actions, reason):
    refused = verdict(report_actions(actions, LOGGED))
    assert not refused.blessed
    assert re.search(reason, " ".join(refused.reasons))


def test_an_estimate_of_another_ranking_blesses_nothing():
    assert decide(GOOD, NEW, OLD, BlessingConfig(), order_agreement=0.81).blessed
    refused = decide(GOOD, NEW, OLD, BlessingConfig(), order_agreement=0.206)
    assert "puts what the log showed first in 20.6% of its pairs" in refused.reasons[0]
    assert decide(GOOD, NEW, OLD, BlessingConfig(min_order_agreement=0.2), 0.206).blessed
    with pytest.raises(ValueError, match="min_order_agreement is a share"):
        BlessingConfig(min_order_agreement=1.1)


def test_a_constant_policy_is_legal_when_flagged():
    blessed = verdict(CONSTANT, allow_constant=True)
    assert blessed.blessed
    assert "same action in all states, as is allowed" in blessed.notes[0]
    saturated = report_actions(np.ones((100, 2)), LOGGED)
    assert not verdict(saturated, allow_constant=True, max_outside_share=1.0).blessed


@pytest.mark.parametrize("field", ["value", "low", "high"])
def test_an_estimate_that_is_not_finite_is_refused(field):
    refused = verdict(candidate=NEW._replace(**{field: float("nan")}))
    assert refused.reasons == ["the estimate of the policy's value is not finite"]
    assert verdict(candidate=None).reasons == ["the policy's value was not estimated"]


def test_a_value_that_no_session_can_earn_is_no_value():
    """Seen: a diverged fit put a policy of 9.6 at 5,744."""
    absurd = Estimate(5744.0, 5700.0, 5800.0, 100, {"largest_return": 60.0})
    [reason] = verdict(candidate=absurd).reasons
    assert "5700, is more than the largest logged reward at every request" in reason
    assert "60: the fit of the estimate diverged" in reason
    possible = absurd._replace(low=59.0)  # the interval reaches what is possible
    assert verdict(candidate=possible).blessed
    assert verdict(candidate=absurd._replace(diagnostics={"largest_return": None})).blessed
    compared = verdict(current=absurd)
    assert compared.blessed
    assert compared.notes == [
        "the current policy's lower bound, 5700, is more than the largest logged reward at every "
        "request would add up to: it was not compared with"
    ]


def test_what_a_reader_must_know():
    unsure = NEW._replace(diagnostics={"converged": False, "value_drift": 0.31, "bellman_gap": 0.7})
    assert verdict(candidate=unsure).notes == [
        "the fit of the estimate had not converged: the value moved by 0.31 in the second half "
        "of the steps, and is 0.7 from where the fit would end"
    ]
    unknown = verdict(current=OLD._replace(low=float("nan")))
    assert unknown.blessed
    assert unknown.notes == [
        "the current policy's lower bound is not finite: it was not compared with"
    ]


def test_settings():
    config = BlessingConfig(min_value=1.0, allow_constant=True)
    assert BlessingConfig.from_dict(dataclasses.asdict(config)) == config
    for bad in ({"reference": "mean"}, {"max_drop": -1.0}, {"max_outside_share": 1.5}, {"x": 1}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            BlessingConfig.from_dict(bad)
