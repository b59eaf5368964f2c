"""Uncertainty weighting against the formulas of Kendall et al."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from mtfx.datasets.spec import Task
from mtfx.models.loss_weighting.base import Batch
from mtfx.models.loss_weighting.uncertainty import UncertaintyWeighting

TASKS = (Task("click"), Task("watch", kind="regression"), Task("pay"))


def batch_of(losses):
    losses = tf.constant(losses, tf.float32)
    return Batch({}, tf.zeros_like(losses), tf.zeros_like(losses), losses)


def test_total_and_gradients_against_numpy():
    rng = np.random.default_rng(0)
    losses, sigma = rng.uniform(0.1, 3, (8, 3)), np.array([0.5, 2.0, 1.5])
    constant = np.array([1.0, 3.0, 0.0])
    weighting = UncertaintyWeighting(TASKS, constant)
    weighting.log_variances.assign(np.log(sigma**2))
    means = losses.mean(axis=0)
    terms = [
        means[0] / sigma[0] ** 2 + np.log(sigma[0]),
        means[1] / (2 * sigma[1] ** 2) + np.log(sigma[1]),
        means[2] / sigma[2] ** 2 + np.log(sigma[2]),
    ]
    batch = batch_of(losses)
    with tf.GradientTape() as tape:
        tape.watch(batch.losses)
        total = weighting.total_loss(batch)
    to_variances, to_losses = tape.gradient(total, [weighting.log_variances, batch.losses])
    assert float(total) == pytest.approx(constant @ terms, rel=1e-5)
    scales = constant / np.array([1, 2, 1]) / sigma**2
    np.testing.assert_allclose(to_losses, np.tile(scales / 8, (8, 1)), rtol=1e-5)
    np.testing.assert_allclose(to_variances, constant / 2 - scales * means, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_the_noise_settles_where_the_losses_say_whatever_the_constant_weights():
    for constant in ([1.0, 1.0, 1.0], [0.2, 5.0, 1.0]):
        weighting = UncertaintyWeighting(TASKS, constant)
        batch = batch_of([[0.2, 0.8, 3.0]])
        for _ in range(800):
            with tf.GradientTape() as tape:
                total = weighting.total_loss(batch)
            weighting.log_variances.assign_sub(
                0.2 * tape.gradient(total, weighting.log_variances) / constant
            )
        np.testing.assert_allclose(np.exp(weighting.log_variances), [0.4, 0.8, 6.0], rtol=1e-3)


def test_the_noise_of_a_deviance_is_its_dispersion():
    # For a normal distribution the deviance is the squared error, the dispersion its variance.
    errors = np.random.default_rng(1).normal(0, 3, (5000, 1))
    weighting = UncertaintyWeighting((Task("watch", kind="regression"),), [1.0])
    weighting.log_variances.assign([np.log(errors.var() + errors.mean() ** 2)])
    batch = batch_of(errors**2)
    with tf.GradientTape() as tape:
        total = weighting.total_loss(batch)
    assert float(tape.gradient(total, weighting.log_variances)[0]) == pytest.approx(0, abs=1e-4)


def test_the_model_trains_its_noise(weighted):
    model = weighted.model("uncertainty")
    before = model.weighting.log_variances.numpy()
    losses, _ = weighted.task_gradients(model, weighted.batch())
    _, logs = weighted.step(model, weighted.batch())
    halves = np.array([1, 1, 1, 1, 0.5])
    assert logs["loss"] == pytest.approx(halves @ losses, rel=1e-4)
    np.testing.assert_allclose(
        model.weighting.log_variances, before - 0.1 * (0.5 - halves * losses), rtol=1e-4, atol=1e-5
    )
