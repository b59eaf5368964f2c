"""Early stopping, divergence, interruption and resumption of training."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from mtfx.datasets.labels import UNKNOWN
from mtfx.datasets.spec import Task
from mtfx.errors import DataError, TrainingDivergedError
from mtfx.models.config import ModelConfig, StateConfig
from mtfx.models.input_features import InputFeature
from mtfx.models.mtl.registry import BackboneConfig
from mtfx.models.optimizers import LazyAdam
from mtfx.models.ranking_model import RankingModel
from mtfx.trainers.ranking.config import TrainingConfig
from mtfx.trainers.ranking.training import TrainingResult, train

INPUTS = (InputFeature("item", "categorical", 20), InputFeature("age", "numeric"))
TASKS = (Task("click"), Task("watch", kind="regression", unit=10.0))
SMALL = ModelConfig(
    backbone="shared_bottom",
    sizes=BackboneConfig(bottom_units=(16, 8), tower_units=(8,), dropout=0.1),
    state=StateConfig(embedding_dim=4, hidden_units=(), state_dim=8),
)


def build_model() -> RankingModel:
    return RankingModel(INPUTS, TASKS, SMALL, seed=3)


def data(rows: int = 256, *, seed: int = 0, clicks: float | None = None) -> tf.data.Dataset:
    """Clicks that the item decides, watch times that follow."""
    rng = np.random.default_rng(seed)
    item = rng.integers(0, 20, rows)
    click = (item % 2).astype(np.float32) if clicks is None else np.full(rows, clicks, np.float32)
    watch = (20.0 * click + rng.uniform(0, 1, rows)).astype(np.float32)
    features = {"item": item, "age": rng.normal(size=rows).astype(np.float32)}
    return tf.data.Dataset.from_tensor_slices((features, np.stack([click, watch], 1))).batch(64)


UNSURE = tuple(dataclasses.replace(task, may_be_unknown=True) for task in TASKS)


def with_gaps(batches: tf.data.Dataset, *shares: float) -> tf.data.Dataset:
    """The batches with shares of the labels unknown, of each part of a batch one."""

    def hide(features, labels):
        drawn = np.random.default_rng(4).random((64, 2))
        limits = np.repeat(shares, 64 // len(shares))[:, None]
        return features, tf.where(drawn < limits, float(UNKNOWN), labels)

    return batches.map(hide)


def run(directory: Path, config: TrainingConfig, **overrides) -> TrainingResult:
    arguments = {
        "build_model": build_model,
        "train_data": data(),
        "validation_data": data(seed=1),
        "config": config,
        "checkpoint_dir": str(directory / "checkpoints [v2]"),
        "log_dir": str(directory / "logs"),
    }
    return train(**{**arguments, **overrides})


def interrupted_run(directory: Path) -> None:
    """Trains slowly, to be killed; the entry point of a subprocess."""
    run(directory, TrainingConfig(epochs=8, patience=8), on_epoch_end=lambda *_: time.sleep(0.5))


def subprocess_of(call: str, stderr: int = subprocess.DEVNULL) -> subprocess.Popen:
    """Runs a function of this file in a process of its own."""
    root = Path(__file__).parents[3]
    code = (
        "import importlib.util, pathlib, sys\n"
        f"spec = importlib.util.spec_from_file_location('module', {str(Path(__file__))!r})\n"
        "module = sys.modules['module'] = importlib.util.module_from_spec(spec)\n"
        f"spec.loader.exec_module(module)\nmodule.{call}\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "TF_CPP_MIN_LOG_LEVEL": "3"},
        stderr=stderr,
    )


def test_training_learns_and_reports(tmp_path):
    seen = []
    result = run(
        tmp_path,
        TrainingConfig(epochs=6, patience=6, learning_rate=0.01),
        on_epoch_end=lambda epoch, metrics: seen.append((epoch, metrics["val_mean_auc"])),
    )
    losses = [epoch["loss"] for epoch in result.history]
    assert losses[-1] < losses[0]
    assert result.history[-1]["val_click_auc"] > 0.95
    assert [epoch for epoch, _ in seen] == [1, 2, 3, 4, 5, 6]
    scores = [score for _, score in seen]
    assert result.best_epoch == 1 + int(np.argmax(scores))
    written = json.loads((tmp_path / "logs" / "history.json").read_text())
    assert written["epochs"] == list(result.history)
    assert written["best_epoch"] == result.best_epoch
    events = [
        event
        for path in (tmp_path / "logs" / "validation").glob("events*")
        for event in tf.compat.v1.train.summary_iterator(str(path))
    ]
    tags = {value.tag for event in events for value in event.summary.value}
    assert "epoch_mean_auc" in tags


def test_the_best_epochs_weights_are_restored(tmp_path):
    # A rate this high makes later epochs worse than the best.
    result = run(tmp_path, TrainingConfig(epochs=8, patience=8, learning_rate=0.3))
    result.model.reset_metrics()
    evaluated = result.model.evaluate(data(seed=1), return_dict=True, verbose=0)
    best = result.history[result.best_epoch - 1]
    assert evaluated["click_auc"] == pytest.approx(best["val_click_auc"], abs=1e-6)
    assert evaluated["loss"] == pytest.approx(best["val_loss"], rel=1e-5)


def test_training_stops_when_patience_runs_out(tmp_path):
    result = run(tmp_path, TrainingConfig(epochs=50, patience=2, learning_rate=0.05))
    assert len(result.history) == result.best_epoch + 2 < 50


def test_one_class_in_validation_leaves_the_task_out_of_the_score(tmp_path, caplog):
    result = run(tmp_path, TrainingConfig(epochs=2), validation_data=data(seed=1, clicks=0.0))
    assert result.undefined_auc == ("click",)
    assert "validation AUC is undefined for click" in caplog.text
    assert "validation loss" in caplog.text
    assert all(epoch["val_click_auc"] is None for epoch in result.history)
    losses = [epoch["val_loss"] for epoch in result.history]
    assert result.best_epoch == 1 + int(np.argmin(losses))
    assert "NaN" not in (tmp_path / "logs" / "history.json").read_text()


@pytest.mark.parametrize("split", ["train", "validation"])
@pytest.mark.parametrize("column", [0, 1])
def test_a_task_without_any_known_label_is_refused(tmp_path, split, column):
    hidden = data().map(
        lambda features, labels: (features, tf.where([k == column for k in (0, 1)], -1.0, labels))
    )
    with pytest.raises(DataError, match=rf"no impression of the {split}\w* split has a known") as e:
        run(
            tmp_path,
            TrainingConfig(epochs=1),
            build_model=lambda: RankingModel(INPUTS, UNSURE, SMALL, seed=3),
            **{f"{split}_data": hidden},
        )
    assert f"label of {TASKS[column].name}: leave the task out with --tasks" in str(e.value)


def test_training_learns_from_what_is_known(tmp_path):
    """A rating that is 20 where it is given, in one row of five; the others say nothing."""
    rated = data().map(
        lambda features, labels: (features, tf.stack([labels[:, 0], 0 * labels[:, 1] + 20], 1))
    )
    result = run(
        tmp_path,
        TrainingConfig(epochs=30, patience=30, learning_rate=0.02),
        build_model=lambda: RankingModel(INPUTS, UNSURE, SMALL, seed=3),
        train_data=with_gaps(rated, 0.8),
        validation_data=with_gaps(rated, 0.8),
    )
    features, _ = next(iter(rated))
    assert np.median(result.model.predict_tasks(features)["watch"]) == pytest.approx(20, rel=0.1)
    assert result.history[-1]["val_click_auc"] > 0.9


def test_a_loss_that_is_not_finite_ends_training_with_advice(tmp_path):
    broken = data().map(lambda features, labels: (features, labels * math.nan))
    with pytest.raises(TrainingDivergedError, match=r"nan in epoch 1 at step 1; lower the learn"):
        run(tmp_path, TrainingConfig(epochs=2), train_data=broken)


def test_an_empty_split_is_refused(tmp_path):
    with pytest.raises(ValueError, match="validation split holds no impression"):
        run(tmp_path, TrainingConfig(), validation_data=data().take(0))


@pytest.mark.slow
def test_the_same_seed_gives_the_same_history(tmp_path):
    config = TrainingConfig(epochs=2, seed=5)
    histories = [run(tmp_path / name, config).history for name in ("first", "second")]
    for one, other in zip(*histories, strict=True):
        assert one == pytest.approx(other, rel=1e-4)


@pytest.mark.slow
def test_a_killed_training_resumes_after_its_last_epoch(tmp_path):
    process = subprocess_of(f"interrupted_run(pathlib.Path({str(tmp_path)!r}))")
    state = tmp_path / "checkpoints [v2]" / "state.json"
    try:
        deadline = time.monotonic() + 120
        while not (state.exists() and len(json.loads(state.read_text())["state"]["history"]) >= 2):
            assert process.poll() is None, "training ended before it could be killed"
            assert time.monotonic() < deadline, "no second epoch within two minutes"
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
    before = json.loads(state.read_text())["state"]["history"]
    assert 2 <= len(before) < 8
    result = run(tmp_path, TrainingConfig(epochs=8, patience=8))
    assert result.resumed_from == len(before)
    assert len(result.history) == 8
    assert list(result.history[: len(before)]) == before
    # It goes on, rather than starting over: the loss stays below the first epoch's.
    assert result.history[len(before)]["loss"] < result.history[0]["loss"]


def test_a_complete_training_is_not_repeated(tmp_path):
    config = TrainingConfig(epochs=2)
    first = run(tmp_path, config)
    weights = first.model.get_weights()
    again = run(tmp_path, config)
    assert again.resumed_from == 2
    assert again.history == first.history
    for one, other in zip(weights, again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_checkpoints_of_another_configuration_are_ignored(tmp_path, caplog):
    run(tmp_path, TrainingConfig(epochs=1))
    result = run(tmp_path, TrainingConfig(epochs=1, learning_rate=0.5))
    assert result.resumed_from == 0
    assert "another configuration" in caplog.text


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(TrainingConfig(epochs=2, strategy="mirrored"), marks=pytest.mark.slow),
        pytest.param(TrainingConfig(epochs=2, jit_compile=True), marks=pytest.mark.slow),
        pytest.param(
            TrainingConfig(epochs=2, lazy_embeddings=False, steps_per_execution=3),
            marks=pytest.mark.slow,
        ),
    ],
    ids=["mirrored", "xla", "dense_adam"],
)
def test_switches(tmp_path, config):
    # Fast enough that an epoch of four steps shows.
    result = run(tmp_path, dataclasses.replace(config, learning_rate=0.05))
    assert result.history[1]["loss"] < 0.97 * result.history[0]["loss"]


def two_replicas_and_one(unknown: bool) -> None:
    """Trains on one device and on two; the entry point of a subprocess.

    With unknown labels, most of which fall to one of the two.
    """
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    config = dataclasses.replace(SMALL, sizes=dataclasses.replace(SMALL.sizes, dropout=0.0))
    tasks = UNSURE if unknown else TASKS
    rows = with_gaps(data(), 0.1, 0.9) if unknown else data()
    weights = []
    for strategy in (
        tf.distribute.get_strategy(),
        tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]),
    ):
        with strategy.scope():
            model = RankingModel(INPUTS, tasks, config, seed=3)
            model.compile(optimizer=LazyAdam(0.1))
        # The second epoch starts from moments that the first one left.
        model.fit(rows, epochs=2, verbose=0)
        weights.append(model.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("unknown", [False, True])
def test_two_replicas_train_as_one_does(unknown):
    process = subprocess_of(f"two_replicas_and_one({unknown})", stderr=subprocess.PIPE)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors.decode()[-2000:]


def test_lazy_adam_against_numpy():
    table = tf.Variable(np.ones((5, 2), np.float32))
    optimizer = LazyAdam(0.1)
    first = np.zeros((5, 2))
    second = np.zeros((5, 2))
    expected = np.ones((5, 2))
    for step, rows in enumerate([[1, 3, 1], [0, 3, 3], [4, 1, 2]], start=1):
        values = np.arange(6, dtype=np.float32).reshape(3, 2) * step - 2.5
        optimizer.apply_gradients([(tf.IndexedSlices(values, rows, (5, 2)), table)])
        gradient = np.zeros((5, 2))
        np.add.at(gradient, rows, values)
        touched = np.unique(rows)
        first[touched] = 0.9 * first[touched] + 0.1 * gradient[touched]
        second[touched] = 0.999 * second[touched] + 0.001 * gradient[touched] ** 2
        rate = 0.1 * math.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        expected[touched] -= rate * first[touched] / (np.sqrt(second[touched]) + 1e-7)
    np.testing.assert_allclose(table.numpy(), expected, rtol=1e-5)


def test_configuration_goes_through_json():
    config = TrainingConfig(epochs=3, strategy="mirrored", mixed_precision=True)
    assert TrainingConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    with pytest.raises(ValueError, match=r"no 'epoch'; it has: batch_size"):
        TrainingConfig.from_dict({"epoch": 3})
    with pytest.raises(ValueError, match="no strategy 'tpu'; there are: default, mirrored"):
        TrainingConfig(strategy="tpu")
    with pytest.raises(ValueError, match="epochs must be at least 1, got 0"):
        TrainingConfig(epochs=0)
