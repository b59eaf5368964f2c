"""Configuration of a simulated session, as plain data."""

from __future__ import annotations

import dataclasses
import math

from mtfx.config import Config
from mtfx.datasets.rewards import RewardConfig


@dataclasses.dataclass(frozen=True)
class SimulatorConfig(Config):
    """The rules of a session.

    Attributes:
      candidates: C, items offered per request. BatchRL-MTF ranks some hundreds; 100 is this
        project's.
      max_views: Number of views after which a session ends: 50, the cap of xMTF's second exit mode.
      carry_over: Share of the satisfaction that an impression leaves as it is; the rest is the
        impression's satisfaction reward. 0.95 in xMTF.
      leave_below: A user whose satisfaction is below this leaves: 0.1 in xMTF.
      reward: Weights of the agent's reward, BatchRL-MTF (2).

    Raises:
      ValueError: at construction, naming the field and the allowed values.
    """

    candidates: int = 100
    max_views: int = 50
    carry_over: float = 0.95
    leave_below: float = 0.1
    reward: RewardConfig = dataclasses.field(default_factory=RewardConfig)

    def __post_init__(self) -> None:
        for name in ("candidates", "max_views"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("carry_over", "leave_below"):
            value = getattr(self, name)
            if not (math.isfinite(value) and 0.0 <= value <= 1.0):
                raise ValueError(f"{name} must lie in [0, 1], got {value}")
