"""Configurations of InteractionGen's two sources, carried as JSON in execution properties."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from mtfx.agents.config import EXPLORATIONS
from mtfx.config import Config
from mtfx.datasets.rewards import RewardConfig
from mtfx.datasets.transitions.spec import TransitionSpec
from mtfx.environments.simulator.config import SimulatorConfig
from mtfx.models.config import NOISE_DEVIATION, RANDOM_DEVIATION
from mtfx.models.fusion.config import AnyFusionConfig, FusionConfig, fusion_config_class
from mtfx.serving.plausible_time import time_fault

DAY_MS = 86_400_000
_MAX_SEED = 2**31 - 1


@dataclasses.dataclass(frozen=True)
class SimulatedInteractionConfig(Config):
    """How sessions are simulated and explored.

    Attributes:
      sessions: How many.
      exploration: One of ``mtfx.agents.config.EXPLORATIONS``; BatchRL-MTF section 3.3 takes
        the mixed one.
      random_deviation: Standard deviation of random exploration.
      noise_deviation: Standard deviation of action noise, (8).
      action: Constant action around which action noise explores where no policy is given; empty for
        the middle of the bounds.
      fusion: Scores the candidates with the action. Where a policy is given to explore around, its
        own fusion does, trained cells included, and must be of this kind.
      simulator: Rules of a session; has the reward.
      eval_fraction: Share of the sessions, the last ones, in the split ``eval`` (BatchRL-MTF
        section 4.1: the last 10%). They are of users that no other session is of, see
        ``mtfx.environments.simulator.user_groups``.
      seed: Of everything random.
      start_ms: Unix time of the first session. Simulated sessions start evenly over the days.
      days: How many days they cover: BatchRL-MTF trains on the last three.
      sessions_per_chunk: Sessions that one worker simulates side by side. Part of what the result
        depends on, as the number of workers is not: a chunk has a seed of its own.
      shards: Files per split; 0 derives it from the number of transitions.
      code_version: Recorded, and part of the cache key.

    Raises:
      ValueError: at construction, naming the field.
    """

    sessions: int = 10_000
    exploration: str = "mixed"
    random_deviation: float = RANDOM_DEVIATION
    noise_deviation: float = NOISE_DEVIATION
    action: tuple[float, ...] = ()
    fusion: AnyFusionConfig = dataclasses.field(default_factory=FusionConfig)
    simulator: SimulatorConfig = dataclasses.field(default_factory=SimulatorConfig)
    eval_fraction: float = 0.1
    seed: int = 0
    start_ms: int = 1_640_995_200_000  # 2022-01-01
    days: float = 3.0
    sessions_per_chunk: int = 2_000
    shards: int = 0
    code_version: str = ""

    def __post_init__(self) -> None:
        _check_common(self.eval_fraction, self.shards)
        if self.exploration not in EXPLORATIONS:
            raise ValueError(
                f"no exploration {self.exploration!r}; there are: {', '.join(EXPLORATIONS)}"
            )
        for name in ("sessions", "sessions_per_chunk"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("random_deviation", "noise_deviation", "days"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        for when in (self.start_ms, self.start_ms + round(self.days * DAY_MS)):
            if fault := time_fault(when):
                raise ValueError(f"start_ms {self.start_ms} and {self.days:g} days: {fault}")
        if not all(-1 <= value <= 1 for value in self.action):
            raise ValueError(f"action must lie in [-1, 1], got {list(self.action)}")
        if not 0 <= self.seed <= _MAX_SEED:
            raise ValueError(f"seed must be from 0 to {_MAX_SEED}, got {self.seed}")

    @classmethod
    def config_types(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """The fusion's class is told by its formula."""
        return {"fusion": fusion_config_class(values.get("fusion"))}


@dataclasses.dataclass(frozen=True)
class ServedInteractionConfig(Config):
    """How logs of served requests become transitions.

    Attributes:
      spec: Sizes and names of what was logged.
      quarantine_dir: Where the rejected requests are listed, one CSV per span.
      reward: Weights of the reward, which is made here, so that one log serves every preset.
      max_bad_share: Share of the requests that may be quarantined before the run fails.
      eval_fraction: Share of the sessions, the last ones, in the split ``eval``.
      fusion: The fusion function that served, so that no policy of another one is trained on the
        log; None does not check this.
      open_minutes: A session whose last request is within so many minutes of the log's end may go
        on after it. That request's next state is not known, so it is left out (and counted); the
        window of the next day holds it again, with what follows. A session whose first request is
        within so many minutes of the log's begin, and is no first step, began before it, and is
        left out likewise.
      shards: Files per split; 0 derives it from the number of transitions.
      earlier: Folders of earlier deliveries, below the component's ``data_dir`` and in order, that
        are read together with the component's own span: a rolling window of days.
      needs_densities: Name of the estimator that is to judge on the log and needs the density of
        every logged action; a log without them is refused before anything is trained. Empty for
        none.
      code_version: Recorded, and part of the cache key.

    Raises:
      ValueError: at construction, naming the field.
    """

    spec: TransitionSpec
    quarantine_dir: str
    reward: RewardConfig = dataclasses.field(default_factory=RewardConfig)
    max_bad_share: float = 0.01
    eval_fraction: float = 0.1
    open_minutes: float = 30.0
    fusion: AnyFusionConfig | None = None
    shards: int = 0
    earlier: tuple[str, ...] = ()
    needs_densities: str = ""
    code_version: str = ""

    def __post_init__(self) -> None:
        _check_common(self.eval_fraction, self.shards)
        if not 0 <= self.max_bad_share <= 1:
            raise ValueError(f"max_bad_share is a share from 0 to 1, not {self.max_bad_share}")
        if not (math.isfinite(self.open_minutes) and self.open_minutes >= 0):
            raise ValueError(f"open_minutes must not be negative, got {self.open_minutes}")

    @classmethod
    def config_types(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """The fusion's class is told by its formula."""
        return {"fusion": fusion_config_class(values.get("fusion"))}


def _check_common(eval_fraction: float, shards: int) -> None:
    if not 0 < eval_fraction < 1:
        raise ValueError(f"eval_fraction must be between 0 and 1, got {eval_fraction}")
    if shards < 0:
        raise ValueError(f"shards must not be negative, got {shards}")
