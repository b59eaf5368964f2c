"""What the end of an epoch does to the weighting of losses."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from mtfx.datasets.spec import Task
from mtfx.models.config import ModelConfig, StateConfig
from mtfx.models.input_features import InputFeature
from mtfx.models.mtl.registry import BackboneConfig
from mtfx.models.ranking_model import RankingModel
from mtfx.trainers.ranking.checkpoints import TrainingState
from mtfx.trainers.ranking.config import TrainingConfig
from mtfx.trainers.ranking.epochs import EpochKeeper, validation_score
from mtfx.trainers.ranking.training import train

INPUTS = (InputFeature("item", "categorical", 20),)
TASKS = (Task("click"), Task("watch", kind="regression", unit=10.0))
SLOWER = ("gradnorm", "pcgrad")
MODEL = ModelConfig(
    backbone="shared_bottom",
    sizes=BackboneConfig(bottom_units=(8,), tower_units=(), dropout=0.0),
    state=StateConfig(embedding_dim=4, hidden_units=(), state_dim=8),
    task_weights=(("watch", 1.0),),
)


def run(directory, weighting, epochs):
    rng = np.random.default_rng(0)
    item = rng.integers(0, 20, 256)
    labels = np.stack([item % 2, 20.0 * (item % 2) + rng.uniform(0, 1, 256)], axis=1)
    data = tf.data.Dataset.from_tensor_slices(({"item": item}, labels.astype(np.float32)))
    config = dataclasses.replace(MODEL, loss_weighting=weighting)
    return train(
        lambda: RankingModel(INPUTS, TASKS, config, seed=3),
        data.batch(64),
        data.batch(64),
        TrainingConfig(epochs=epochs, patience=9, learning_rate=0.01),
        checkpoint_dir=str(directory / "checkpoints"),
        log_dir=str(directory / "logs"),
    )


def test_the_weights_of_the_next_epoch_follow_from_the_losses_of_the_last_two(tmp_path):
    result = run(tmp_path, "dwa", 3)
    # The model is that of the best epoch, whose end has set the weights already.
    assert result.best_epoch == 3
    last, before = (
        np.array([epoch[f"{task.name}_loss"] for task in TASKS])
        for epoch in (result.history[2], result.history[1])
    )
    exponentials = np.exp(last / before / 2)
    np.testing.assert_allclose(
        result.model.weighting.task_weights, 2 * exponentials / exponentials.sum(), rtol=1e-5
    )


@pytest.mark.slow
@pytest.mark.parametrize("weighting", ["dwa", *SLOWER])
def test_a_resumed_training_goes_on_as_if_uninterrupted(tmp_path, weighting):
    whole = run(tmp_path / "whole", weighting, 4)
    run(tmp_path / "parts", weighting, 2)
    parts = run(tmp_path / "parts", weighting, 4)
    assert parts.resumed_from == 2
    for one, other in zip(whole.history, parts.history, strict=True):
        assert one == pytest.approx(other, rel=1e-4)


@pytest.mark.slow
def test_checkpoints_of_another_weighting_are_ignored(tmp_path):
    run(tmp_path, "constant", 1)
    assert run(tmp_path, "dwa", 1).resumed_from == 0


def test_a_score_is_the_mean_of_the_areas_that_there_are():
    areas = {"click_auc": 0.6, "like_auc": 0.8, "share_auc": float("nan"), "loss": 0.3}
    assert validation_score(areas) == pytest.approx(0.7)
    assert validation_score({"share_auc": float("nan"), "loss": 0.3}) == -0.3


def test_patience_counts_from_the_best_epoch():
    keeper = EpochKeeper(None, TrainingState(), TrainingConfig(patience=2), None)  # type: ignore[arg-type]
    assert not keeper.out_of_patience
    keeper.state = TrainingState(({}, {}, {}), best_epoch=2)
    assert not keeper.out_of_patience
    keeper.state = TrainingState(({}, {}, {}), best_epoch=1)
    assert keeper.out_of_patience
