"""Trials of RMTL's experiments: one training each, and what ``--set`` may change in it."""

from __future__ import annotations

import dataclasses
import functools
from typing import Annotated

from mtfx.config import override
from mtfx.experiments.engine.trial import Trial
from mtfx.models.config import ModelSize
from mtfx.models.mtl.registry import BACKBONES
from mtfx.setting import Concerns, TrialConfig, Values, changes
from mtfx.trainers.ranking.config import TrainingConfig
from mtfx.trainers.ranking.settings import RmtlSettings

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


@dataclasses.dataclass(frozen=True)
class _PlainSettings(TrialConfig):
    """Settings of the plain model.

    Attributes:
      scale: Layer sizes of all networks.
      epochs: Passes over the training sessions, at most.
      patience: Epochs without a better validation AUC.
      batch_size: Impressions per step.
      learning_rate: Adam's, of the plain model.
    """

    scale: Annotated[ModelSize, Concerns("training")] = "paper"
    epochs: Annotated[int, Concerns("training")] = TrainingConfig.epochs
    patience: Annotated[int, Concerns("training")] = TrainingConfig.patience
    batch_size: Annotated[int, Concerns("training")] = TrainingConfig.batch_size
    learning_rate: Annotated[float, Concerns("training", 1.0)] = TrainingConfig.learning_rate


@dataclasses.dataclass(frozen=True)
class RmtlTrialSettings(RmtlSettings, _PlainSettings):
    """Settings of all trials: of the plain model, and of what RMTL makes of it."""


@dataclasses.dataclass(frozen=True)
class RmtlTrial(Trial):
    """A trial of RMTL's experiments.

    The critics of a backbone serve RMTL and its ablations, and a backbone's plain model is the
    start of all of them.

    Attributes:
      backbone: Name of the backbone.
      method: One of ``METHODS``.
      seed: Seed of everything random.
      critic_from: Backbone whose critics are used instead of the own ones (RMTL, section 3.4);
        empty where it names the trial's own.
      settings: Those of :class:`RmtlTrialSettings` that differ from the default.
    """

    backbone: str
    method: str
    seed: int
    critic_from: str = ""
    settings: Values = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in filter(None, (self.backbone, self.critic_from)):
            if name not in BACKBONES:
                raise ValueError(f"no backbone {name!r}; there are: {', '.join(BACKBONES)}")
        if self.method not in METHODS:
            raise ValueError(f"no method {self.method!r}; there are: {', '.join(METHODS)}")
        if self.critic_from and self.method not in WITH_CRITICS:
            raise ValueError(f"method {self.method} uses no critics of another backbone")
        if self.critic_from == self.backbone:
            object.__setattr__(self, "critic_from", "")
        stages = (stage for stage, methods in STAGES.items() if self.method in methods)
        object.__setattr__(self, "settings", changes(RmtlTrialSettings(), stages, self.settings))

    @functools.cached_property
    def config(self) -> RmtlTrialSettings:
        """All settings."""
        return override(RmtlTrialSettings(), dict(self.settings))

    @property
    def name(self) -> str:
        """See :class:`Trial`."""
        critics = f"-critics_of_{self.critic_from}" if self.critic_from else ""
        return f"{self.backbone}-{self.method}{critics}"

    @property
    def work(self) -> str:
        """See :class:`Trial`."""
        return self.method

    @property
    def actor(self) -> RmtlTrial | None:
        """The trial whose model this one begins with, or None."""
        if self.method == "constant":
            return None
        return RmtlTrial(self.backbone, "constant", self.seed, settings=self.settings)

    @property
    def critics(self) -> RmtlTrial | None:
        """The trial whose critics this one uses, or None."""
        if self.method not in WITH_CRITICS:
            return None
        backbone = self.critic_from or self.backbone
        return RmtlTrial(backbone, "critics", self.seed, settings=self.settings)

    @property
    def required_trials(self) -> tuple[RmtlTrial, ...]:
        """The trials whose results this one reads."""
        return tuple(trial for trial in (self.actor, self.critics) if trial is not None)
