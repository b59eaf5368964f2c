"""Run function of the TFX Trainer for ranking models: Transform's output in, SavedModel out."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os

import tensorflow as tf
import tensorflow_transform as tft
from tfx.components.trainer.fn_args_utils import FnArgs

from mtfx.datasets.registry import load_dataset
from mtfx.models.export import ranking as export
from mtfx.models.history_columns import HistoryColumns
from mtfx.models.loss_weighting.base import LossWeighting
from mtfx.models.model_inputs import ranking_inputs
from mtfx.models.ranking_model import RankingModel
from mtfx.trainers.ranking import multi_worker
from mtfx.trainers.ranking.calibration import fit_calibration
from mtfx.trainers.ranking.config import MULTI_WORKER, RankingTrainerConfig
from mtfx.trainers.ranking.input import impression_batches, load_sessions
from mtfx.trainers.ranking.multi_worker import Worker
from mtfx.trainers.ranking.rmtl import train_rmtl
from mtfx.trainers.ranking.training import train
from mtfx.trainers.ranking.warm_start import WarmStart, earlier_weights


def run_fn(fn_args: FnArgs) -> None:
    """Trains a ranking model and exports it; see ``tfx.components.Trainer``.

    Reads the transformed ``train`` split, stops early by the ``eval`` split, begins with the
    weights of ``fn_args.base_model`` if there is one, writes a SavedModel to
    ``fn_args.serving_model_dir`` and TensorBoard's files and ``history.json`` to
    ``fn_args.model_run_dir``; by RMTL's schedule, also its critics, to ``critic`` in there. With
    the strategy ``multi_worker_mirrored`` this is the chief, see
    ``mtfx.trainers.ranking.multi_worker``.
    """
    config = RankingTrainerConfig.from_dict(fn_args.custom_config)
    if config.training.strategy == MULTI_WORKER:
        multi_worker.train_as_chief(fn_args, config.checkpoint_dir)
    else:
        train_and_export(fn_args, Worker())


def train_and_export(fn_args: FnArgs, worker: Worker) -> None:
    """Trains and exports in this process.

    Args:
      fn_args: As for :func:`run_fn`.
      worker: What this process is in its cluster; the chief where there is none.
    """
    config = RankingTrainerConfig.from_dict(fn_args.custom_config)
    if config.training.strategy == MULTI_WORKER:
        # It makes the strategy, which has to be before TensorFlow's first operation.
        multi_worker.wait_for_all(multi_worker.to_json(fn_args))
    spec = load_dataset(config.dataset)
    tasks = spec.select_tasks(config.tasks)
    transform_output = tft.TFTransformOutput(fn_args.transform_output)
    inputs = ranking_inputs(spec, transform_output, config.model.history.length)
    history = HistoryColumns(inputs, spec.tasks) if any(f.is_history for f in inputs) else None

    def batches(files: list[str], shuffle: bool) -> tf.data.Dataset:
        return impression_batches(
            files,
            transform_output.transformed_feature_spec(),
            inputs,
            tasks,
            config.training.batch_size,
            shuffle=shuffle,
            seed=config.training.seed,
            shuffle_sessions=config.training.shuffle_sessions,
            history=history,
        )

    def build_model(weighting: LossWeighting | None = None) -> RankingModel:
        return RankingModel(
            inputs,
            tasks,
            config.model,
            seed=config.training.seed,
            mixed_precision=config.training.mixed_precision,
            weighting=weighting,
        )

    carried: list[WarmStart] = []
    initial_weights = (
        earlier_weights(fn_args.base_model, transform_output, carried.append)
        if fn_args.base_model
        else None
    )
    train_data = batches(fn_args.train_files, shuffle=True)
    validation_data = batches(fn_args.eval_files, shuffle=False)
    checkpoint_dir = os.path.join(config.checkpoint_dir, _digest(fn_args))
    if config.rmtl is None:
        result = train(
            build_model,
            train_data,
            validation_data,
            config.training,
            checkpoint_dir=checkpoint_dir,
            log_dir=worker.own(fn_args.model_run_dir),
            on_epoch_end=_log_epoch,
            initial_weights=initial_weights,
            worker=worker,
        )
    else:
        settings = config.rmtl
        result = train_rmtl(
            build_model,
            config.model,
            train_data,
            validation_data,
            lambda: load_sessions(
                fn_args.train_files,
                transform_output.transformed_feature_spec(),
                inputs,
                tasks,
                max_impressions=settings.max_impressions,
                history=history,
            ),
            config.training,
            settings,
            checkpoint_dir=checkpoint_dir,
            log_dir=fn_args.model_run_dir,
            on_epoch_end=_log_epoch,
            initial_weights=initial_weights,
        )
    result.model.calibration = fit_calibration(result.model, validation_data)
    module = export.RankingModule(
        result.model, result.model.predict_tasks, transform_output, spec, inputs
    )
    export.save(
        module,
        worker.own(fn_args.serving_model_dir),
        {
            "config": config.to_dict(),
            "columns": module.columns.names,
            "request": [field.to_dict() for field in module.raw.fields()],
            "best_epoch": result.best_epoch,
            "calibration": result.model.calibration.to_json(),
            "warm_start": [
                {"model": fn_args.base_model, **dataclasses.asdict(start)} for start in carried
            ],
        },
    )
    if config.training.strategy == MULTI_WORKER:
        multi_worker.wait_for_all(multi_worker.to_json(fn_args))
    for directory in (fn_args.model_run_dir, fn_args.serving_model_dir, checkpoint_dir):
        worker.clean_up(directory)
    if worker.is_chief:
        # Kept until now for a run that is killed; a finished one is in the cache.
        tf.io.gfile.rmtree(checkpoint_dir)


def _digest(fn_args: FnArgs) -> str:
    """Tells trainings apart: the same data and configuration, and only they, may be resumed."""
    key = json.dumps(
        [
            fn_args.custom_config,
            fn_args.transform_output,
            list(fn_args.train_files),
            fn_args.base_model,
        ],
        sort_keys=True,
    )
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def _log_epoch(epoch: int, metrics: dict[str, float | None]) -> None:
    shown = ", ".join(f"{name} {value:.4f}" for name, value in metrics.items() if value is not None)
    logging.getLogger("mtfx.progress").info("epoch %d: %s", epoch, shown, extra={"epoch": epoch})
