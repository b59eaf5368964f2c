"""Every backbone's forward pass, loss and gradients; what the model predicts."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import mean_tweedie_deviance, roc_auc_score

from mtfx.datasets.spec import Task
from mtfx.models.config import ModelConfig
from mtfx.models.keras import keras
from mtfx.models.metrics import LogitAuc
from mtfx.models.mtl.registry import BACKBONES, MmoeConfig, PleConfig
from mtfx.models.ranking_model import (
    MAX_LOG,
    MIN_LOG,
    REGRESSION_WEIGHT,
    RankingModel,
    TweedieDeviance,
)

TASK_COUNTS = (1, 2, 5)
#: All backbones; by default, where each takes ten seconds, MMoE alone.
ONE_QUICK = [
    pytest.param(name, marks=[] if name == "mmoe" else pytest.mark.slow) for name in BACKBONES
]


def tensors(features):
    return {name: tf.constant(values) for name, values in features.items()}


@pytest.mark.parametrize("num_tasks", TASK_COUNTS)
@pytest.mark.parametrize("backbone", list(BACKBONES))
def test_forward_pass_and_loss_match_numpy(small, reference, backbone, num_tasks):
    model = small.model(backbone, num_tasks)
    features, labels = small.batch(num_tasks=num_tasks)
    logits = model(tensors(features))
    assert logits.shape == (24, num_tasks)
    assert logits.dtype == tf.float32
    state = reference.state_representation(model.state_representation, features)
    expected = reference.FORWARD[backbone](model.backbone, state)
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-5)
    loss = model.compute_loss((tensors(features), tf.constant(labels)))
    weights = [1.0 if task.kind == "binary" else REGRESSION_WEIGHT for task in model.tasks]
    wanted = reference.loss(model.tasks, weights, expected, labels)
    assert float(loss) == pytest.approx(wanted, rel=1e-4)


def test_task_weights_scale_the_losses(small, reference):
    weights = (("click", 0.5), ("watch", 2.0))
    config = ModelConfig(
        backbone="mmoe",
        sizes=small.sizes("mmoe"),
        state=small.config("mmoe").state,
        task_weights=weights,
    )
    model = RankingModel(small.inputs, small.tasks, config, seed=7)
    features, labels = small.batch()
    logits = model(tensors(features)).numpy().astype(np.float64)
    wanted = reference.loss(model.tasks, [0.5, 1.0, 1.0, 1.0, 2.0], logits, labels)
    loss = model.compute_loss((tensors(features), tf.constant(labels)))
    assert float(loss) == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("backbone", list(BACKBONES))
def test_gradients_reach_every_weight(small, backbone):
    # Gates below a shared input get a gradient only if experts differ, as they do at random.
    model = small.model(backbone, dropout=0.0)
    features, labels = small.batch(rows=400)
    with tf.GradientTape() as tape:
        loss = model.compute_loss((tensors(features), tf.constant(labels)), training=True)
    for variable, gradient in zip(
        model.trainable_variables, tape.gradient(loss, model.trainable_variables), strict=True
    ):
        assert gradient is not None, variable.name
        assert np.any(tf.convert_to_tensor(gradient).numpy()), variable.name


@pytest.mark.parametrize("backbone", ONE_QUICK)
def test_gradient_matches_finite_differences(small, backbone):
    model = small.model(backbone, dropout=0.0)
    features, labels = small.batch(rows=64)
    batch = (tensors(features), tf.constant(labels))
    with tf.GradientTape() as tape:
        loss = model.compute_loss(batch, training=True)
    variables = [v for v in model.trainable_variables if "head" in v.name or "kernel_1" in v.name]
    gradients = tape.gradient(loss, variables)
    rng = np.random.default_rng(0)
    for variable, gradient in zip(variables, gradients, strict=True):
        direction = rng.normal(size=variable.shape).astype(np.float32)
        direction /= np.linalg.norm(direction)
        step = 1e-2
        value = variable.numpy()
        variable.assign(value + step * direction)
        above = float(model.compute_loss(batch))
        variable.assign(value - step * direction)
        below = float(model.compute_loss(batch))
        variable.assign(value)
        numeric = (above - below) / (2 * step)
        assert numeric == pytest.approx(
            float(tf.reduce_sum(gradient * direction)), rel=0.05, abs=2e-3
        ), variable.name


@pytest.mark.slow
@pytest.mark.parametrize("backbone", list(BACKBONES))
def test_a_tiny_set_is_learned_by_heart(small, backbone):
    model = small.model(backbone, dropout=0.0, bottom_units=(32, 16), tower_units=(16,))
    features, _ = small.batch(rows=32)
    rng = np.random.default_rng(3)
    click = rng.integers(0, 2, 32)
    cart = click * rng.integers(0, 2, 32)
    pay = cart * rng.integers(0, 2, 32)
    labels = np.stack([click, cart, pay, rng.integers(0, 2, 32), 1_000.0 + 5_000 * click], axis=1)
    batch = (tensors(features), tf.constant(labels.astype(np.float32)))
    data = tf.data.Dataset.from_tensors(batch).repeat(150)
    model.compile(optimizer=keras.optimizers.Adam(0.01))
    before = float(model.compute_loss(batch))
    model.fit(data, verbose=0)
    assert float(model.compute_loss(batch)) < 0.1 * before


@pytest.mark.slow
@pytest.mark.parametrize("backbone", list(BACKBONES))
def test_bfloat16_agrees_with_float32(small, backbone):
    config = small.config(backbone)
    whole, mixed = (
        RankingModel(small.inputs, small.tasks, config, seed=7, mixed_precision=mixed)
        for mixed in (False, True)
    )
    features, labels = small.batch()
    expected, logits = whole(tensors(features)), mixed(tensors(features))
    assert logits.dtype == tf.float32
    assert {variable.dtype for variable in mixed.trainable_variables} == {tf.float32}
    assert mixed.state_representation(tensors(features)).dtype == tf.bfloat16
    np.testing.assert_allclose(logits, expected, atol=0.03)
    assert not np.array_equal(logits, expected)
    mixed.compile(optimizer=keras.optimizers.Adam(0.01))
    data = tf.data.Dataset.from_tensors((tensors(features), tf.constant(labels))).repeat(5)
    history = mixed.fit(data, epochs=2, verbose=0)
    assert history.history["loss"][1] < history.history["loss"][0]


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["ple"])
def test_xla_computes_the_same(small, backbone):
    model = small.model(backbone)
    features, _ = small.batch()
    compiled = tf.function(model, jit_compile=True)
    np.testing.assert_allclose(
        compiled(tensors(features)), model(tensors(features)), rtol=1e-4, atol=1e-5
    )


def test_predictions_are_probabilities_and_values_in_the_labels_unit(small, reference):
    model = small.model("mmoe")
    features, _ = small.batch()
    logits = model(tensors(features)).numpy()
    predictions = model.predict_tasks(tensors(features))
    assert list(predictions) == ["click", "cart", "pay", "like", "watch"]
    for index, name in enumerate(("click", "cart", "pay", "like")):
        np.testing.assert_allclose(
            predictions[name], reference.sigmoid(logits[:, index]), rtol=1e-5
        )
    expected = 1000.0 * np.exp(logits[:, 4])
    np.testing.assert_allclose(predictions["watch"], expected, rtol=1e-4, atol=1e-3)
    assert {tensor.dtype for tensor in predictions.values()} == {tf.float32}


def test_an_absurd_regression_is_clipped(small):
    model = RankingModel(
        small.inputs, (Task("watch", kind="regression", unit=10.0),), small.config("mmoe")
    )
    features, _ = small.batch()
    model(tensors(features))
    model.backbone.towers.head_bias.assign([1e6])
    values = model.predict_tasks(tensors(features))["watch"]
    np.testing.assert_allclose(values, 10.0 * np.exp(MAX_LOG), rtol=1e-5)
    model.backbone.towers.head_bias.assign([-1e6])
    values = model.predict_tasks(tensors(features))["watch"]
    np.testing.assert_allclose(values, 10.0 * np.exp(MIN_LOG), rtol=1e-5)


def test_the_regression_loss_is_least_at_the_mean_and_agrees_with_sklearn():
    rng = np.random.default_rng(5)
    labels = np.where(rng.random(4000) < 0.3, 0.0, rng.lognormal(1.0, 1.5, 4000))
    logs = np.linspace(-1.0, 4.0, 501)
    deviances = [
        float(TweedieDeviance().call(tf.constant(labels), tf.constant(log))) for log in logs
    ]
    assert np.exp(logs[np.argmin(deviances)]) == pytest.approx(labels.mean(), rel=0.01)
    expected = mean_tweedie_deviance(labels, np.full(4000, np.exp(2.0)), power=1.5)  # pyright: ignore
    assert deviances[300] == pytest.approx(expected, rel=1e-6)


def test_weights_depend_on_the_seed_alone(small):
    features, _ = small.batch()
    logits = [
        RankingModel(small.inputs, small.tasks, ModelConfig(), seed=seed)(tensors(features)).numpy()
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(logits[0], logits[1])
    assert not np.allclose(logits[0], logits[2])


def test_auc_of_a_rare_feedback_matches_scikit_learn():
    rng = np.random.default_rng(0)
    labels = (rng.random(60_000) < 0.001).astype(np.float32)
    logits = (-7.0 + rng.normal(size=60_000) + 0.8 * labels).astype(np.float32)
    metric = LogitAuc(name="auc")
    for part in np.array_split(np.arange(60_000), 7):
        metric.update_state(labels[part], logits[part])
    assert float(metric.result()) == pytest.approx(roc_auc_score(labels, logits), abs=5e-4)
    plain = keras.metrics.AUC(from_logits=True)
    plain.update_state(labels, logits)
    assert abs(float(plain.result()) - roc_auc_score(labels, logits)) > 0.02


def test_auc_without_one_of_the_classes_is_undefined():
    metric = LogitAuc(name="auc")
    for label in (0.0, 1.0):
        metric.reset_state()
        metric.update_state(tf.fill([4], label), tf.constant([0.1, 0.2, 0.3, 0.4]))
        assert np.isnan(metric.result())


def test_configuration_goes_through_json(small):
    config = ModelConfig(
        backbone="ple", sizes=PleConfig(num_levels=2), task_weights=(("click", 0.5),)
    )
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert ModelConfig.from_dict({}) == ModelConfig()
    with pytest.raises(ValueError, match="ModelConfig has no 'layers'; it has: backbone"):
        ModelConfig.from_dict({"layers": 3})
    with pytest.raises(ValueError, match="'ple' is configured by PleConfig, not by MmoeConfig"):
        ModelConfig(backbone="ple", sizes=MmoeConfig())
    with pytest.raises(ValueError, match="task_weights click=-1 must not be negative"):
        ModelConfig(task_weights=(("click", -1.0),))
    with pytest.raises(ValueError, match=r"weights for \['pay_later'\], but the model's tasks are"):
        RankingModel(small.inputs, small.tasks, ModelConfig(task_weights=(("pay_later", 1.0),)))
