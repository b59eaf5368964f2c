"""What fusion policies are measured with."""

import numpy as np
import pytest
import tensorflow as tf

from mtfx.agents.exploration import RandomExploration
from mtfx.evaluation.ope.data import OfflineData
from mtfx.experiments.batchrl.measures import accuracy, conservative_estimate, other_estimates
from mtfx.experiments.batchrl.trials import FusionTrial
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
    assert FusionTrial("estimates", "constant", 0, small).setting("ope_fits") == 1
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
