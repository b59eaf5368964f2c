"""Configuration of StrictDistributionValidator: what is compared, and how far each may move."""

from __future__ import annotations

import dataclasses
from typing import Literal

from mtfx.config import Config

#: ``number``: divergence in cells of equal mass. ``category``: largest change of a value's share.
#: ``label``: odds. ``hour``: divergence over its values. ``id``: share of ids that are 0, which
#: stands for a missing one.
Kind = Literal["number", "category", "label", "hour", "id"]


@dataclasses.dataclass(frozen=True)
class DriftThresholds(Config):
    """How far a day may move, before what its sample adds.

    Attributes:
      jensen_shannon: Of numbers and of the hour: the Jensen-Shannon divergence in bits, in (0, 1].
      l_infinity: Of text and small integer codes, and of the share of missing ids: the largest
        change of a value's share, in (0, 1].
      label_odds: By what factor the odds of a binary label may change. A change of the share would
        overlook that a rare label is gone.
      rows: By what factor the number of impressions may change.
      false_alarms: Share of days that would be refused by chance though no column moved further
        than its threshold; it is divided among the columns (Bonferroni).
      user_correlation: Of two impressions of one user, by which the sample counts less than its
        rows. Measured on the KuaiRand-Pure standard log: 0.2 in clicks, 0.16 in long views.

    Raises:
      ValueError: at construction, naming the field.
    """

    jensen_shannon: float = 0.05
    l_infinity: float = 0.1
    label_odds: float = 1.2
    rows: float = 1.5
    false_alarms: float = 0.01
    user_correlation: float = 0.3

    def __post_init__(self) -> None:
        for name in ("jensen_shannon", "l_infinity"):
            if not 0.0 < getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is a distance in (0, 1], got {getattr(self, name)}")
        for name in ("label_odds", "rows"):
            if not 1.0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is a factor above 1, got {getattr(self, name)}")
        if not 0.0 < self.false_alarms < 1.0:
            raise ValueError(f"false_alarms is a share in (0, 1), got {self.false_alarms}")
        if not 0.0 <= self.user_correlation <= 1.0:
            raise ValueError(
                f"user_correlation is a correlation in [0, 1], got {self.user_correlation}"
            )


@dataclasses.dataclass(frozen=True)
class ComparisonPlan(Config):
    """What is compared, as the component's execution property carries it.

    Attributes:
      columns: Name to :data:`Kind`.
      session_level: Those with one value per session.
      thresholds: How far each may move.
      volume: Whether the numbers of impressions and the times are compared too.
      day_ms: Begin and end of the day in Unix ms, where its number is a date: most of its rows lie
        between.
    """

    columns: dict[str, Kind]
    session_level: tuple[str, ...] = ()
    thresholds: DriftThresholds = DriftThresholds()
    volume: bool = True
    day_ms: tuple[int, int] | None = None

    @property
    def level(self) -> float:
        """Probability of a false alarm that each comparison may have."""
        return self.thresholds.false_alarms / (len(self.columns) + 3)
