"""Run of one trial of RMTL's experiments: trains, and measures on the test split."""

from __future__ import annotations

import dataclasses
import functools
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from mtfx.datasets.registry import load_dataset
from mtfx.datasets.spec import Task
from mtfx.environments.sessions.replay import negative_bce
from mtfx.environments.sessions.table import SessionTable
from mtfx.evaluation.ranking.ranking_metrics import TaskFigures, task_figures
from mtfx.experiments.engine.data import SPLITS, PreparedData
from mtfx.experiments.rmtl.trial import WITH_CRITICS, RmtlTrial
from mtfx.models.config import ModelConfig, model_sizes
from mtfx.models.input_features import InputFeature
from mtfx.models.keras import keras
from mtfx.models.loss_weighting.base import LossWeighting
from mtfx.models.model_inputs import model_inputs
from mtfx.models.ranking_model import RankingModel
from mtfx.trainers.ranking.config import RmtlTrainingConfig, TrainingConfig
from mtfx.trainers.ranking.critic_artifact import load_critics, save_critics
from mtfx.trainers.ranking.critics import discounted_returns
from mtfx.trainers.ranking.ddpg import train_ddpg
from mtfx.trainers.ranking.epochs import Metrics
from mtfx.trainers.ranking.input import impression_batches, load_sessions, table_batches
from mtfx.trainers.ranking.rmtl import CRITIC_DIR, critic_config, learn_critics, retrain
from mtfx.trainers.ranking.training import TrainingResult, build_for_training, train

_MODEL = "model"
#: Impressions in the scatter plot of Q against the realised return.
_SCATTER = 2_000
#: A split of more impressions is read anew in every epoch: in memory it takes 8 bytes per feature.
_MAX_IN_MEMORY = 20_000_000
#: Impressions predicted at once.
_PREDICTION_BATCH = 8192


def run_trial(data: PreparedData, trial: RmtlTrial, directories: dict[str, str]) -> dict[str, Any]:
    """Runs a trial.

    Args:
      data: Transformed sessions.
      trial: What to train.
      directories: Of this trial and those it requires, by key.

    Returns:
      ``metrics`` by task on the test split, ``seconds``, ``curves`` and ``notes``; of a trial of
      critics no metrics.
    """
    started = time.perf_counter()
    # A worker runs many trials, and Keras would keep every one's graphs.
    keras.backend.clear_session()
    result = _Trial(data, trial, directories).run()
    return {**result, "seconds": time.perf_counter() - started}


