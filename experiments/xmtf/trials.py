"""One piece of work in xMTF's experiments: a method that learns in the simulator, and its figures.

All that the experiments show of a method is recorded by the trial that trains it, so that tables,
the sweep of λ and the drawings of the cells share their trials.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

from mtfx.experiments.xmtf.methods import ONLINE_AGENTS, OnlineMethod, online_method
from mtfx.experiments.xmtf.settings import SETTINGS
from mtfx.setting import Values, overrides


@dataclasses.dataclass(frozen=True)
class XmtfTrial:
    """A trial of xMTF's experiments.

    Two trials that must give the same result are equal: settings that do not concern the method, or
    that have their default value, are left out.

    Attributes:
      subject: Name of the method, see ``mtfx.experiments.xmtf.methods``.
      seed: Seed of everything random.
      settings: Overrides by name; see ``mtfx.experiments.xmtf.settings``.
    """

    subject: str
    seed: int
    settings: Values = ()

    def __post_init__(self) -> None:
        stages = _setting_stages(online_method(self.subject))
        if self.seed < 0:
            raise ValueError(f"a seed must not be negative, got {self.seed}")
        object.__setattr__(self, "settings", overrides(SETTINGS, stages, self.settings))

    @property
    def spec(self) -> OnlineMethod:
        """What the subject is."""
        return online_method(self.subject)

    @property
    def key(self) -> str:
        """Unique, readable and safe as a directory's name; settings come as a digest."""
        digest = ""
        if self.settings:
            text = json.dumps(self.settings)
            digest = "-" + hashlib.sha256(text.encode()).hexdigest()[:8]
        return f"online-{self.subject}-seed{self.seed}{digest}"

    @property
    def method(self) -> str:
        """Trials of one method take about as long as one another."""
        return f"online {self.subject}"

    @property
    def required_trials(self) -> tuple[XmtfTrial, ...]:
        """None: every trial explores on its own."""
        return ()

    @property
    def requires(self) -> tuple[str, ...]:
        """Keys of the trials that must be done first: none."""
        return ()

    def setting(self, name: str) -> Any:
        """The value of a setting, of its default's type; KeyError if there is no such one."""
        return dict(self.settings).get(name, SETTINGS[name].default)


def _setting_stages(spec: OnlineMethod) -> tuple[str, ...]:
    if spec.learner == "constant":
        return ("world",)
    if spec.learner not in ONLINE_AGENTS:
        return ("world", "learning", spec.learner)
    own = [spec.learner]
    if spec.has_cells:
        own.append("cells")
    if spec.learner == "xmtf" and spec.outer_stage:
        own.append("outer")
    return ("world", "learning", "agents", *own)
