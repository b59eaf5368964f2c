"""RMTL's schedule: pretrain the model, train its critics, retrain it with their weights (§3.2)."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from collections.abc import Callable

import tensorflow as tf

from mtfx.agents.critic_weighting import CriticWeighting, critic_loss_weights
from mtfx.agents.rmtl import RmtlAgent
from mtfx.environments.sessions.replay import SessionReplayEnvironment
from mtfx.environments.sessions.table import SessionTable
from mtfx.models.config import CriticConfig, ModelConfig
from mtfx.models.critics import Critics, build_critics
from mtfx.models.keras import keras
from mtfx.models.loss_weighting.base import LossWeighting
from mtfx.models.mtl.registry import BACKBONES
from mtfx.models.ranking_model import RankingModel
from mtfx.trainers.ranking.config import RmtlTrainingConfig, TrainingConfig
from mtfx.trainers.ranking.critic_artifact import load_critics, save_critics
from mtfx.trainers.ranking.critics import CriticTrainingResult, train_critics
from mtfx.trainers.ranking.epochs import ProgressHook, validation_score
from mtfx.trainers.ranking.training import TrainingResult, train

#: Makes the model, with a loss weighting or, for None, the one of its configuration.
ModelBuilder = Callable[[LossWeighting | None], RankingModel]
CRITIC_DIR, CRITIC_HISTORY = "critic", "critics.json"


def train_rmtl(
    build_model: ModelBuilder,
    model_config: ModelConfig,
    train_data: tf.data.Dataset,
    validation_data: tf.data.Dataset,
    load_sessions: Callable[[], SessionTable],
    training: TrainingConfig,
    config: RmtlTrainingConfig,
    checkpoint_dir: str,
    log_dir: str,
    on_epoch_end: ProgressHook | None = None,
    initial_weights: Callable[[RankingModel], None] | None = None,
) -> TrainingResult:
    """Runs all three stages; one that an earlier, killed run finished is not repeated.

    Args:
      build_model: Makes the model.
      model_config: What it makes; gives the critics their sizes.
      train_data: As for :func:`mtfx.trainers.ranking.training.train`.
      validation_data: Likewise.
      load_sessions: Reads the training split for the environment; called once, if at all.
      training: Of pretraining, and what ``config`` does not override of retraining.
      config: RMTL's settings.
      checkpoint_dir: A folder in it for each stage.
      log_dir: Likewise; ``critic`` has the trained critics, for transfer.
      on_epoch_end: Called after the epochs of both supervised stages.
      initial_weights: Of pretraining, as for :func:`mtfx.trainers.ranking.training.train`.

    Returns:
      The result of retraining.

    Raises:
      ValueError: as the stages do; if a task is not binary.
      TrainingDivergedError: if a loss is not finite.
    """
    log = logging.getLogger("mtfx.progress")
    log.info("RMTL 1/3: pretraining")
    pretrained = train(
        lambda: build_model(None),
        train_data,
        validation_data,
        training,
        os.path.join(checkpoint_dir, "pretrain"),
        os.path.join(log_dir, "pretrain"),
        on_epoch_end,
        initial_weights,
    )
    actor = pretrained.model
    if config.critic_path:
        log.info("RMTL 2/3: critics of %s", config.critic_path)
        critics = load_critics(config.critic_path, actor.features, actor.tasks)
    else:
        log.info("RMTL 2/3: training the critics")
        critics, _ = learn_critics(
            actor,
            critic_config(model_config, training.seed, config),
            load_sessions(),
            config,
            training.seed,
            os.path.join(checkpoint_dir, "critics"),
            log_dir,
        )
    save_critics(critics, os.path.join(log_dir, CRITIC_DIR), dataclasses.asdict(config))
    log.info("RMTL 3/3: retraining with the critics' weights")
    return retrain(
        build_model,
        actor,
        critics,
        train_data,
        validation_data,
        training,
        config,
        os.path.join(checkpoint_dir, "retrain"),
        log_dir,
        on_epoch_end,
    )


def critic_config(model: ModelConfig, seed: int, config: RmtlTrainingConfig) -> CriticConfig:
    """Critics of the model's sizes, as RMTL has them."""
    sizes = model.sizes or BACKBONES[model.backbone].config()
    return CriticConfig(
        state=model.state,
        action_units=model.state.embedding_dim,
        bottom_units=sizes.bottom_units,
        tower_units=sizes.tower_units,
        dropout=config.critic_dropout,
        features=config.critic_features,
        seed=seed,
    )


