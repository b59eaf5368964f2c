"""The blessing: each reason to refuse, in words, and what is blessed."""

import dataclasses
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtfx.evaluation.config import BlessingConfig
from mtfx.evaluation.ope.base import Estimate
from mtfx.evaluation.policies.blessing import decide
from mtfx.evaluation.policies.report import report_actions

LOGGED = np.random.default_rng(0).uniform(-0.6, 0.6, (500, 2))
GOOD = report_actions(LOGGED[:100] * 0.8, LOGGED)
CONSTANT = report_actions(np.full((100, 2), 0.1), LOGGED)
REWARDS = {"transitions": 900, "lowest_reward": 0.0, "highest_reward": 2.5}
EARNED = Estimate(3.5, 3.2, 3.8, 100, REWARDS)
NEW, OLD = Estimate(5.0, 4.0, 6.0, 100, {}), Estimate(4.2, 3.9, 4.6, 100, {})


def verdict(actions=GOOD, candidate=NEW, current=OLD, logged=EARNED, **settings):
    return decide(actions, candidate, current, logged, BlessingConfig(**settings))


def test_bounds_are_compared_with_bounds_unless_asked_otherwise():
    assert verdict() == (True, [], [], 3.9, "the current policy's lower bound")
    refused = verdict(reference="value")
    assert refused.reasons == [
        "the lower bound of the policy's value, 4, is below the current policy's value, 4.2"
    ]
    assert verdict(reference="value", max_drop=0.3).blessed
    assert verdict(candidate=OLD, current=OLD).blessed  # as good is good enough
    worse = verdict(candidate=OLD, current=NEW, max_drop=0.05)
    assert not worse.blessed
    assert "below the current policy's lower bound, 4 less 0.05" in worse.reasons[0]


def test_a_refusal_comes_first_and_no_drop_outdoes_it():
    refused = verdict(refusal="not to be served", max_drop=1e6)
    assert (refused.blessed, refused.reasons) == (False, ["not to be served"])
    assert len(verdict(actions=CONSTANT, refusal="not to be served").reasons) == 2


@pytest.mark.parametrize(
    "current",
    [
        None,
        OLD._replace(low=float("nan")),
        OLD._replace(low=float("-inf")),
        Estimate(5744.0, 5700.0, 5800.0, 100, {"largest_return": 60.0}),
    ],
)
def test_without_a_current_value_the_bar_is_what_the_log_earned(current):
    """Seen: a first policy was pushed at -8.4, of a log whose sessions earned 2.4."""
    first = verdict(current=current)
    assert first.blessed
    source = "what the log's own policy earned in 100 held-out sessions"
    assert (first.bar, source in first.bar_source) == (3.2, True)
    assert source in first.notes[0]
    absurd = verdict(candidate=Estimate(-8.4, -9.0, -7.8, 100, {}), current=current)
    assert absurd.reasons == [
        f"the lower bound of the policy's value, -9, is below {source} (lower bound of the mean "
        "3.5), 3.2"
    ]
    just = NEW._replace(low=3.0)
    assert not verdict(candidate=just, current=current).blessed
    assert verdict(candidate=just, current=current, max_drop=0.25).blessed
    assert not verdict(candidate=just, current=current, reference="value", max_drop=0.25).blessed
    assert "is below the bound 4.5" in verdict(current=None, min_value=4.5).reasons[0]


@pytest.mark.parametrize(
    ("logged", "reason"),
    [
        (Estimate(0.0, 0.0, 0.0, 100, {**REWARDS, "highest_reward": 0.0}), "all 900 rewards"),
        (
            Estimate(9.1, 9.0, 9.2, 100, {**REWARDS, "lowest_reward": 2.5}),
            "of the 100 held-out sessions are 2.5, which tells no policy from another",
        ),
        (EARNED._replace(num_sessions=1), "are 1 session, and an interval needs two"),
        (EARNED._replace(value=float("nan")), "what the log earned is not finite"),
        (EARNED._replace(high=float("inf")), "what the log earned is not finite"),
    ],
)
@pytest.mark.parametrize("candidate", [NEW, None])
@pytest.mark.parametrize("current", [OLD, None])
def test_a_log_that_says_nothing_blesses_nothing(logged, reason, candidate, current):
    refused = verdict(candidate=candidate, current=current, logged=logged)
    assert not refused.blessed
    assert len(refused.reasons) == 1
    assert reason in refused.reasons[0]
    assert refused.bar is None


