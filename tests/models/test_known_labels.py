"""Labels that nobody knows: they change neither a loss nor its gradient nor a metric of their task.

The wanted losses are NumPy loops over the known labels, from the logits that NumPy computes.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from mtfx.datasets.labels import UNKNOWN
from mtfx.datasets.spec import Task
from mtfx.models.keras import keras
from mtfx.models.known_labels import known_mask, with_zeros
from mtfx.models.loss_weighting.base import Batch
from mtfx.models.loss_weighting.gradnorm import GradNorm
from mtfx.models.loss_weighting.pcgrad import projections
from mtfx.models.loss_weighting.registry import LOSS_WEIGHTINGS
from mtfx.models.loss_weighting.uncertainty import UncertaintyWeighting
from mtfx.models.mtl.registry import BACKBONES
from mtfx.models.ranking_model import REGRESSION_WEIGHT, RankingModel

WATCH = 4
SMALL_TASKS = (Task("a"), Task("b"), Task("c"))
CONSTANT = np.array([1.0, 0.5, 1.0, 2.0, 1.0])
TASK_WEIGHTS = (("cart", 0.5), ("like", 2.0), ("watch", 1.0))


def tensors(features):
    return {name: tf.constant(values) for name, values in features.items()}


def hidden(labels, share=0.6, seed=0):
    """The labels, a share of them unknown."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(labels.shape) < share, np.float32(UNKNOWN), labels)


def numpy_losses(reference, tasks, logits, labels):
    """Mean loss of each task over its known labels; 0 where there are none."""
    found = []
    for k, task in enumerate(tasks):
        rows = [i for i in range(len(labels)) if labels[i, k] != -1.0]
        mean = 0.0
        if rows:
            mean = reference.loss([task], [1.0], logits[rows, k : k + 1], labels[rows, k : k + 1])
        found.append(mean)
    return np.array(found)


def gradients(model, batch, k):
    with tf.GradientTape() as tape:
        loss = model.losses(batch, training=True).mean_losses()[k]
    taken = tape.gradient(loss, model.trainable_variables)
    return float(loss), [
        np.zeros(v.shape) if g is None else tf.convert_to_tensor(g).numpy()
        for v, g in zip(model.trainable_variables, taken, strict=True)
    ]


def trained(small, weighting, batch, backbone="mmoe"):
    config = dataclasses.replace(
        small.config(backbone, dropout=0.0), loss_weighting=weighting, task_weights=TASK_WEIGHTS
    )
    model = RankingModel(small.inputs, small.tasks, config, seed=7)
    model.compile(optimizer=keras.optimizers.SGD(0.1))
    model(batch[0])
    return model


def test_only_unknown_is_masked():
    labels = tf.constant([[0.0, 1.0], [UNKNOWN, 3.5]])
    np.testing.assert_array_equal(known_mask(labels), [[1, 1], [0, 1]])
    np.testing.assert_array_equal(with_zeros(labels), [[0, 1], [0, 3.5]])


@pytest.mark.parametrize("backbone", list(BACKBONES))
def test_the_loss_is_that_of_the_known_labels_in_numpy(small, reference, backbone):
    model = small.model(backbone, dropout=0.0)
    features, labels = small.batch(rows=40)
    masked = hidden(labels)
    model(tensors(features))
    logits = reference.FORWARD[backbone](
        model.backbone, reference.state_representation(model.state_representation, features)
    )
    found = model.losses((tensors(features), tf.constant(masked)), training=True)
    wanted = numpy_losses(reference, model.tasks, logits, masked)
    np.testing.assert_allclose(found.mean_losses(), wanted, rtol=1e-3)
    loss = model.compute_loss((tensors(features), tf.constant(masked)))
    weights = [1.0 if task.kind == "binary" else REGRESSION_WEIGHT for task in model.tasks]
    assert float(loss) == pytest.approx(wanted @ weights, rel=1e-3)
    everything = numpy_losses(reference, model.tasks, logits, labels)
    assert not np.allclose(wanted, everything, rtol=1e-2)


