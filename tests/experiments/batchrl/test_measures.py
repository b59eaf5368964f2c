"""What fusion policies are measured with."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from mtfx.agents.exploration import RandomExploration
from mtfx.evaluation.ope.data import OfflineData
from mtfx.experiments.batchrl.measures import (
    BINS,
    accuracy,
    action_figures,
    action_histograms,
    agreement,
    conservative_estimate,
    other_estimates,
)
from mtfx.experiments.batchrl.trial import FusionTrial
from mtfx.models.action_policy import ActionSample

SESSIONS, STEPS = 6, 3


class Still:
    """Always the middle of the range."""

    def actions(self, states, users, seed):
        count = tf.shape(states)[0]
        return ActionSample(tf.zeros([count, 2]), tf.fill([count], np.float32(np.nan)))


@pytest.fixture(scope="module")
def held_out():
    rng = np.random.default_rng(0)
    count = SESSIONS * STEPS
    step = np.tile(np.arange(STEPS), SESSIONS)
    return OfflineData.from_arrays(
        states=rng.normal(size=(count, 4)),
        actions=rng.uniform(-1, 1, (count, 2)),
        rewards=rng.uniform(size=count),
        next_states=rng.normal(size=(count, 4)),
        discounts=step < STEPS - 1,
        session=np.repeat(np.arange(SESSIONS), STEPS),
        step=step,
        log_density=np.full(count, np.log(0.25)),
    )


def test_as_many_networks_are_fitted_as_the_setting_says(held_out):
    small = (("ope_steps", 4), ("ope_batch_size", 8), ("ope_hidden_units", 4))
    assert FusionTrial("estimates", "constant", 0, small).config.ope_fits == 1
    trial = FusionTrial("estimates", "constant", 0, (*small, ("ope_fits", 2)))
    conservative, actions = conservative_estimate(trial, held_out, Still())
    fqe = other_estimates(trial, held_out, Still())["fqe"]
    for estimate in (conservative, fqe):
        values = estimate["diagnostics"]["fit_values"]
        assert len(values) == 2
        assert estimate["value"] == pytest.approx(np.mean(values))
    assert actions.shape == (SESSIONS * STEPS, 2)


@pytest.mark.parametrize("draws", [2, 3])
def test_as_many_actions_are_drawn_per_state_as_the_setting_says(held_out, draws):
    small = (("ope_steps", 4), ("ope_batch_size", 8), ("ope_hidden_units", 4))
    trial = FusionTrial("estimates", "random", 0, (*small, ("ope_actions", draws)))
    estimate, _ = conservative_estimate(trial, held_out, RandomExploration(2))
    assert estimate["diagnostics"]["actions_per_state"] == draws


def test_values_and_low_ends_are_compared_with_the_truth():
    found = {"a": (1.0, 0.5), "b": (3.0, 1.5), "c": (2.0, 0.2)}
    truth = {"a": 1.0, "b": 2.0, "c": 4.0}
    results = {
        name: {
            "metrics": {"simulator": {"true_return": truth[name]}},
            "notes": {"estimates": {"fqe": {"value": value, "low": low}}},
        }
        for name, (value, low) in found.items()
    }
    result = accuracy(FusionTrial("accuracy", "fqe", 0), results)
    assert result["metrics"] == {
        "over policies": pytest.approx(
            {"kendall_tau": 1 / 3, "relative_error": 1 / 3, "lower_bound": 2 / 3}
        ),
        "low ends of intervals": pytest.approx(
            {"kendall_tau": -1 / 3, "relative_error": 1.7 / 3, "lower_bound": 1.0}
        ),
    }
    assert result["notes"]["low_ends"]["policies"] == 3


def test_distance_is_what_must_be_moved():
    random = np.random.default_rng(0)
    logged = random.uniform(-0.5, 0.5, (400, 3))
    assert action_figures(logged, logged).distance == pytest.approx(0.0)
    moved = logged + np.array([0.1, 0.2, -0.3])
    found = action_figures(moved, logged)
    assert found.distance == pytest.approx(0.2)
    assert found.spread == pytest.approx(logged.std(axis=0).mean())
    assert found.extreme == 0.0


def test_one_dimensional_distance_is_that_of_the_sorted_values():
    random = np.random.default_rng(1)
    own, logged = random.uniform(-1, 1, (50, 2)), random.normal(0, 0.3, (50, 2)).clip(-1, 1)
    by_sorting = np.abs(np.sort(own, axis=0) - np.sort(logged, axis=0)).mean()
    assert action_figures(own, logged).distance == pytest.approx(by_sorting)


def test_actions_at_a_bound_are_counted():
    actions = np.array([[1.0, 0.0], [-1.0, 0.2], [0.96, 0.94], [0.0, -1.0]])
    assert action_figures(actions, actions).extreme == pytest.approx(4 / 8)


def test_histograms_hold_all_actions():
    actions = np.array([[1.0, 0.01], [-1.0, 0.02], [1.0000001, -0.01]])
    found = action_histograms(actions, ("like", "share"))
    assert {name: sum(shares) for name, shares in found.items()} == pytest.approx(
        {"like": 1.0, "share": 1.0}
    )
    assert found["like"][BINS - 1] == pytest.approx(2 / 3)
    assert found["share"][BINS // 2] == pytest.approx(2 / 3)


def test_actions_of_another_size_are_refused():
    with pytest.raises(ValueError, match="cannot be compared"):
        action_figures(np.zeros((3, 2)), np.zeros((3, 4)))


def tau_by_pairs(first, second):
    """Kendall's tau of vectors without ties, from its definition."""
    score, pairs = 0, 0
    for i in range(len(first)):
        for j in range(i):
            score += np.sign(first[i] - first[j]) * np.sign(second[i] - second[j])
            pairs += 1
    return score / pairs


@given(st.permutations(range(8)), st.permutations(range(8)))
def test_tau_counts_pairs_in_the_same_order(first, second):
    first, second = np.array(first, float), np.array(second, float)
    found = agreement(first, second, 0, resamples=20)
    assert found.kendall_tau == pytest.approx(tau_by_pairs(first, second))
    assert found.tau_low <= found.tau_high


def test_errors_and_bounds():
    found = agreement(np.array([1.0, 3.0, 2.0, np.nan]), np.array([2.0, 2.0, 4.0, 1.0]), 0)
    assert found.policies == 3
    assert found.relative_error == pytest.approx((0.5 + 0.5 + 0.5) / 3)
    assert found.lower_bound == pytest.approx(2 / 3)


def test_the_interval_holds_a_perfect_agreement():
    truth = np.arange(12.0)
    found = agreement(0.5 * truth, truth, 0)
    assert (found.kendall_tau, found.tau_low, found.tau_high) == pytest.approx((1.0, 1.0, 1.0))
    assert found.lower_bound == 1.0


def test_too_little_is_undefined_and_not_an_error():
    assert np.isnan(agreement(np.array([np.nan, 1.0]), np.array([1.0, 2.0]), 0).kendall_tau)
    assert np.isnan(agreement(np.ones(3), np.arange(3.0), 0).kendall_tau)
    with pytest.raises(ValueError, match="one estimate per policy"):
        agreement(np.ones(3), np.ones(2), 0)