_numbers = st.floats(allow_nan=True, allow_infinity=True)


@given(
    candidate=st.tuples(_numbers, _numbers, _numbers),
    current=st.none() | st.tuples(_numbers, _numbers, _numbers),
    earned=st.tuples(_numbers, _numbers, _numbers),
    rewards=st.tuples(_numbers, _numbers),
    sessions=st.integers(0, 5),
    agreement=st.none() | _numbers,
    effective=st.none() | _numbers,
)
@settings(max_examples=300)
def test_what_is_undefined_never_blesses(
    candidate, current, earned, rewards, sessions, agreement, effective
):
    """A blessing rests on numbers alone: a bar that is one, and a bound that reaches it."""
    diagnostics = {} if effective is None else {"effective_sample_size": effective}
    found = decide(
        GOOD,
        Estimate(*candidate, 100, diagnostics),
        None if current is None else Estimate(*current, 100, {}),
        Estimate(*earned, sessions, dict(zip(REWARDS, (900, *rewards), strict=True))),
        BlessingConfig(),
        agreement,
    )
    assert found.blessed == (not found.reasons)
    if found.blessed:
        assert math.isfinite(found.bar)
        assert candidate[1] >= found.bar
        assert np.isfinite([*candidate, *earned]).all()
        assert rewards[0] < rewards[1]
        assert sessions >= 2
        assert agreement is None or agreement >= 0.8
        assert effective is None or effective >= 10


def test_few_sessions_are_no_evidence():
    lucky = NEW._replace(diagnostics={"effective_sample_size": 1.4})
    assert "rests on 1.4 of 100 sessions" in verdict(candidate=lucky).reasons[0]
    assert verdict(candidate=lucky, min_effective_sessions=1.0).blessed


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
    assert decide(GOOD, NEW, OLD, EARNED, BlessingConfig(), order_agreement=0.81).blessed
    refused = decide(GOOD, NEW, OLD, EARNED, BlessingConfig(), order_agreement=0.206)
    assert "puts what the log showed first in 20.6% of its pairs" in refused.reasons[0]
    undefined = decide(GOOD, NEW, OLD, EARNED, BlessingConfig(), order_agreement=float("nan"))
    assert not undefined.blessed
    assert decide(GOOD, NEW, OLD, EARNED, BlessingConfig(min_order_agreement=0.2), 0.206).blessed
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
    refused = decide(GOOD, None, OLD, EARNED, BlessingConfig(), failure="no densities")
    assert refused.reasons == ["the policy's value could not be estimated: no densities"]


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
        "request would add up to: it was not compared with; the bar is what the log's own policy "
        "earned in 100 held-out sessions (lower bound of the mean 3.5)"
    ]


def test_what_a_reader_must_know():
    unsure = NEW._replace(diagnostics={"converged": False, "value_drift": 0.31, "bellman_gap": 0.7})
    assert verdict(candidate=unsure).notes == [
        "the fit of the estimate had not converged: the value moved by 0.31 in the second half "
        "of the steps, and is 0.7 from where the fit would end"
    ]


def test_settings():
    config = BlessingConfig(min_value=1.0, allow_constant=True)
    assert BlessingConfig.from_dict(dataclasses.asdict(config)) == config
    for bad in (
        {"reference": "mean"},
        {"max_drop": -1.0},
        {"max_drop": float("inf")},
        {"max_drop": float("nan")},
        {"min_value": float("nan")},
        {"min_effective_sessions": 0.5},
        {"max_outside_share": 1.5},
        {"x": 1},
    ):
        with pytest.raises(ValueError, match=next(iter(bad))):
            BlessingConfig.from_dict(bad)