def learn_critics(
    actor: RankingModel,
    sizes: CriticConfig,
    table: SessionTable,
    config: RmtlTrainingConfig,
    seed: int,
    checkpoint_dir: str,
    log_dir: str,
) -> tuple[Critics, CriticTrainingResult]:
    """The second stage: critics of an actor, which stays as it is.

    Args:
      actor: Trained.
      sizes: Of the critics.
      table: Sessions to replay.
      config: RMTL's settings.
      seed: Of weights, replay and sampling.
      checkpoint_dir: For resumption.
      log_dir: Gets ``critics.json``, the course of the TD error.

    Returns:
      The critics, and how training went.
    """
    keras.utils.set_random_seed(seed)
    environment = SessionReplayEnvironment(
        table, min(config.critics.lanes, table.num_sessions), seed=seed
    )
    # A frozen actor is its own target.
    agent = RmtlAgent(
        environment.time_step_spec(),
        environment.action_spec(),
        actor,
        actor,
        build_critics(actor.features, actor.tasks, sizes),
        build_critics(actor.features, actor.tasks, sizes),
        config.agent,
    )
    agent.initialize()
    tf.io.gfile.makedirs(log_dir)
    result = train_critics(
        agent, environment, table.num_impressions, config.critics, checkpoint_dir, _log_window
    )
    with tf.io.gfile.GFile(os.path.join(log_dir, CRITIC_HISTORY), "w") as file:
        file.write(json.dumps(dataclasses.asdict(result), indent=1))
    return agent.critics, result


def retrain(
    build_model: ModelBuilder,
    actor: RankingModel,
    critics: Critics,
    train_data: tf.data.Dataset,
    validation_data: tf.data.Dataset,
    training: TrainingConfig,
    config: RmtlTrainingConfig,
    checkpoint_dir: str,
    log_dir: str,
    on_epoch_end: ProgressHook | None = None,
) -> TrainingResult:
    """The third stage: the model again, its losses weighted by the frozen critics (16)-(17).

    Args and returns as for :func:`train_rmtl`; ``actor`` is the pretrained model.
    """
    settings = {"epochs": config.retrain_epochs, "learning_rate": config.retrain_learning_rate}
    given = {name: value for name, value in settings.items() if value is not None}
    constant = dict(actor.config.task_weights)
    weights = [constant.get(task.name, 1.0) for task in actor.tasks]

    def loss_weights(
        features: dict[str, tf.Tensor], labels: tf.Tensor, actions: tf.Tensor
    ) -> tf.Tensor:
        return critic_loss_weights(critics, config.agent, features, labels, actions)

    def start(model: RankingModel) -> None:
        if config.retrain_from == "pretrained":
            copy_weights(actor, model)

    result = train(
        lambda: build_model(CriticWeighting(actor.tasks, weights, loss_weights)),
        train_data,
        validation_data,
        dataclasses.replace(training, **given),
        checkpoint_dir,
        log_dir,
        on_epoch_end,
        initial_weights=start,
    )
    if config.keep_start:
        before = validation_score(actor.evaluate(validation_data, return_dict=True, verbose=0))
        after = validation_score(
            result.model.evaluate(validation_data, return_dict=True, verbose=0)
        )
        if before > after:
            logging.getLogger("mtfx.progress").info("no epoch improved on the pretrained model")
            copy_weights(actor, result.model)
    return result


def copy_weights(source: RankingModel, target: RankingModel) -> None:
    """Gives a built model the weights of another one of the same configuration."""
    for one, other in (
        (source.state_representation, target.state_representation),
        (source.backbone, target.backbone),
    ):
        for variable, copy in zip(one.trainable_variables, other.trainable_variables, strict=True):
            copy.assign(variable)


def _log_window(step: int, error: float) -> None:
    log = logging.getLogger("mtfx.progress")
    log.info("critics, step %d: mean TD error %.4f", step, error)