@pytest.fixture(scope="module", params=["esmm", "mmoe"])
def model(small, request):
    return small.model(request.param, dropout=0.0)


@given(data=st.data())
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_of_unknown_labels_change_neither_loss_nor_gradient(small, model, data):
    """A batch with further rows, whatever they hold, whose label of the task is unknown."""
    features, labels = small.batch(rows=30)
    k = data.draw(st.integers(0, 4), label="task")
    known = data.draw(st.integers(0, 30), label="known rows")
    others = data.draw(st.sampled_from([0.0, 0.5, 1.0]), label="unknown share of other tasks")
    masked = hidden(labels, others, seed=known)
    masked[:, k] = labels[:, k]
    masked[known:, k] = UNKNOWN
    loss, found = gradients(model, (tensors(features), tf.constant(masked)), k)
    if not known:
        assert loss == 0.0
        assert all(not gradient.any() for gradient in found)
        return
    few = {name: values[:known] for name, values in features.items()}
    wanted_loss, wanted = gradients(model, (tensors(few), tf.constant(masked[:known])), k)
    assert loss == pytest.approx(wanted_loss, rel=1e-4)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("weighting", list(LOSS_WEIGHTINGS))
def test_a_batch_without_any_label_of_a_task_moves_nothing_for_it(small, weighting):
    features, labels = small.batch(rows=40)
    labels[:, WATCH] = UNKNOWN
    batch = (tensors(features), tf.constant(labels))
    model = trained(small, weighting, batch)
    head = [v for v in model.trainable_variables if "head" in v.name]
    before = [v.numpy() for v in head]
    logs = model.train_step(batch)
    assert np.isfinite([float(value) for value in logs.values()]).all()
    assert float(logs["watch_loss"]) == 0.0
    for old, variable in zip(before, head, strict=True):
        np.testing.assert_array_equal(old[WATCH], variable.numpy()[WATCH])
        assert not np.array_equal(old[0], variable.numpy()[0])


@pytest.mark.parametrize("weighting", list(LOSS_WEIGHTINGS))
def test_a_batch_without_any_label_moves_nothing(small, weighting):
    features, labels = small.batch(rows=40)
    batch = (tensors(features), tf.constant(np.full_like(labels, UNKNOWN)))
    model = trained(small, weighting, batch)
    before = [v.numpy() for v in model.trainable_variables]
    logs = model.train_step(batch)
    assert float(logs["loss"]) == 0.0
    for old, variable in zip(before, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())


@pytest.mark.parametrize("weighting", ["constant", "uncertainty", "dwa", "gradnorm", "pcgrad"])
def test_the_first_steps_total_is_of_known_labels(small, reference, weighting):
    """All weightings begin with equal weights, of which uncertainty halves a regression's."""
    features, labels = small.batch(rows=40)
    masked = hidden(labels)
    batch = (tensors(features), tf.constant(masked))
    model = trained(small, weighting, batch)
    logits = model(batch[0]).numpy().astype(np.float64)
    wanted = numpy_losses(reference, model.tasks, logits, masked)
    logs = model.train_step(batch)
    halves = np.array([1, 1, 1, 1, 0.5 if weighting == "uncertainty" else 1])
    assert float(logs["loss"]) == pytest.approx((CONSTANT * halves) @ wanted, rel=1e-3)
    by_task = [float(logs[f"{task.name}_loss"]) for task in model.tasks]
    np.testing.assert_allclose(by_task, wanted, rtol=1e-3)


