"""What a calibration does to logits, and that it does so in what is served only."""

import numpy as np
import pytest
import tensorflow as tf

from mtfx.datasets.spec import Task
from mtfx.models.calibration import Calibration, TaskCalibration

CLICK, WATCH = Task("click"), Task("watch", kind="regression", unit=1000.0)
LINES = Calibration({"watch": TaskCalibration(shift=0.5), "click": TaskCalibration(0.5, -1.0)})


def test_each_column_passes_its_own_line():
    logits = tf.constant([[1.0, 2.0], [-4.0, 0.0]])
    found = LINES.apply(logits, (CLICK, WATCH)).numpy()
    np.testing.assert_allclose(found, [[-0.5, 2.5], [-3.0, 0.5]])
    other = LINES.apply(logits, (Task("like"), WATCH)).numpy()
    np.testing.assert_allclose(other, [[1.0, 2.5], [-4.0, 0.5]])


def test_no_calibration_is_no_operation():
    logits = tf.constant([[1.0, 2.0]])
    assert Calibration().apply(logits, (CLICK, WATCH)) is logits
    left = Calibration({"click": TaskCalibration(reason="few positives")})
    assert left.apply(logits, (CLICK, WATCH)) is logits


def test_a_slope_keeps_the_order():
    for slope in (0.0, -1.0):
        with pytest.raises(ValueError, match="slope must be positive"):
            TaskCalibration(slope=slope)


def test_metadata_is_read_again():
    assert Calibration.from_json(LINES.to_json()) == LINES


def test_it_is_served_and_not_trained_with(small):
    model = small.model("shared_bottom")
    features, labels = small.batch()
    features = {name: tf.constant(values) for name, values in features.items()}
    batch = features, tf.constant(labels)
    logits = model(features).numpy()
    loss, served = float(model.compute_loss(batch)), model.predict_tasks(features)
    model.calibration = Calibration(
        {"like": TaskCalibration(2.0, -0.5), "watch": TaskCalibration(shift=1.0)}
    )
    again = model.predict_tasks(features)
    expected = 1 / (1 + np.exp(-(2.0 * logits[:, 3] - 0.5)))
    np.testing.assert_allclose(again["like"], expected, rtol=1e-5)
    np.testing.assert_allclose(again["watch"], served["watch"] * np.e, rtol=1e-5)
    np.testing.assert_allclose(again["click"], served["click"], rtol=1e-5)
    np.testing.assert_allclose(model(features), logits, atol=1e-6)
    assert float(model.compute_loss(batch)) == pytest.approx(loss)
    assert not any("calibration" in variable.name for variable in model.variables)
