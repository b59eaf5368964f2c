"""Calibration finds the distortion of known probabilities."""

import numpy as np
import pytest
from scipy import stats

from mtfx.environments.simulator.fitting.calibration import (
    calibration_error,
    check_calibration,
    fit_platt,
)


def logit(chance):
    return np.log(chance / (1 - chance))


def test_platt_recovers_slope_and_level():
    rng = np.random.default_rng(0)
    true = rng.normal(-1.0, 1.5, 60_000)
    labels = rng.random(len(true)) < 1 / (1 + np.exp(-true))
    # The model overstates: its logits are 2 x + 1, so the cure is x = 0.5 logit - 0.5.
    slope, level, method = fit_platt(2 * true + 1, labels)
    assert method == "platt"
    assert (slope, level) == (pytest.approx(0.5, abs=0.02), pytest.approx(-0.5, abs=0.03))


def test_a_ranking_no_better_than_chance_keeps_only_the_rate():
    rng = np.random.default_rng(1)
    logits = rng.normal(size=5000)
    labels = rng.random(5000) < 1 / (1 + np.exp(logits))
    slope, level, _ = fit_platt(logits, labels)
    assert slope == 0.0
    assert level == pytest.approx(logit(labels.mean()))


def test_of_a_rare_feedback_only_the_level_is_fitted():
    rng = np.random.default_rng(2)
    logits = rng.normal(size=4000)
    labels = np.zeros(4000)
    labels[:12] = 1
    slope, level, method = fit_platt(logits, labels)
    assert (slope, method) == (1.0, "level")
    assert (1 / (1 + np.exp(-(logits + level)))).mean() == pytest.approx(12 / 4000, rel=1e-6)


@pytest.mark.parametrize("labels", [np.zeros(5), np.ones(5)])
def test_labels_of_one_kind_calibrate_nothing(labels):
    assert fit_platt(np.zeros(5), labels) == (1.0, 0.0, "none")


def test_the_calibration_error_of_two_known_buckets():
    chance = np.array([0.2] * 50 + [0.7] * 50)
    labels = np.array([1] * 15 + [0] * 35 + [1] * 30 + [0] * 20)
    # Within one probability the order is the given one: buckets of ten have rates of 1, .5 and 0.
    rates = labels.reshape(10, 10).mean(axis=1)
    by_hand = np.abs(chance.reshape(10, 10)[:, 0] - rates).mean()
    assert calibration_error(chance, labels) == pytest.approx(by_hand)


def test_known_probabilities_are_found_calibrated():
    rng = np.random.default_rng(4)
    chance = rng.beta(1, 3, 40_000)
    labels = (rng.random(len(chance)) < chance).astype(float)
    found = check_calibration("click", chance, labels, "platt")
    assert found.error < 0.01
    assert found.predicted == pytest.approx(found.rate, abs=0.01)
    order = stats.mannwhitneyu(chance[labels == 1], chance[labels == 0]).statistic
    pairs = labels.sum() * (1 - labels).sum()
    assert found.auc == pytest.approx(order / pairs)


def test_without_a_positive_there_is_no_auc():
    assert check_calibration("pay", np.full(4, 0.1), np.zeros(4), "none").auc is None
