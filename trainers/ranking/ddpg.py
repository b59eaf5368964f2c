"""Training D-PLE: DDPG on a pretrained multi-task model, RMTL's baseline from RL."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from mtfx.agents.rmtl import DdpgMtlAgent
from mtfx.environments.sessions.replay import SessionReplayEnvironment
from mtfx.environments.sessions.table import SessionTable
from mtfx.models.config import CriticConfig
from mtfx.models.critics import build_critics
from mtfx.models.keras import keras
from mtfx.models.ranking_model import RankingModel
from mtfx.trainers.ranking.config import RmtlTrainingConfig
from mtfx.trainers.ranking.critics import CriticTrainingResult, train_critics
from mtfx.trainers.ranking.epochs import validation_score


def train_ddpg(
    actor: RankingModel,
    target_actor: RankingModel,
    sizes: CriticConfig,
    table: SessionTable,
    validation_data: tf.data.Dataset,
    config: RmtlTrainingConfig,
    seed: int,
    learning_rate: float,
    checkpoint_dir: str,
) -> CriticTrainingResult:
    """Lets the actor ascend the critics' Q while they learn; it ends with its best weights.

    Nothing in (15) looks at a label, so the actor may leave what pretraining taught it. After every
    window its validation AUC is measured, and the best weights are kept, those it began with among
    them: the supervised methods stop early by the same measure.

    Args:
      actor: Pretrained and compiled; changed in place.
      target_actor: Another built model of the same configuration.
      sizes: Of the critics.
      table: Sessions to replay.
      validation_data: As for :func:`mtfx.trainers.ranking.training.train`.
      config: RMTL's settings, of which DDPG takes all but the weights.
      seed: Of weights, noise, replay and sampling.
      learning_rate: The actor's.
      checkpoint_dir: For resumption.

    Returns:
      How training went.
    """
    keras.utils.set_random_seed(seed)
    environment = SessionReplayEnvironment(
        table, min(config.critics.lanes, table.num_sessions), seed=seed
    )
    agent = DdpgMtlAgent(
        environment.time_step_spec(),
        environment.action_spec(),
        actor,
        target_actor,
        build_critics(actor.features, actor.tasks, sizes),
        build_critics(actor.features, actor.tasks, sizes),
        DdpgMtlAgent.configure(config.agent),
        actor_optimizer=keras.optimizers.Adam(learning_rate),
    )
    agent.initialize()
    best = _BestWeights(actor, validation_data)
    best.measure()
    # Every step moves the actor, so there is no convergence to wait for before the last pass.
    settings = dataclasses.replace(config.critics, min_passes=config.critics.passes)
    result = train_critics(
        agent,
        environment,
        table.num_impressions,
        settings,
        checkpoint_dir,
        lambda step, error: best.measure(),
    )
    best.restore()
    return result


class _BestWeights:
    """The weights with the highest mean validation AUC so far."""

    def __init__(self, model: RankingModel, validation_data: tf.data.Dataset) -> None:
        self._model, self._data = model, validation_data
        self._score = float("-inf")
        self._weights: list[tf.Tensor] = []

    def measure(self) -> None:
        score = validation_score(self._model.evaluate(self._data, return_dict=True, verbose=0))
        if score > self._score:
            self._score = score
            self._weights = [tf.identity(v) for v in self._model.trainable_variables]

    def restore(self) -> None:
        for variable, weight in zip(self._model.trainable_variables, self._weights, strict=True):
            variable.assign(weight)
