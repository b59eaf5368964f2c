"""All loss weightings: names, constant weights, devices, precisions, numbers of tasks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from mtfx.datasets.spec import Task
from mtfx.models.config import ModelConfig, StateConfig
from mtfx.models.input_features import InputFeature
from mtfx.models.keras import keras
from mtfx.models.loss_weighting.base import LossWeighting
from mtfx.models.loss_weighting.registry import LOSS_WEIGHTINGS, build_loss_weighting
from mtfx.models.mtl.registry import BackboneConfig
from mtfx.models.ranking_model import RankingModel

LEARNED = [name for name in LOSS_WEIGHTINGS if name != "constant"]


def test_names_and_classes_agree(weighted):
    for name, entry in LOSS_WEIGHTINGS.items():
        assert type(weighted.model(name).weighting) is entry.load()
    with pytest.raises(ValueError, match="no loss weighting 'equal'; there are: constant, unc"):
        ModelConfig(loss_weighting="equal")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="1 constant weights for 2 tasks"):
        LossWeighting((Task("click"), Task("pay")), [1.0])


def test_constant_weights_weigh_the_gradients(weighted):
    model = weighted.model("constant", task_weights=(("click", 0.5), ("pay", 0.0)))
    batch = weighted.batch()
    losses, gradients = weighted.task_gradients(model, batch)
    weights = np.array([0.5, 1.0, 0.0, 1.0, 1.0])
    applied, logs = weighted.step(model, batch)
    assert logs["loss"] == pytest.approx(weights @ losses, rel=1e-5)
    for position, one in enumerate(applied):
        wanted = sum(w * g[position] for w, g in zip(weights, gradients, strict=True))
        np.testing.assert_allclose(one, wanted, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", LOSS_WEIGHTINGS)
def test_one_task_keeps_its_direction(weighted, name):
    model = weighted.model(name, num_tasks=1, task_weights=(("click", 2.0),))
    batch = weighted.batch(num_tasks=1)
    _, [gradient] = weighted.task_gradients(model, batch)
    variables = model.trainable_variables
    applied, _ = weighted.step(model, batch)
    for variable, one, wanted in zip(variables, applied, gradient, strict=True):
        if "log_variances" not in variable.name:
            np.testing.assert_allclose(one, 2.0 * wanted, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "precision", "xla"),
    [
        *(pytest.param(name, "bfloat16", False, marks=pytest.mark.slow) for name in LEARNED),
        pytest.param("gradnorm", "float32", True, marks=pytest.mark.slow),
        pytest.param("pcgrad", "float32", True, marks=pytest.mark.slow),
    ],
)
def test_losses_fall(weighted, name, precision, xla):
    weights = (("cart", 0.0), ("pay", 2.0))
    model = weighted.model(
        name, backbone="shared_bottom", precision=precision, task_weights=weights
    )
    model.compile(optimizer=keras.optimizers.Adam(0.01), jit_compile=xla)
    data = tf.data.Dataset.from_tensors(weighted.batch()).repeat(200)
    history = []
    for _ in range(3):
        logs = model.fit(data, verbose=0).history
        history.append([logs[f"{task.name}_loss"][0] for task in model.tasks])
        model.weighting.end_epoch(history[-1])
    fall = np.array(history[-1]) / np.array(history[0])
    assert np.all(fall[[0, 2, 3, 4]] < 0.97), fall
    assert all(np.all(np.isfinite(variable.numpy())) for variable in model.variables)


def two_replicas_and_one() -> None:
    """Trains on one device and on two, which must agree; the entry point of a subprocess."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    one_device = tf.distribute.get_strategy()
    two_devices = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    for name in ("uncertainty", "gradnorm", "pcgrad"):
        for one, other in zip(trained(name, one_device), trained(name, two_devices), strict=True):
            np.testing.assert_allclose(one, other, rtol=2e-3, atol=1e-4, err_msg=name)
    with two_devices.scope():
        weighting = build_loss_weighting("dwa", (Task("click"), Task("like")), [1.0, 1.0])
    weighting.end_epoch([1.0, 1.0])
    weighting.end_epoch([1.0, 0.5])
    replicas = two_devices.run(lambda: weighting.task_weights + 0.0)
    for values in two_devices.experimental_local_results(replicas):
        np.testing.assert_allclose(values, 2 / (1 + np.exp([-0.25, 0.25])), rtol=1e-5)


def trained(name: str, strategy: tf.distribute.Strategy) -> list[np.ndarray]:
    """Weights after four steps; replicas with equal shares of each batch, as means need them."""
    tasks = (Task("click"), Task("watch", kind="regression", unit=10.0), Task("like"))
    inputs = (InputFeature("item", "categorical", 20), InputFeature("age", "numeric"))
    config = ModelConfig(
        backbone="shared_bottom",
        sizes=BackboneConfig(bottom_units=(8,), tower_units=(), dropout=0.0),
        state=StateConfig(embedding_dim=4, hidden_units=(), state_dim=8),
        loss_weighting=name,  # pyright: ignore[reportArgumentType]
        task_weights=(("like", 0.5),),
    )
    rng = np.random.default_rng(0)
    features = {"item": rng.integers(0, 20, 120), "age": rng.normal(size=120).astype(np.float32)}
    labels = rng.integers(0, 2, (120, 3)).astype(np.float32) * np.float32([1, 30, 1])
    data = tf.data.Dataset.from_tensor_slices((features, labels)).batch(64)
    with strategy.scope():
        model = RankingModel(inputs, tasks, config, seed=3)
        model.compile(optimizer=keras.optimizers.SGD(0.05))
    model.fit(data, epochs=2, verbose=0)
    return model.get_weights()


@pytest.mark.slow
def test_two_replicas_train_as_one_does():
    root = Path(__file__).parents[3]
    code = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('module', {str(Path(__file__))!r})\n"
        "module = sys.modules['module'] = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\nmodule.two_replicas_and_one()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(root), "TF_USE_LEGACY_KERAS": "1"}
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env=environment, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr[-3000:]


def test_a_weighting_of_ones_own_takes_the_configurations_place(small):
    own = build_loss_weighting("dwa", small.tasks, [1.0] * 5)
    assert (
        RankingModel(small.inputs, small.tasks, small.config("mmoe"), weighting=own).weighting
        is own
    )
