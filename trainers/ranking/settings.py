"""What ``--set`` may change in RMTL's trials, and which trials each setting concerns.

Trials share work: the critics of a backbone serve RMTL and its ablations, and a backbone's plain
model is the start of all of them. A setting is therefore part of a trial's identity only where it
can change the trial's result, so that another λ, for instance, trains no critic again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mtfx.agents.rmtl_config import RmtlConfig
from mtfx.setting import Setting, Value, Values, overrides, parse_value
from mtfx.trainers.ranking.config import CriticTrainingConfig, RmtlTrainingConfig

#: ``constant`` is a backbone with constant task weights; ``critics`` trains critics while that
#: model is frozen; ``rmtl``, ``cw``, ``wl`` and ``nlc`` retrain it with weights by the critics
#: (RMTL, sections 2.6 and 3.5); ``ddpg`` is the baseline D-PLE.
METHODS = ("constant", "critics", "rmtl", "cw", "wl", "nlc", "ddpg")
#: Methods that begin with trained critics.
WITH_CRITICS = ("rmtl", "cw", "wl", "nlc")

#: The methods whose result depends on the settings of each stage.
STAGES: dict[str, tuple[str, ...]] = {
    "training": METHODS,
    "critics": ("critics", *WITH_CRITICS, "ddpg"),
    "retraining": (*WITH_CRITICS, "ddpg"),
    "weights": ("rmtl", "wl"),
}


#: The defaults are RMTL's (section 3.2) where the paper gives one.
SETTINGS: dict[str, Setting] = {
    "scale": Setting("training", "paper", "layer sizes of all networks", ("small", "paper")),
    "epochs": Setting("training", 10, "passes over the training sessions, at most"),
    "patience": Setting("training", 2, "epochs without a better validation AUC"),
    "batch_size": Setting("training", 2048, "impressions per step"),
    "learning_rate": Setting("training", 1e-3, "Adam's, of the plain model", upper=1.0),
    "gamma": Setting("critics", 0.95, "discount of later rewards", upper=0.999, zero=True),
    "beta": Setting("critics", 0.2, "rate of the target networks' soft update", upper=1.0),
    "critic_epochs": Setting("critics", 10, "passes that train the critics, at most"),
    "critic_learning_rate": Setting("critics", 1e-3, "Adam's, of the critics", upper=1.0),
    "epsilon": Setting("critics", 0.01, "mean TD error of converged critics"),
    "critic_dropout": Setting("critics", 0.0, "share of dropped units", upper=0.9, zero=True),
    "critic_features": Setting(
        "critics",
        "all",
        "features of the critics' state, by level",
        ("all", "impression", "session"),
    ),
    "max_loss": Setting("critics", 0.0, "no reward is below minus this; 0: no bound", zero=True),
    "retrain_from": Setting(
        "retraining", "pretrained", "where retraining begins", ("pretrained", "scratch")
    ),
    "keep_start": Setting(
        "retraining",
        "no",
        "keep the pretrained model if retraining has no better AUC",
        ("no", "yes"),
    ),
    "retrain_epochs": Setting("retraining", 10, "passes that retrain the model, at most"),
    "retrain_learning_rate": Setting("retraining", 1e-3, "Adam's, when retraining", upper=1.0),
    "normalise_weights": Setting(
        "retraining", "no", "divide a batch's weights by their mean", ("no", "yes")
    ),
    "lambda": Setting("weights", 0.7, "λ of a weight 1 - λ Q", upper=10.0, zero=True),
}


def parse_setting(name: str, value: Value) -> Value:
    """The value in the setting's type.

    Raises:
      ValueError: naming the setting, if it is unknown or the value is not allowed.
    """
    return parse_value(SETTINGS, name, value)


def applicable(method: str, settings: Mapping[str, Value] | Iterable[tuple[str, Value]]) -> Values:
    """The settings that can change a method's result and differ from the default, sorted.

    Raises:
      ValueError: as :func:`parse_setting`.
    """
    stages = (stage for stage, methods in STAGES.items() if method in methods)
    return overrides(SETTINGS, stages, settings)


def rmtl_training_config(
    setting: Callable[[str], Any], weighting: Any, batch_size: int, critic_path: str = ""
) -> RmtlTrainingConfig:
    """Puts every setting where it belongs.

    Args:
      setting: The value of a setting by its name in ``SETTINGS``.
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
