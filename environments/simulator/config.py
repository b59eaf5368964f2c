"""Configuration of simulated sessions, as plain data; xMTF's published simulator as a preset."""

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


@dataclasses.dataclass(frozen=True)
class PublishedSettings(Config):
    """How users answer in the simulator that is published with xMTF; the defaults are its own.

    Source: the code to which "xMTF: A Formula-Free Model for Reinforcement-Learning-Based
    Multi-Task Fusion in Recommender Systems" refers in section 6.1, its class ``User``; the paper
    itself prints none of these numbers. Its rules of a session are ``PUBLISHED_RULES``.

    Attributes:
      watch_s: Seconds of predicted play time that are worth a satisfaction reward of 1: 400. Less
        than 40 s are worth less than the satisfaction below which users leave.
      logged_s: Logged seconds of a user, of the whole log, that make an initial satisfaction of 1:
        10,000. It has no upper bound: KuaiRand-1K's users begin at about 10.
      least_satisfaction: The lowest initial satisfaction: 0.11, just above the exit.

    Raises:
      ValueError: at construction, naming the field.
    """

    watch_s: float = 400.0
    logged_s: float = 10_000.0
    least_satisfaction: float = 0.11

    def __post_init__(self) -> None:
        for name in ("watch_s", "logged_s", "least_satisfaction"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")


#: The rules of a session there: the best 1,000 unwatched items of a pre-ranker per request
#: (``prerank_topk_num``), satisfaction s <- 0.95 s + 0.05 reward, exit below 0.1 or after 97 views
#: (exit mode ``satisfy``; the other, ``vv``, ends after 50).
PUBLISHED_RULES = SimulatorConfig(candidates=1_000, max_views=97, carry_over=0.95, leave_below=0.1)
#: What must stand beside every figure of that world.
CIRCULAR = (
    "circular: users answer with the ranking model's own prediction; a figure of this world says "
    "how well a policy follows that prediction"
)