def test_an_epochs_losses_weigh_every_known_label_alike(small, reference):
    """DWA goes by them; batches differ in how many labels are known."""
    features, labels = small.batch(rows=300)
    masked = hidden(labels, 0.5)
    masked[:100] = hidden(labels[:100], 0.9, seed=3)
    data = tf.data.Dataset.from_tensor_slices((tensors(features), masked)).batch(100)
    model = trained(small, "constant", next(iter(data)))
    # Logits that differ by more than the steps of the metric's thresholds; pay's still do not.
    head = model.backbone.towers.head
    head.assign(20.0 * head)
    logits = model(tensors(features)).numpy().astype(np.float64)
    found = model.evaluate(data, return_dict=True, verbose=0)
    wanted = numpy_losses(reference, model.tasks, logits, masked)
    for k, task in enumerate(model.tasks):
        assert found[f"{task.name}_loss"] == pytest.approx(wanted[k], rel=1e-3)
    assert found["loss"] == pytest.approx(CONSTANT @ wanted, rel=1e-3)
    for k in (0, 1, 3):
        rows = masked[:, k] != UNKNOWN
        area = roc_auc_score(masked[rows, k], logits[rows, k])
        assert found[f"{small.tasks[k].name}_auc"] == pytest.approx(area, abs=2e-3)


def test_uncertainty_learns_no_noise_where_nothing_is_known(small):
    weighting = UncertaintyWeighting(small.tasks, CONSTANT.tolist())
    labels = tf.constant([[1.0, UNKNOWN, 0.0, UNKNOWN, 2.0]] * 3)
    losses = tf.constant([[0.7, 0.0, 0.2, 0.0, 3.0]] * 3)
    with tf.GradientTape() as tape:
        total = weighting.total_loss(Batch({}, labels, tf.zeros_like(losses), losses))
    (gradient,) = tape.gradient(total, weighting.trainable_variables)
    # Of c (L exp(-s) / m + s / 2) at s = 0: c (1 / 2 - L / m).
    wanted = [1.0 * (0.5 - 0.7), 0.0, 1.0 * (0.5 - 0.2), 0.0, 1.0 * (0.5 - 3.0 / 2)]
    np.testing.assert_allclose(gradient, wanted, rtol=1e-5)


def test_gradnorm_goes_by_the_tasks_that_are_there():
    """A step without the third task leaves the other two as if they were alone."""
    three, two = (GradNorm(tasks, [1.0] * len(tasks)) for tasks in (SMALL_TASKS, SMALL_TASKS[:2]))
    rng = np.random.default_rng(4)
    for _ in range(5):
        norms, losses = rng.uniform(0.1, 3, 3), rng.uniform(0.2, 2, 3)
        norms[2] = losses[2] = 0.0
        three.update(
            tf.constant(norms, tf.float32),
            tf.constant(losses, tf.float32),
            tf.constant([1.0, 1.0, 0.0]),
        )
        two.update(tf.constant(norms[:2], tf.float32), tf.constant(losses[:2], tf.float32))
        weights = three.task_weights.numpy()
        np.testing.assert_allclose(
            weights[:2] / weights[:2].sum(), two.task_weights.numpy() / 2, rtol=1e-4
        )
    assert three.initial_losses.numpy()[2] == 0.0
    np.testing.assert_array_equal(three.moments.numpy()[:, 2], 0.0)


def test_pcgrad_projects_nothing_on_a_task_that_is_not_there():
    vectors = np.random.default_rng(0).normal(size=(3, 9))
    vectors[1] = 0.0
    order = np.array([[1, 2, 0], [0, 2, 1], [1, 0, 2]], np.int32)
    products = tf.constant(vectors @ vectors.T, tf.float32)
    found = projections(products, tf.constant(order)).numpy()
    np.testing.assert_array_equal(found[1], [0.0, 1.0, 0.0])
    alone = projections(
        tf.gather(tf.gather(products, [0, 2]), [0, 2], axis=1), tf.constant([[1, 0], [0, 1]])
    ).numpy()
    np.testing.assert_allclose(found[np.ix_([0, 2], [0, 2])], alone, rtol=1e-5)
