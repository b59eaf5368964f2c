"""What is particular to each backbone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from mtfx.datasets.spec import Task
from mtfx.models.mtl.esmm import Esmm, product_logit
from mtfx.models.mtl.registry import (
    BACKBONES,
    BackboneConfig,
    MmoeConfig,
    PleConfig,
    build_backbone,
)

TASKS = (Task("click"), Task("pay", parent="click"))
STATE = np.random.default_rng(0).normal(size=(16, 10)).astype(np.float32)

finite = st.floats(-80.0, 80.0, width=32)


@settings(max_examples=200)
@given(finite, finite)
def test_product_logit_is_the_log_odds_of_the_product(first, second):
    logit = float(product_logit(tf.constant(first), tf.constant(second)))
    assert np.isfinite(logit)
    # The odds against: 1/p - 1 with 1/p = (1 + e^-a)(1 + e^-b), in extended precision.
    a, b = np.exp(-np.longdouble(first)), np.exp(-np.longdouble(second))
    assert logit == pytest.approx(float(-np.log(a + b + a * b)), rel=1e-5, abs=1e-5)
    assert logit <= min(first, second) + 1e-5


@settings(max_examples=50)
@given(finite, finite)
def test_product_logit_has_a_finite_gradient(first, second):
    inputs = [tf.Variable(first), tf.Variable(second)]
    with tf.GradientTape() as tape:
        logit = product_logit(*inputs)
    for gradient in tape.gradient(logit, inputs):
        assert 0.0 <= float(gradient) <= 1.0 + 1e-6


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.floats(0.1, 30.0))
def test_a_child_is_never_more_probable_than_its_parent(seed, scale):
    tasks = (Task("pay", parent="cart"), Task("click"), Task("cart", parent="click"))
    config = BackboneConfig(bottom_units=(6,), tower_units=(4,), seed=seed)
    probabilities = tf.sigmoid(Esmm(tasks, config)(STATE * scale)).numpy()
    pay, click, cart = probabilities.T
    assert np.all(cart <= click * (1 + 1e-5))
    assert np.all(pay <= cart * (1 + 1e-5))


def test_esmm_multiplies_probabilities():
    backbone = Esmm(TASKS, BackboneConfig(bottom_units=(6,), tower_units=(4,)))
    click, pay = tf.sigmoid(backbone(STATE)).numpy().T
    plain = backbone.towers(backbone.bottoms(STATE)).numpy()
    conditional = 1.0 / (1.0 + np.exp(-plain[:, 1]))
    np.testing.assert_allclose(pay, click * conditional, rtol=1e-5)


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ((Task("pay", parent="click"),), "task 'pay' has the parent 'click', which is not among"),
        ((Task("a", parent="b"), Task("b", parent="a")), "parents of task 'a' form a circle"),
        (
            (Task("click"), Task("watch", kind="regression", parent="click")),
            "task 'watch' and its parent 'click' must both be binary",
        ),
    ],
)
def test_esmm_refuses_parents_it_cannot_follow(tasks, message):
    with pytest.raises(ValueError, match=message):
        Esmm(tasks, BackboneConfig())


def test_mmoe_with_one_expert_is_a_shared_bottom():
    sizes = {"bottom_units": (12, 8), "tower_units": (6,)}
    mmoe = build_backbone("mmoe", TASKS, MmoeConfig(**sizes, num_experts=1))
    shared = build_backbone("shared_bottom", TASKS, BackboneConfig(**sizes))
    mmoe(STATE)
    shared(STATE)
    for source, target in ((mmoe.experts, shared.bottom), (mmoe.towers, shared.towers)):
        target.set_weights(source.get_weights())
    np.testing.assert_allclose(mmoe(STATE), shared(STATE), rtol=1e-5, atol=1e-6)


def test_a_task_of_single_task_does_not_move_another():
    backbone = build_backbone("single_task", TASKS, BackboneConfig(dropout=0.0))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(backbone(STATE)[:, 0])
    for variable, gradient in zip(
        backbone.trainable_variables, tape.gradient(loss, backbone.trainable_variables), strict=True
    ):
        assert not np.any(gradient[1]), variable.name


def test_ple_shares_only_its_shared_experts():
    backbone = build_backbone("ple", TASKS, PleConfig(dropout=0.0))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(backbone(STATE)[:, 0])
    level = backbone.levels[0]
    own, shared = tape.gradient(
        loss, [level.task_experts.kernels[0], level.shared_experts.kernels[0]]
    )
    each = backbone.config.num_task_experts
    assert np.any(own[:each])
    assert not np.any(own[each:])
    assert all(np.any(expert) for expert in shared.numpy())
    assert level.shared_gate is None


def test_default_sizes_are_the_papers():
    assert BackboneConfig().bottom_units == (512, 256)
    assert BackboneConfig().tower_units == (128, 64)
    assert MmoeConfig().num_experts == 8
    assert PleConfig().num_shared_experts + PleConfig().num_task_experts == 8
    assert BackboneConfig().dropout == 0.2


@pytest.mark.parametrize("name", list(BACKBONES))
def test_dropout_acts_in_training_only(name):
    config = dataclasses.replace(BACKBONES[name].config(), bottom_units=(64,), tower_units=(32,))
    backbone = build_backbone(name, TASKS, config)
    calm = backbone(STATE).numpy()
    np.testing.assert_array_equal(backbone(STATE).numpy(), calm)
    first, second = backbone(STATE, training=True).numpy(), backbone(STATE, training=True).numpy()
    assert not np.allclose(first, calm)
    assert not np.allclose(first, second)


def test_wrong_configurations_are_explained():
    with pytest.raises(ValueError, match="no backbone 'mmoo'; there are: single_task, shared_bott"):
        build_backbone("mmoo", TASKS)
    with pytest.raises(ValueError, match="'mmoe' is configured by MmoeConfig, not by PleConfig"):
        build_backbone("mmoe", TASKS, PleConfig())
    with pytest.raises(ValueError, match="at least one task"):
        build_backbone("mmoe", ())
    with pytest.raises(ValueError, match="named twice"):
        build_backbone("mmoe", (Task("click"), Task("click")))
    with pytest.raises(ValueError, match=r"share in \[0, 1\), got 1.0"):
        BackboneConfig(dropout=1.0)
    with pytest.raises(ValueError, match="at least one expert"):
        MmoeConfig(num_experts=0)
    with pytest.raises(ValueError, match="at least one shared expert"):
        PleConfig(num_levels=0)
    with pytest.raises(ValueError, match="at least one bottom layer"):
        BackboneConfig(bottom_units=())
