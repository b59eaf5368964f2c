"""RMTL's configuration from the settings that ``--set`` takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mtfx.agents.rmtl_config import RmtlConfig
from mtfx.trainers.ranking.critics import CriticTrainingConfig
from mtfx.trainers.ranking.rmtl import RmtlTrainingConfig


def rmtl_training_config(
    setting: Callable[[str], Any], weighting: Any, batch_size: int, critic_path: str = ""
) -> RmtlTrainingConfig:
    """Puts every setting where it belongs.

    Args:
      setting: The value of a setting by its name in ``mtfx.trainers.ranking.settings``.
      weighting: How critics become loss weights, see ``mtfx.agents.rmtl_config``.
      batch_size: Transitions per step of the critics.
      critic_path: Trained critics to use instead.
    """
    return RmtlTrainingConfig(
        agent=RmtlConfig(
            gamma=setting("gamma"),
            penalty=setting("lambda"),
            soft_update=setting("beta"),
            critic_learning_rate=setting("critic_learning_rate"),
            weighting=weighting,
            normalise_weights=setting("normalise_weights") == "yes",
            min_reward=-setting("max_loss") or None,
        ),
        critics=CriticTrainingConfig(
            batch_size=batch_size,
            passes=setting("critic_epochs"),
            min_passes=min(CriticTrainingConfig.min_passes, setting("critic_epochs")),
            tolerance=setting("epsilon"),
        ),
        critic_dropout=setting("critic_dropout"),
        critic_features=setting("critic_features"),
        critic_path=critic_path,
        retrain_from=setting("retrain_from"),
        keep_start=setting("keep_start") == "yes",
        retrain_epochs=setting("retrain_epochs"),
        retrain_learning_rate=setting("retrain_learning_rate"),
    )
