"""Training a ranking model: early stopping, checkpoints, resumption, logs."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from collections.abc import Callable, Sequence

import tensorflow as tf

from mtfx.datasets.labels import is_known
from mtfx.datasets.spec import Task
from mtfx.errors import DataError
from mtfx.models.keras import keras
from mtfx.models.optimizers import LazyAdam
from mtfx.models.ranking_model import RankingModel
from mtfx.trainers.ranking.checkpoints import TrainingCheckpoints
from mtfx.trainers.ranking.config import MULTI_WORKER, TrainingConfig
from mtfx.trainers.ranking.epochs import EpochKeeper, Metrics, ProgressHook
from mtfx.trainers.ranking.multi_worker import Worker, cluster_strategy

HISTORY_FILE = "history.json"
#: Batches of training whose statistics set the scale of all.
_STANDARDISED_BATCHES = 20


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """What training did.

    Attributes:
      model: The model with the weights of its best epoch.
      history: Per epoch, in order and counted across resumptions, the metrics by name; None where
        one is undefined, as AUC is when the validation split lacks a class.
      best_epoch: The epoch, from 1, whose weights the model has.
      resumed_from: Number of epochs that an earlier, interrupted run had completed.
      undefined_auc: Binary tasks left out of the validation score because the validation split
        holds only one class of them.
    """

    model: RankingModel
    history: tuple[Metrics, ...]
    best_epoch: int
    resumed_from: int
    undefined_auc: tuple[str, ...]


def train(
    build_model: Callable[[], RankingModel],
    train_data: tf.data.Dataset,
    validation_data: tf.data.Dataset,
    config: TrainingConfig,
    checkpoint_dir: str,
    log_dir: str,
    on_epoch_end: ProgressHook | None = None,
    initial_weights: Callable[[RankingModel], None] | None = None,
    worker: Worker | None = None,
) -> TrainingResult:
    """Trains until the validation score stops rising.

    The score is the mean validation AUC over the binary tasks for which it is defined, and the
    negative validation loss if there is none. A run that was killed goes on after its last complete
    epoch when called again with the same ``checkpoint_dir`` and configuration; what is found there
    of another configuration is ignored with a warning.

    Args:
      build_model: Makes the model; called once, inside the strategy's scope.
      train_data: Batches of ``({feature: [batch]}, labels [batch, task])``, one pass per epoch.
      validation_data: The same, of the validation split.
      config: Hyper-parameters.
      checkpoint_dir: Directory for checkpoints; made if missing.
      log_dir: Directory for TensorBoard's files and ``history.json``; made if missing.
      on_epoch_end: Called after each epoch with its number, from 1, and its metrics.
      initial_weights: Gives the built model its weights before the first epoch, in place of random
        ones.
      worker: What this process is in the cluster of a training on several machines.

    Raises:
      ValueError: if one of the data sets is empty.
      DataError: if one of them has no known label of a task.
      TrainingDivergedError: if the loss is not finite.
    """
    seed_everything(config)
    for name, data in (("training", train_data), ("validation", validation_data)):
        if next(iter(data.take(1)), None) is None:
            raise ValueError(f"the {name} split holds no impression; check how the log was split")
    model = build_for_training(build_model, train_data, config)
    for name, data in (("training", train_data), ("validation", validation_data)):
        _check_known_labels(data, model.tasks, name)
    if initial_weights is not None:
        initial_weights(model)
    tf.io.gfile.makedirs(log_dir)
    checkpoints = TrainingCheckpoints(
        model, checkpoint_dir, _fingerprint(model, config), worker or Worker()
    )
    state = checkpoints.restore_latest()
    keeper = EpochKeeper(checkpoints, state, config, on_epoch_end)
    resumed_from = len(state.history)
    if resumed_from:
        logging.getLogger(__name__).info("training resumes after epoch %d", resumed_from)
    if resumed_from < config.epochs and not keeper.out_of_patience:
        model.fit(
            train_data,
            validation_data=validation_data,
            epochs=config.epochs,
            initial_epoch=resumed_from,
            callbacks=[
                keeper,
                keras.callbacks.TensorBoard(log_dir, write_graph=False),
            ],
            verbose=0,
        )
    checkpoints.restore_best(keeper.state)
    result = TrainingResult(
        model=model,
        history=keeper.state.history,
        best_epoch=keeper.state.best_epoch,
        resumed_from=resumed_from,
        undefined_auc=keeper.undefined_auc,
    )
    _write_history(result, log_dir)
    return result


def _check_known_labels(data: tf.data.Dataset, tasks: Sequence[Task], name: str) -> None:
    """Raises DataError if a task has no known label; reads no further than the first of each."""
    columns = [k for k, task in enumerate(tasks) if task.may_be_unknown]
    missing = set(columns)
    if not missing:
        return
    for _, labels in data:
        known = is_known(labels.numpy()).any(axis=0)
        missing -= {k for k in columns if known[k]}
        if not missing:
            return
    names = ", ".join(tasks[k].name for k in sorted(missing))
    raise DataError(
        f"no impression of the {name} split has a known label of {names}: leave the task out with "
        "--tasks, bring more data, or give its column a default if an empty cell means a value"
    )


def build_for_training(
    build_model: Callable[[], RankingModel], data: tf.data.Dataset, config: TrainingConfig
) -> RankingModel:
    """Makes, builds and compiles the model inside the strategy's scope.

    Args:
      build_model: Makes the model.
      data: Its input, for the shapes.
      config: Hyper-parameters.

    Returns:
      The model with all weights and the optimizer's slots in place, as a checkpoint needs them.
    """
    with make_strategy(config).scope():
        model = build_model()
        if config.jit_compile and model.state_representation.history is not None:
            model.state_representation.history.padded = True
        optimizer = LazyAdam if config.lazy_embeddings else keras.optimizers.Adam
        model.compile(
            optimizer=optimizer(config.learning_rate),
            jit_compile=config.jit_compile,
            steps_per_execution=config.steps_per_execution,
        )
        features, _ = next(iter(data.take(1)))
        model(features)
        model.state_representation.standardisation.learn(
            features for features, _ in data.take(_STANDARDISED_BATCHES)
        )
        model.optimizer.build(model.trainable_variables)
    return model


def seed_everything(config: TrainingConfig) -> None:
    """Seeds Python, NumPy and TensorFlow; makes TensorFlow's operations deterministic if asked."""
    keras.utils.set_random_seed(config.seed)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()


