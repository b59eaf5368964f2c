"""What fusion policies are measured with."""

import numpy as np
import pytest
import tensorflow as tf

from evaluation.ope.data import OfflineData
from experiments.fusion_measures import conservative_estimate, other_estimates
from experiments.fusion_trials import FusionTrial
from models.action_policy import ActionSample

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