class _Trial:
    """The parts that the methods share."""

    def __init__(self, data: PreparedData, trial: RmtlTrial, directories: dict[str, str]) -> None:
        self._data, self._trial = data, trial
        self._directory = directories[trial.key]
        self._directories = directories
        spec = load_dataset(data.dataset)
        self._tasks: tuple[Task, ...] = spec.select_tasks(data.tasks)
        transform_output = tft.TFTransformOutput(data.transform_graph)
        self._inputs: tuple[InputFeature, ...] = model_inputs(spec, transform_output)
        self._feature_spec = transform_output.transformed_feature_spec()
        config = trial.config
        sizes, state = model_sizes(trial.backbone, config.scale, trial.seed)
        self._model_config = ModelConfig(backbone=trial.backbone, sizes=sizes, state=state)
        self._training = TrainingConfig(
            batch_size=config.batch_size,
            epochs=config.epochs,
            patience=config.patience,
            learning_rate=config.learning_rate,
            seed=trial.seed,
        )

    def run(self) -> dict[str, Any]:
        method = self._trial.method
        if method == "constant":
            return self._constant()
        if method == "critics":
            return self._critics()
        if method == "ddpg":
            return self._ddpg()
        return self._retrained()

    def _constant(self) -> dict[str, Any]:
        result = train(
            lambda: self._build(None),
            self._batches("train", shuffle=True),
            self._batches("eval"),
            self._training,
            os.path.join(self._directory, "checkpoints"),
            self._directory,
        )
        self._save(result.model)
        return {"metrics": self._measure(result.model), "curves": {}, "notes": _notes(result)}

    def _critics(self) -> dict[str, Any]:
        actor = self._pretrained()
        config = self._rmtl_config()
        critics, history = learn_critics(
            actor,
            critic_config(self._model_config, self._trial.seed, config),
            self._sessions("train"),
            config,
            self._trial.seed,
            os.path.join(self._directory, "checkpoints"),
            self._directory,
        )
        save_critics(critics, os.path.join(self._directory, CRITIC_DIR), dataclasses.asdict(config))
        table = self._sessions("eval")
        actions = _predict(lambda rows: tf.sigmoid(actor(rows, training=False)), table.features)
        rewards = negative_bce(table.labels, tf.constant(actions)).numpy()
        returns = discounted_returns(rewards, table.lengths, config.agent.gamma)
        values = _predict(
            lambda rows, chosen: critics(rows, chosen, training=False), table.features, actions
        )
        rows = np.random.default_rng(self._trial.seed).permutation(len(returns))[:_SCATTER]
        names = [task.name for task in self._tasks]
        return {
            "metrics": {},
            "curves": {
                "steps": list(history.windows),
                "td_error": list(history.td_error),
                "td_loss": list(history.critic_loss),
                "q": {name: values[rows, k].tolist() for k, name in enumerate(names)},
                "realised_return": {
                    name: returns[rows, k].tolist() for k, name in enumerate(names)
                },
            },
            "notes": {
                "converged": history.converged,
                "steps": history.steps,
                "correlation": {
                    name: float(np.corrcoef(values[:, k], returns[:, k])[0, 1])
                    for k, name in enumerate(names)
                },
                "mean_q": values.mean(axis=0).tolist(),
                "mean_return": returns.mean(axis=0).tolist(),
            },
        }

    def _retrained(self) -> dict[str, Any]:
        actor = self._pretrained()
        source = self._trial.critics
        if source is None:
            raise ValueError(f"method {self._trial.method} needs critics")
        path = os.path.join(self._directories[source.key], CRITIC_DIR)
        critics = load_critics(path, actor.features, actor.tasks)
        weights: dict[str, list[float]] = {task.name: [] for task in self._tasks}

        def note_weights(epoch: int, metrics: Metrics) -> None:
            del epoch
            for name, values in weights.items():
                values.append(metrics[f"{name}_weight"] or 0.0)

        result = retrain(
            self._build,
            actor,
            critics,
            self._batches("train", shuffle=True),
            self._batches("eval"),
            self._training,
            self._rmtl_config(),
            os.path.join(self._directory, "checkpoints"),
            self._directory,
            note_weights,
        )
        self._save(result.model)
        return {
            "metrics": self._measure(result.model),
            "curves": {"weights": weights},
            "notes": _notes(result),
        }

    def _ddpg(self) -> dict[str, Any]:
        actor = self._pretrained()
        config = self._rmtl_config()
        target = self._built()
        history = train_ddpg(
            actor,
            target,
            critic_config(self._model_config, self._trial.seed, config),
            self._sessions("train"),
            self._batches("eval"),
            config,
            self._trial.seed,
            self._trial.config.retrain_learning_rate,
            os.path.join(self._directory, "checkpoints"),
        )
        return {
            "metrics": self._measure(actor),
            "curves": {"steps": list(history.windows), "td_error": list(history.td_error)},
            "notes": {"steps": history.steps},
        }

    def _rmtl_config(self) -> RmtlTrainingConfig:
        weighting = self._trial.method if self._trial.method in WITH_CRITICS else "rmtl"
        return self._trial.config.training_config(weighting, self._training.batch_size)  # type: ignore[arg-type]

    def _build(self, weighting: LossWeighting | None) -> RankingModel:
        return RankingModel(
            self._inputs,
            self._tasks,
            self._model_config,
            seed=self._trial.seed,
            weighting=weighting,
        )

    def _built(self) -> RankingModel:
        data = self._batches("train")
        return build_for_training(lambda: self._build(None), data, self._training)

    def _pretrained(self) -> RankingModel:
        """The model of the required trial with constant weights."""
        required = self._trial.actor
        if required is None:
            raise ValueError(f"method {self._trial.method} starts from no model")
        model = self._built()
        path = os.path.join(self._directories[required.key], _MODEL)
        _model_checkpoint(model).read(path).assert_existing_objects_matched()
        return model

    def _save(self, model: RankingModel) -> None:
        _model_checkpoint(model).write(os.path.join(self._directory, _MODEL))

    def _batches(self, split: str, *, shuffle: bool = False) -> tf.data.Dataset:
        size, seed = self._training.batch_size, self._trial.seed
        if self._data.impressions.get(split, 0) <= _MAX_IN_MEMORY:
            return table_batches(self._sessions(split), size, shuffle=shuffle, seed=seed)
        return impression_batches(
            self._data.splits[split],
            self._feature_spec,
            self._inputs,
            self._tasks,
            size,
            shuffle=shuffle,
            seed=seed,
        )

    def _sessions(self, split: str) -> SessionTable:
        return _load_sessions(self._data.to_json(), split)

    def _measure(self, model: RankingModel) -> dict[str, TaskFigures]:
        table = self._sessions("test")
        predictions = _predict(lambda rows: tf.sigmoid(model(rows, training=False)), table.features)
        labels = table.labels.numpy()
        return {
            task.name: task_figures(labels[:, k], predictions[:, k], table.lengths)
            for k, task in enumerate(self._tasks)
        }


@functools.lru_cache(maxsize=len(SPLITS))
def _load_sessions(data: str, split: str) -> SessionTable:
    """A split of ``PreparedData``, given as JSON; kept for all trials of the process."""
    prepared = PreparedData.from_json(data)
    spec = load_dataset(prepared.dataset)
    transform_output = tft.TFTransformOutput(prepared.transform_graph)
    return load_sessions(
        prepared.splits[split],
        transform_output.transformed_feature_spec(),
        model_inputs(spec, transform_output),
        spec.select_tasks(prepared.tasks),
    )


def _model_checkpoint(model: RankingModel) -> tf.train.Checkpoint:
    """Without the loss weighting, which the models of two methods do not share."""
    return tf.train.Checkpoint(state=model.state_representation, backbone=model.backbone)


def _predict(
    function: Callable[..., tf.Tensor], features: dict[str, tf.Tensor], *others: np.ndarray
) -> np.ndarray:
    """Applies a function to all impressions, some at a time."""
    compiled = tf.function(function, autograph=False)
    data = tf.data.Dataset.from_tensor_slices((features, *others)).batch(_PREDICTION_BATCH)
    return np.concatenate([compiled(*batch).numpy() for batch in data])


def _notes(result: TrainingResult) -> dict[str, Any]:
    best = result.history[result.best_epoch - 1]
    return {
        "best_epoch": result.best_epoch,
        "epochs": len(result.history),
        "validation_auc": best.get("val_mean_auc"),
    }
