"""Models with a loss weighting, and the gradients of their tasks taken one by one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from mtfx.models.keras import keras
from mtfx.models.ranking_model import RankingModel


class Weighted:
    """Makes models; dropout is off, so that a batch has one gradient."""

    def __init__(self, small) -> None:
        self.small = small

    def model(self, weighting, num_tasks=5, backbone="mmoe", task_weights=(), precision="float32"):
        # The regression's default is another, and the references of these tests count it alike.
        if num_tasks == len(self.small.tasks) and "watch" not in dict(task_weights):
            task_weights = (*task_weights, ("watch", 1.0))
        config = dataclasses.replace(
            self.small.config(backbone, dropout=0.0),
            loss_weighting=weighting,
            task_weights=task_weights,
        )
        model = RankingModel(
            self.small.inputs,
            self.small.tasks[:num_tasks],
            config,
            seed=7,
            mixed_precision=precision == "bfloat16",
        )
        model.compile(optimizer=keras.optimizers.SGD(0.1))
        model(self.batch(num_tasks)[0])
        return model

    def batch(self, num_tasks=5, rows=24):
        features, labels = self.small.batch(rows, num_tasks)
        return {name: tf.constant(values) for name, values in features.items()}, tf.constant(labels)

    def task_gradients(self, model, batch):
        """Losses `[task]`, and for every task its gradient in every trainable variable, dense."""
        losses, gradients = [], []
        for index in range(len(model.tasks)):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(model.losses(batch, training=True).losses[:, index])
            taken = tape.gradient(loss, model.trainable_variables)
            losses.append(float(loss))
            gradients.append(
                [
                    np.zeros(v.shape) if g is None else tf.convert_to_tensor(g).numpy()
                    for v, g in zip(model.trainable_variables, taken, strict=True)
                ]
            )
        return np.array(losses), gradients

    def step(self, model, batch):
        """The gradients that one training step of plain descent applied, per variable."""
        before = [variable.numpy() for variable in model.trainable_variables]
        logs = model.train_step(batch)
        after = [variable.numpy() for variable in model.trainable_variables]
        applied = [(old - new) / 0.1 for old, new in zip(before, after, strict=True)]
        return applied, {name: float(value) for name, value in logs.items()}


@pytest.fixture(scope="session")
def weighted(small) -> Weighted:
    return Weighted(small)
