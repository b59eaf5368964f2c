"""PCGrad against a plain version that projects whole gradients."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mtfx.models.loss_weighting.base import Step
from mtfx.models.loss_weighting.pcgrad import projections
from mtfx.models.mtl.registry import BACKBONES

#: All backbones; by default the one of several experts.
ONE_QUICK = [
    pytest.param(name, marks=[] if name == "mmoe" else pytest.mark.slow) for name in BACKBONES
]


def project(vectors, order):
    """Algorithm 1 on the vectors themselves, in float64."""
    projected = []
    for task, vector in enumerate(vectors):
        result = vector.copy()
        for other in order[task]:
            if other != task and result @ vectors[other] < 0:
                result -= (
                    (result @ vectors[other]) / (vectors[other] @ vectors[other]) * vectors[other]
                )
        projected.append(result)
    return projected


def orders(count, seed):
    rng = np.random.default_rng(seed)
    return np.stack([rng.permutation(count) for _ in range(count)]).astype(np.int32)


@given(
    arrays(np.float64, (4, 6), elements=st.integers(-5, 5).map(float)), st.integers(0, 2**32 - 1)
)
def test_coefficients_do_what_projecting_vectors_does(vectors, seed):
    order = orders(4, seed)
    products = tf.constant(vectors @ vectors.T, tf.float32)
    coefficients = projections(products, tf.constant(order)).numpy()
    # A dot product that is zero but for rounding may be projected or not: nearly the same.
    np.testing.assert_allclose(coefficients @ vectors, project(vectors, order), atol=1e-2)


def test_two_tasks_no_longer_conflict():
    vectors = np.random.default_rng(0).normal(size=(2, 50))
    vectors[1] -= 0.8 * vectors[0]
    assert vectors[0] @ vectors[1] < 0
    products = tf.constant(vectors @ vectors.T, tf.float32)
    first, second = projections(products, tf.constant(orders(2, 0))).numpy() @ vectors
    assert first @ vectors[1] == pytest.approx(0, abs=1e-4)
    assert second @ vectors[0] == pytest.approx(0, abs=1e-4)


def test_without_conflict_nothing_changes():
    vectors = np.abs(np.random.default_rng(1).normal(size=(5, 9)))
    coefficients = projections(
        tf.constant(vectors @ vectors.T, tf.float32), tf.constant(orders(5, 1))
    )
    np.testing.assert_array_equal(coefficients, np.eye(5))


def drawn_order(model, count):
    """The order of the step that comes next."""
    seed = [model.weighting.seed, model.weighting.step.numpy() + 1]
    return np.argsort(tf.random.stateless_uniform([count, count], seed).numpy())


@pytest.mark.parametrize("backbone", ONE_QUICK)
def test_steps_against_gradients_taken_task_by_task(weighted, backbone):
    model = weighted.model("pcgrad", backbone=backbone, task_weights=(("like", 0.5),))
    constant = [1.0, 1.0, 1.0, 0.5, 1.0]
    shared = {id(variable) for variable in model.shared_variables}
    mask = [id(variable) in shared for variable in model.trainable_variables]
    changed = 0
    for _ in range(3):
        _, gradients = weighted.task_gradients(model, weighted.batch())
        vectors = [
            weight * np.concatenate([g.ravel() for g, yes in zip(task, mask, strict=True) if yes])
            for weight, task in zip(constant, gradients, strict=True)
        ]
        wanted = sum(project(np.array(vectors, np.float64), drawn_order(model, 5)))
        changed += not np.allclose(wanted, sum(vectors), atol=1e-4)
        applied, _ = weighted.step(model, weighted.batch())
        got = np.concatenate([g.ravel() for g, yes in zip(applied, mask, strict=True) if yes])
        np.testing.assert_allclose(got, wanted, rtol=5e-3, atol=2e-4)
        for index, yes in enumerate(mask):
            if not yes:
                plain = sum(w * g[index] for w, g in zip(constant, gradients, strict=True))
                np.testing.assert_allclose(applied[index], plain, rtol=2e-3, atol=1e-4)
    assert changed


def test_orders_change_from_step_to_step_and_repeat_with_the_seed(weighted):
    results = []
    for _ in range(2):
        model = weighted.model("pcgrad", num_tasks=4)
        orders_seen = []
        for _ in range(3):
            orders_seen.append(drawn_order(model, 4).tolist())
            weighted.step(model, weighted.batch(num_tasks=4))
        assert orders_seen[0] != orders_seen[1] != orders_seen[2]
        results.append(model.get_weights())
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_embeddings_stay_sparse(weighted):
    model = weighted.model("pcgrad")
    with tf.GradientTape(persistent=True) as tape:
        batch = model.losses(weighted.batch(), training=True)
        total = model.weighting.total_loss(batch)
        losses = [tf.reduce_mean(batch.losses[:, index]) for index in range(5)]
    variables = model.trainable_variables
    step = Step(tape, total, losses, variables, model.shared_variables, variables[0])
    sparse = [
        variable.name
        for variable, gradient in zip(variables, model.weighting.gradients(step), strict=True)
        if isinstance(gradient, tf.IndexedSlices)
    ]
    assert len(sparse) == 2
    assert all("embedding" in name for name in sparse)
    by_task = [tape.gradient(loss, [v for v in variables if v.name in sparse]) for loss in losses]
    for slices in zip(*by_task, strict=True):
        for other in slices[1:]:
            np.testing.assert_array_equal(other.indices, slices[0].indices)
