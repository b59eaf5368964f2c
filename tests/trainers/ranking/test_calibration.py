"""The fit of a calibration: against SciPy on the single rows, and with too little to fit."""

import math

import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from mtfx.datasets.labels import UNKNOWN
from mtfx.datasets.spec import Task
from mtfx.trainers.ranking.calibration import (
    MAX_SLOPE,
    MIN_EXAMPLES,
    MIN_SLOPE,
    LogitCounts,
    ValueSums,
    fit_calibration,
)


def counted(logits, labels, parts=3):
    found = LogitCounts()
    for x, y in zip(np.array_split(logits, parts), np.array_split(labels, parts), strict=True):
        found.add(x.astype(np.float32), y.astype(np.float32))
    return found.fit()


@pytest.mark.parametrize(("slope", "shift"), [(0.4, -1.0), (1.0, 0.0), (2.5, 3.0)])
def test_the_line_is_that_of_greatest_likelihood(slope, shift):
    rng = np.random.default_rng(0)
    logits = rng.normal(-1.0, 1.5, 20_000)
    labels = (rng.random(logits.size) < expit(slope * logits + shift)).astype(float)

    def loss(line):
        z = line[0] * logits + line[1]
        return np.mean(np.logaddexp(0, z) - labels * z)

    best = minimize(loss, [1.0, 0.0], method="BFGS", options={"gtol": 1e-8}).x
    found = counted(logits, labels)
    assert (found.slope, found.shift) == pytest.approx(tuple(best), abs=2e-3)
    assert found.before == pytest.approx(expit(logits).sum() / labels.sum(), rel=1e-4)
    assert found.after == pytest.approx(1.0)
    assert (found.impressions, found.positives) == (20_000, labels.sum())
    assert found.reason == ""
    area = roc_auc_score(labels, found.slope * logits + found.shift)
    assert area == pytest.approx(roc_auc_score(labels, logits))


@pytest.mark.parametrize(("wrong", "slope"), [(True, MIN_SLOPE), (False, MAX_SLOPE)])
def test_the_order_stays_and_the_mean_is_right_where_no_line_is_best(wrong, slope):
    logits = np.linspace(-2, 2, 1000)
    labels = ((logits < 0.3) if wrong else (logits > 0.3)).astype(float)
    found = counted(logits, labels)
    assert found.slope == slope
    assert found.after == pytest.approx(1.0)


def test_too_few_of_a_class_are_left_as_they_are():
    logits = np.linspace(-2, 2, 1000)
    for few, name in ((0.0, "negatives"), (1.0, "positives")):
        labels = np.where(np.arange(1000) % 60, 1.0 - few, few)  # 17 of the few
        found = counted(logits, labels)
        assert (found.slope, found.shift) == (1.0, 0.0)
        assert found.reason == (
            f"the eval split has 17 {name}, fewer than the {MIN_EXAMPLES} that a fit needs"
        )
        assert found.before == found.after
    nothing = counted(logits, np.zeros(1000))
    assert (nothing.before, nothing.positives) == (None, 0)
    assert "0 positives" in nothing.reason


def test_a_rare_task_that_has_learnt_by_heart_is_better_for_its_fit():
    """Thirty positives are enough: on rows to come, in all of ten draws together."""
    rng = np.random.default_rng(5)
    gained = 0.0
    for _ in range(10):
        logits = rng.normal(-6.0, 2.0, (2, 12_000))
        truth = 1 / (1 + np.exp(-(-6.0 + 0.3 * (logits + 6.0))))
        labels = (rng.random(logits.shape) < truth).astype(float)
        found = counted(logits[0], labels[0])
        assert 15 < found.positives < 60
        gained += log_loss(labels[1], logits[1]) - log_loss(
            labels[1], found.slope * logits[1] + found.shift
        )
    assert gained > 100.0


def log_loss(labels, logits):
    """Nats of all rows together."""
    return float(np.logaddexp(0, np.where(labels == 1, -logits, logits)).sum())


def test_logits_without_bound_are_counted():
    logits = np.array([-1e9, 1e9, 0.0, -np.inf, np.inf] * 400)
    labels = np.array([0.0, 1.0, 1.0, 1.0, 0.0] * 400)
    found = counted(logits, labels)
    assert math.isfinite(found.slope)
    assert found.after == pytest.approx(1.0)


def test_a_regression_gets_the_right_mean():
    rng = np.random.default_rng(2)
    labels, predictions = rng.gamma(1, 5000, 900), rng.gamma(1, 4000, 900)
    sums = ValueSums()
    for part in (slice(0, 100), slice(100, 900)):
        sums.add(predictions[part], labels[part])
    found = sums.fit()
    assert (predictions * math.exp(found.shift)).mean() == pytest.approx(labels.mean())
    assert (found.slope, found.after) == (1.0, 1.0)
    few = ValueSums()
    few.add(np.ones(500), np.repeat([0.0, 3.0], [485, 15]))
    assert few.fit().shift == 0.0
    assert "15 positive labels" in few.fit().reason
    assert ValueSums().fit().before is None


class Model:
    """Logits that are columns of the features."""

    tasks = (
        Task("click", may_be_unknown=True),
        Task("watch", kind="regression", unit=1000.0, may_be_unknown=True),
    )

    def __call__(self, features, training):
        assert not training
        return tf.stack([features["click"], features["watch"]], axis=1)


def test_a_model_is_fitted_on_known_labels_in_batches():
    rng = np.random.default_rng(5)
    click, watch = rng.normal(size=3000), rng.normal(size=3000)
    labels = np.stack([rng.random(3000) < expit(click - 2), 500 * np.exp(watch)], axis=1)
    known = rng.random((3000, 2)) < 0.7
    given = np.where(known, labels, UNKNOWN).astype(np.float32)
    features = {"click": click.astype(np.float32), "watch": watch.astype(np.float32)}
    data = tf.data.Dataset.from_tensor_slices((features, given)).batch(512)
    found = fit_calibration(Model(), data)
    assert found.tasks["click"].impressions == known[:, 0].sum()
    assert found.tasks["click"].positives == labels[known[:, 0], 0].sum()
    expected = counted(click[known[:, 0]], labels[known[:, 0], 0])
    assert found.tasks["click"].slope == pytest.approx(expected.slope, abs=1e-4)
    assert found.tasks["watch"].shift == pytest.approx(math.log(0.5), abs=1e-4)
