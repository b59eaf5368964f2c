"""GradNorm against NumPy, on gradients taken task by task."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from mtfx.datasets.spec import Task
from mtfx.models.loss_weighting.gradnorm import GradNorm
from mtfx.models.mtl.registry import BACKBONES

#: All backbones; by default the one of several experts.
ONE_QUICK = [
    pytest.param(name, marks=[] if name == "mmoe" else pytest.mark.slow) for name in BACKBONES
]


class Reference:
    """Algorithm 1 with Adam on the weights, by loops, in float64."""

    def __init__(self, count, alpha=1.5, rate=0.025):
        self.weights, self.alpha, self.rate = np.ones(count), alpha, rate
        self.first, self.mean, self.square, self.steps = None, np.zeros(count), np.zeros(count), 0

    def update(self, norms, losses):
        count = len(losses)
        self.first = losses if self.first is None else self.first
        relative = [losses[k] / self.first[k] for k in range(count)]
        pulls = [self.weights[k] * norms[k] for k in range(count)]
        average = sum(pulls) / count
        gradient = np.zeros(count)
        for k in range(count):
            rate = relative[k] / (sum(relative) / count)
            gradient[k] = np.sign(pulls[k] - average * rate**self.alpha) * norms[k]
        self.steps += 1
        self.mean = 0.9 * self.mean + 0.1 * gradient
        self.square = 0.999 * self.square + 0.001 * gradient**2
        change = (self.mean / (1 - 0.9**self.steps)) / (
            np.sqrt(self.square / (1 - 0.999**self.steps)) + 1e-7
        )
        self.weights = np.maximum(self.weights - self.rate * change, 1e-3)
        self.weights *= count / self.weights.sum()


def test_updates_against_numpy():
    rng = np.random.default_rng(2)
    weighting = GradNorm(tuple(Task(name) for name in "abcd"), [1.0, 2.0, 0.5, 1.0])
    reference = Reference(4)
    for _ in range(40):
        norms, losses = rng.uniform(0.1, 3, 4), rng.uniform(0.2, 2, 4)
        weighting.update(tf.constant(norms, tf.float32), tf.constant(losses, tf.float32))
        reference.update(norms, losses)
        np.testing.assert_allclose(weighting.task_weights, reference.weights, rtol=1e-3)
    np.testing.assert_allclose(weighting.initial_losses, reference.first, rtol=1e-6)


@pytest.mark.parametrize("backbone", ONE_QUICK)
def test_steps_against_gradients_taken_task_by_task(weighted, backbone):
    model = weighted.model("gradnorm", backbone=backbone, task_weights=(("pay", 3.0),))
    constant = np.array([1.0, 1.0, 3.0, 1.0, 1.0])
    kernel = model.state_representation.mlp[-1].kernel
    position = [id(variable) for variable in model.trainable_variables].index(id(kernel))
    reference = Reference(5)
    for _ in range(3):
        losses, gradients = weighted.task_gradients(model, weighted.batch())
        weights = constant * reference.weights
        applied, logs = weighted.step(model, weighted.batch())
        assert logs["loss"] == pytest.approx(weights @ losses, rel=1e-3)
        model.reset_metrics()
        for index, one in enumerate(applied):
            wanted = sum(w * g[index] for w, g in zip(weights, gradients, strict=True))
            np.testing.assert_allclose(one, wanted, rtol=2e-3, atol=1e-4)
        reference.update([np.linalg.norm(g[position]) for g in gradients], losses)
        np.testing.assert_allclose(model.weighting.task_weights, reference.weights, rtol=1e-3)


@pytest.mark.slow
def test_weights_balance_the_pulls():
    weighting = GradNorm((Task("strong"), Task("weak")), [1.0, 1.0])
    for _ in range(300):
        weighting.update(tf.constant([9.0, 1.0]), tf.constant([1.0, 1.0]))
    np.testing.assert_allclose(weighting.task_weights, [0.2, 1.8], atol=0.05)
    # The weak task is also the slow one now, and may pull harder than the other.
    for _ in range(300):
        weighting.update(tf.constant([9.0, 1.0]), tf.constant([0.5, 1.0]))
    strong, weak = weighting.task_weights.numpy() * [9.0, 1.0]
    assert weak > 1.5 * strong


def test_weights_stay_positive_and_sum_to_the_number_of_tasks():
    weighting = GradNorm(tuple(Task(name) for name in "abc"), [1.0] * 3, learning_rate=0.5)
    rng = np.random.default_rng(3)
    for _ in range(60):
        norms, losses = np.exp(rng.normal(0, 4, (2, 3))).astype(np.float32)
        weighting.update(tf.constant(norms), tf.constant(losses))
        weights = weighting.task_weights.numpy()
        assert np.all(weights > 0)
        assert weights.sum() == pytest.approx(3, rel=1e-5)


def test_a_task_without_weight_takes_no_part(weighted):
    model = weighted.model("gradnorm", task_weights=(("cart", 0.0), ("like", 0.0)))
    kernel = model.state_representation.mlp[-1].kernel
    position = [id(variable) for variable in model.trainable_variables].index(id(kernel))
    losses, gradients = weighted.task_gradients(model, weighted.batch())
    trained = [0, 2, 4]
    reference = Reference(3)
    reference.update([np.linalg.norm(gradients[k][position]) for k in trained], losses[trained])
    weighted.step(model, weighted.batch())
    np.testing.assert_allclose(
        model.weighting.task_weights.numpy()[trained], reference.weights, rtol=1e-3
    )
    assert not any(model.weighting.task_weights.numpy()[[1, 3]])


def test_a_learning_rate_must_be_positive():
    with pytest.raises(ValueError, match="learning rate must be positive, got 0"):
        GradNorm((Task("click"),), [1.0], learning_rate=0.0)
