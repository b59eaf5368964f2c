"""The response model learns a planted taste and is calibrated on rows it has not seen."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from mtfx.datasets.labels import UNKNOWN
from mtfx.environments.simulator.fitting.config import ResponseTrainingConfig
from mtfx.environments.simulator.fitting.response import ResponseRows, fit_response
from mtfx.errors import DataError
from mtfx.models.config import ResponseNetworkConfig
from mtfx.models.input_features import InputFeature
from mtfx.models.response import ResponseNetwork

INPUTS = (InputFeature("user", "categorical", 6), InputFeature("item", "categorical", 6))
CONFIG = ResponseTrainingConfig(
    network=ResponseNetworkConfig(
        embedding_dim=4, state_dim=8, bottom_units=(8,), tower_units=(4,), dropout=0.0
    ),
    epochs=6,
    batch_size=128,
    learning_rate=0.02,
)

EFFECTS = np.linspace(-1.2, 1.2, 6)


def planted(users, items):
    return 1 / (1 + np.exp(0.5 - EFFECTS[users] - EFFECTS[items]))


def rows(size, seed):
    rng = np.random.default_rng(seed)
    users, items = rng.integers(0, 6, size), rng.integers(0, 6, size)
    chance = planted(users, items)
    clicks = rng.random(size) < chance
    likes = rng.random(size) < 0.1 + 0.2 * chance
    watch = np.expm1(np.where(clicks, 3.0, 0.7) + 0.4 * rng.normal(size=size))
    return ResponseRows(
        {"user": users, "item": items},
        np.stack([clicks, likes], axis=1).astype(np.float32),
        np.clip(watch, 0, 90).astype(np.float32),
        np.full(size, 30.0, np.float32),
    )


@pytest.fixture(scope="module")
def fitted():
    parts = (rows(2500, 0), rows(1000, 1), rows(2000, 2))
    told = []
    found = fit_response(
        INPUTS, ("click", "like"), *parts, CONFIG, lambda epoch, loss: told.append(epoch)
    )
    return found, parts[2], told


@pytest.mark.slow
def test_probabilities_are_the_planted_ones(fitted):
    found, check, _ = fitted
    users, items = (grid.ravel() for grid in np.meshgrid(np.arange(6), np.arange(6)))
    logits, _ = found.predict({"user": users, "item": items})
    chance = 1 / (1 + np.exp(-logits[:, 0]))
    assert np.abs(chance - planted(users, items)).mean() < 0.06
    best = planted(check.features["user"], check.features["item"])
    pairs = best[check.feedback[:, 0] == 1][:, None] - best[check.feedback[:, 0] == 0]
    assert found.calibration[0].auc > ((pairs > 0) + 0.5 * (pairs == 0)).mean() - 0.03


@pytest.mark.slow
def test_it_is_calibrated_on_rows_it_has_not_seen(fitted):
    found, check, _ = fitted
    for k, feedback in enumerate(found.calibration):
        assert feedback.rate == pytest.approx(check.feedback[:, k].mean())
        assert feedback.predicted == pytest.approx(feedback.rate, abs=0.04)
        assert feedback.error < 0.06


@pytest.mark.slow
def test_watch_time_depends_on_the_click(fitted):
    found, check, _ = fitted
    _, bins = found.predict(check.features)
    medians = found.watch.quantiles[..., 32]
    seconds = [np.interp(bins[:, k], np.arange(medians.shape[1]), medians[k]) for k in (0, 1)]
    np.testing.assert_allclose(np.mean(seconds, axis=1), np.expm1([3.0, 0.7]), rtol=0.1)
    logged, expected = found.watch_s
    assert logged == pytest.approx(check.watch_s.mean(), rel=1e-5)
    assert expected == pytest.approx(logged, rel=0.1)


@pytest.mark.slow
def test_training_stops_and_keeps_the_best_epoch(fitted):
    found, _, told = fitted
    assert told == list(range(1, len(found.losses) + 1))
    assert len(found.losses) - 1 - int(np.argmin(found.losses)) <= CONFIG.patience
    assert min(found.losses) < found.losses[0]


def test_without_watch_times_nothing_is_watched():
    part = rows(200, 3)._replace(watch_s=None)
    config = dataclasses.replace(CONFIG, epochs=1)
    found = fit_response(INPUTS, ("click", "like"), part, part, part, config)
    assert found.watch_s is None
    assert not found.watch.quantiles.any()
    assert not found.predict(part.features)[1].any()


@pytest.mark.slow
def test_a_biased_log_teaches_the_taste_and_random_rows_the_level():
    """In the log to pretrain on, clicks are 1.5 logits more likely than at random."""
    biased = rows(6000, 4)
    rng = np.random.default_rng(5)
    users, items = biased.features["user"], biased.features["item"]
    odds = np.exp(1.5) * planted(users, items) / (1 - planted(users, items))
    clicks = (rng.random(len(users)) < odds / (1 + odds)).astype(np.float32)
    biased = biased._replace(feedback=np.stack([clicks, biased.feedback[:, 1]], axis=1))
    few, calibrate, check = rows(150, 6), rows(600, 7), rows(2000, 8)
    config = dataclasses.replace(CONFIG, epochs=4)
    parts = (few, calibrate, check)
    without, found = (
        fit_response(INPUTS, ("click", "like"), *parts, config, pretrain=before)
        for before in (None, biased)
    )
    assert 0 < found.pretraining_epochs < len(found.losses)
    assert found.calibration[0].auc > without.calibration[0].auc + 0.02
    assert found.calibration[0].predicted == pytest.approx(check.feedback[:, 0].mean(), abs=0.05)


@pytest.mark.parametrize(("place", "name"), [(0, "fit"), (1, "calibrate"), (2, "check")])
def test_no_rows_are_refused(place, name):
    parts = [rows(10, 0)] * 3
    parts[place] = parts[place].take(np.zeros(0, int))
    with pytest.raises(ValueError, match=f"no rows to {name}"):
        fit_response(INPUTS, ("click", "like"), *parts, CONFIG)


def test_a_missing_feature_and_a_wrong_setting_are_named():
    part = rows(10, 0)
    bare = part._replace(features={"user": part.features["user"]})
    with pytest.raises(DataError, match=r"rows to fit .* lack the feature 'item'.*declares"):
        fit_response(INPUTS, ("click", "like"), bare, part, part, CONFIG)
    with pytest.raises(DataError, match="rows to pretrain"):
        fit_response(INPUTS, ("click", "like"), part, part, part, CONFIG, pretrain=bare)
    with pytest.raises(ValueError, match="patience must be at least 1, got 0"):
        ResponseTrainingConfig(patience=0)


def test_an_infinite_watch_time_is_explained():
    part = rows(64, 0)
    part.watch_s[0] = np.inf
    with pytest.raises(ValueError, match="extreme values"):
        fit_response(INPUTS, ("click", "like"), part, part, part, CONFIG)


def with_gaps(known, seed):
    """The rows, with some labels and watch times unknown and further rows that know nothing."""
    rng = np.random.default_rng(seed)
    hidden = rng.random(known.feedback.shape) < 0.3
    return known._replace(
        feedback=np.where(hidden, np.float32(UNKNOWN), known.feedback),
        watch_s=np.where(rng.random(len(hidden)) < 0.3, np.float32(UNKNOWN), known.watch_s),
    )


def test_the_likelihood_is_of_what_is_known():
    """Against NumPy, feedback by feedback."""
    gaps = with_gaps(rows(60, 0), 1)
    network = ResponseNetwork(INPUTS, ("click", "like"), CONFIG.network, 0)
    features = {name: tf.constant(column) for name, column in gaps.features.items()}
    found = network.loss_of(features, tf.constant(gaps.feedback), tf.constant(gaps.watch_s), 0.5)
    logits, means = (values.numpy().astype(np.float64) for values in network(features))
    wanted = 0.0
    for k in range(2):
        known = gaps.feedback[:, k] != UNKNOWN
        y, p = gaps.feedback[known, k], 1 / (1 + np.exp(-logits[known, k]))
        wanted -= np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
    both = (gaps.feedback[:, 0] != UNKNOWN) & (gaps.watch_s != UNKNOWN)
    branch = np.where(gaps.feedback[both, 0] > 0, 0, 1)
    sd = network.watch_sd.numpy()[branch]
    deviate = (np.log1p(gaps.watch_s[both]) - means[both][np.arange(both.sum()), branch]) / sd
    normal = 0.5 * deviate**2 + np.log(sd) + 0.5 * np.log(2 * np.pi)
    assert float(found) == pytest.approx(wanted + 0.5 * normal.mean(), rel=1e-4)
    assert 0 < both.sum() < 60


def test_calibration_and_watch_times_are_of_what_is_known():
    parts = [with_gaps(rows(size, seed), seed) for seed, size in enumerate((900, 600, 600))]
    found = fit_response(INPUTS, ("click", "like"), *parts, dataclasses.replace(CONFIG, epochs=2))
    check = parts[2]
    for k, calibration in enumerate(found.calibration):
        known = check.feedback[:, k] != UNKNOWN
        assert calibration.rows == known.sum()
        assert calibration.rate == pytest.approx(check.feedback[known, k].mean())
    both = (check.feedback[:, 0] != UNKNOWN) & (check.watch_s != UNKNOWN)
    assert found.watch_s[0] == pytest.approx(check.watch_s[both].mean(), rel=1e-5)


@pytest.mark.parametrize("what", ["like", "the watch time"])
def test_a_feedback_that_nobody_knows_is_refused(what):
    part = rows(100, 0)
    if what == "like":
        part.feedback[:, 1] = UNKNOWN
    else:
        part = part._replace(watch_s=np.full(100, UNKNOWN, np.float32))
    with pytest.raises(DataError, match=f"rows to check .* have no known label of {what}"):
        fit_response(INPUTS, ("click", "like"), rows(100, 1), rows(100, 2), part, CONFIG)
