"""One training in an experiment: which model, by which method, from which seed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

from mtfx.models.mtl.registry import BACKBONES
from mtfx.trainers.ranking.settings import METHODS, SETTINGS, WITH_CRITICS, Value, applicable


@dataclasses.dataclass(frozen=True)
class RmtlTrial:
    """A trial of the RMTL experiments.

    Two trials that must give the same result are equal: settings that the method does not use, or
    that have their default value, are left out, and ``critic_from`` is empty where it names the
    trial's own backbone.

    Attributes:
      backbone: Name of the backbone.
      method: One of ``METHODS``.
      seed: Seed of everything random.
      critic_from: Backbone whose critics are used instead of the own ones (RMTL, section 3.4).
      settings: Overrides by name; see ``SETTINGS``.
    """

    backbone: str
    method: str
    seed: int
    critic_from: str = ""
    settings: tuple[tuple[str, Value], ...] = ()

    def __post_init__(self) -> None:
        for name in filter(None, (self.backbone, self.critic_from)):
            if name not in BACKBONES:
                raise ValueError(f"no backbone {name!r}; there are: {', '.join(BACKBONES)}")
        if self.method not in METHODS:
            raise ValueError(f"no method {self.method!r}; there are: {', '.join(METHODS)}")
        if self.critic_from and self.method not in WITH_CRITICS:
            raise ValueError(f"method {self.method} uses no critics of another backbone")
        if self.seed < 0:
            raise ValueError(f"a seed must not be negative, got {self.seed}")
        if self.critic_from == self.backbone:
            object.__setattr__(self, "critic_from", "")
        object.__setattr__(self, "settings", applicable(self.method, self.settings))

    @property
    def key(self) -> str:
        """Names the trial: unique, readable and safe as a directory's name.

        Settings come as a digest; ``result.json`` has them in full.
        """
        critics = f"-critics_of_{self.critic_from}" if self.critic_from else ""
        digest = ""
        if self.settings:
            text = json.dumps(self.settings)
            digest = "-" + hashlib.sha256(text.encode()).hexdigest()[:8]
        return f"{self.backbone}-{self.method}{critics}-seed{self.seed}{digest}"

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

    @property
    def requires(self) -> tuple[str, ...]:
        """Keys of the trials that must be done first."""
        return tuple(trial.key for trial in self.required_trials)

    def setting(self, name: str) -> Any:
        """The value of a setting, of its default's type; KeyError if there is no such one."""
        return dict(self.settings).get(name, SETTINGS[name].default)