def make_strategy(config: TrainingConfig) -> tf.distribute.Strategy:
    """The tf.distribute strategy of the configuration."""
    if config.strategy == "mirrored":
        return tf.distribute.MirroredStrategy()
    if config.strategy == MULTI_WORKER:
        return cluster_strategy()
    return tf.distribute.get_strategy()


def _fingerprint(model: RankingModel, config: TrainingConfig) -> str:
    """Tells whether a checkpoint belongs to this training; more epochs are no other training."""
    settings = config.to_dict()
    for name in ("epochs", "steps_per_execution"):
        del settings[name]
    return json.dumps(
        {
            "model": model.config.to_dict(),
            "features": [dataclasses.asdict(feature) for feature in model.features],
            "tasks": [dataclasses.asdict(task) for task in model.tasks],
            "training": settings,
        },
        sort_keys=True,
    )


def _write_history(result: TrainingResult, log_dir: str) -> None:
    content = {
        "best_epoch": result.best_epoch,
        "resumed_from": result.resumed_from,
        "undefined_auc": list(result.undefined_auc),
        "epochs": list(result.history),
    }
    with tf.io.gfile.GFile(os.path.join(log_dir, HISTORY_FILE), "w") as file:
        file.write(json.dumps(content, indent=2) + "\n")
