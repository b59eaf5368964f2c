"""Two policies on two groups of users: differences, their confidence sequences, and a decision.

BatchRL-MTF (section 4.3.2) reports the time spent per user and day and the share of plays with a
positive interaction; xMTF (section 6.5) daily watch time and play counts, relative to the policy
in use. Here the unit is the user, who is in one group from the first day to the last.

A trial may be looked at every day and stopped whenever it has decided. The estimate of a day uses
everything since the first; with more days its variance falls and its increments are, in large
groups, those of a Brownian motion in its information (one over the variance), which is what the
sequence bounds (Jennison and Turnbull 1997, JASA 92:1330, say so for group-sequential tests).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Annotated, Any, Literal

import numpy as np

from mtfx.config import Config, OneOf
from mtfx.evaluation.ab_test.confidence_sequence import always_valid_p, margins
from mtfx.evaluation.ab_test.user_totals import (
    DAYS,
    PLAYS,
    POSITIVES,
    WATCH_S,
    ArmLog,
    Moments,
    daily_moments,
)
from mtfx.files import jsonable

Direction = Literal["up", "down", "open"]
#: The metrics: title, numerator and denominator.
METRICS: dict[str, tuple[str, int, int]] = {
    "watch_s": ("watch time per user and day, s", WATCH_S, DAYS),
    "positive_rate": ("plays with a positive interaction", POSITIVES, PLAYS),
    "plays": ("plays per user and day", PLAYS, DAYS),
}
#: Numbers of users as unequal as this come by chance so rarely that something else divided them;
#: the threshold of Fabijan et al. 2019 is of this order.
_MISMATCH_P = 1e-3


@dataclasses.dataclass(frozen=True)
class TrialSettings(Config):
    """How a trial is judged; to be chosen before it begins.

    Attributes:
      metric: The metric that decides; the others are reported.
      alpha: Chance of a difference where there is none, on any day at all.
      effect: Relative difference that is hoped for, to be chosen before the trial: the sequence is
        tightest where it is about as wide as that to either side.
      treatment_share: Share of the users that were to get the treatment.
      min_users: Nothing is decided while a group has fewer users: the normal approximation needs
        them.
    """

    metric: Annotated[str, OneOf(METRICS)] = "watch_s"
    alpha: float = 0.05
    effect: float = 0.03
    treatment_share: float = 0.5
    min_users: int = 100

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise ValueError(f"metric is one of {', '.join(METRICS)}, not {self.metric!r}")
        for name in ("alpha", "treatment_share"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must be between 0 and 1, got {getattr(self, name)}")
        if not 0 < self.effect < math.inf:
            raise ValueError(f"effect must be positive, got {self.effect}")
        if self.min_users < 2:
            raise ValueError(f"min_users must be at least 2, got {self.min_users}")


@dataclasses.dataclass(frozen=True)
class Look:
    """A metric at the end of a day, of everything since the first. Any figure may be None.

    Attributes:
      control: The control group's value.
      treatment: The treatment group's.
      control_error: Standard error.
      treatment_error: Standard error.
      difference: Of the treatment relative to the control: 0.01 is one percent more.
      interval: Of the difference, for a reader who looks on this day alone.
      sequence: Of the difference, for a reader who looks every day.
      p: Always-valid p-value.
    """

    control: float | None
    treatment: float | None
    control_error: float | None
    treatment_error: float | None
    difference: float | None = None
    interval: tuple[float, float] | None = None
    sequence: tuple[float, float] | None = None
    p: float | None = None


@dataclasses.dataclass(frozen=True)
class MetricResult:
    """A metric over the days of a trial.

    Attributes:
      looks: By day.
      today: Control's and treatment's value on each day alone, None where undefined.
      direction: Whether the treatment raised it, as the sequence has it.
      decided_on: Day, from 0, on which the sequence first excluded 0; None while it does not. Later
        days do not take it back.
    """

    looks: tuple[Look, ...]
    today: tuple[tuple[float | None, float | None], ...]
    direction: Direction
    decided_on: int | None


@dataclasses.dataclass(frozen=True)
class TrialResult:
    """Outcome of a trial.

    Attributes:
      control: Name of the policy in use.
      treatment: Name of the other.
      users: Of both groups, in this order.
      days: Names of the days.
      settings: How it was judged.
      mismatch_p: Of the chi-square test that users were divided as planned.
      metrics: By name.
    """

    control: str
    treatment: str
    users: tuple[int, int]
    days: tuple[str, ...]
    settings: TrialSettings
    mismatch_p: float
    metrics: Mapping[str, MetricResult]

    @property
    def mismatch(self) -> bool:
        """Whether the groups' sizes are not the planned ones: the trial decides nothing then."""
        return self.mismatch_p < _MISMATCH_P

    @property
    def decision(self) -> Literal["better", "worse", "undecided", "invalid"]:
        """What may be said of the treatment."""
        if self.mismatch:
            return "invalid"
        words: dict[Direction, Any] = {"up": "better", "down": "worse", "open": "undecided"}
        return words[self.metrics[self.settings.metric].direction]

    def to_json(self) -> dict[str, Any]:
        """All figures, of JSON types."""
        return jsonable(
            {
                **dataclasses.asdict(self),
                "decision": self.decision,
                "sample_ratio_mismatch": self.mismatch,
            }
        )


def judge_trial(
    control: ArmLog, treatment: ArmLog, days: Sequence[str], settings: TrialSettings
) -> TrialResult:
    """Compares two groups.

    Args:
      control: Of the policy in use.
      treatment: Of the other.
      days: Names of the trial's days; rows of the logs are of these.
      settings: How to judge.

    Raises:
      ValueError: if there are no days, or a group has fewer than 2 users.
    """
    # Takes a while to import.
    from scipy import stats

    for arm in (control, treatment):
        if arm.users < 2:
            raise ValueError(
                f"{arm.name} has {arm.users} users: differences between users take 2 at least"
            )
    if not days:
        raise ValueError("a trial takes at least one day")
    users = (control.users, treatment.users)
    planned = np.asarray([1 - settings.treatment_share, settings.treatment_share]) * sum(users)
    looks = list(
        zip(daily_moments(control, len(days)), daily_moments(treatment, len(days)), strict=True)
    )
    return TrialResult(
        control.name,
        treatment.name,
        users,
        tuple(days),
        settings,
        float(stats.chisquare(users, planned).pvalue),
        {name: _metric(looks, name, settings) for name in METRICS},
    )


def _metric(
    looks: Sequence[tuple[Moments, Moments]], name: str, settings: TrialSettings
) -> MetricResult:
    _, above, below = METRICS[name]
    found = [_look(pair, above, below) for pair in looks]
    # A look without an estimate, or of too few users, decides nothing; the rest is one sequence.
    usable = [
        day
        for day, (look, variance) in enumerate(found)
        if variance and min(m.users for m in looks[day]) >= settings.min_users
    ]
    rows = [look for look, _ in found]
    decided_on, direction = None, "open"
    if usable:
        variances = np.asarray([found[day][1] for day in usable], np.float64)
        logs = np.log1p([rows[day].difference or 0.0 for day in usable])
        half = margins(variances, settings.effect, settings.alpha)
        ps = always_valid_p(logs, variances, settings.effect)
        for place, day in enumerate(usable):
            low, high = logs[place] - half[place], logs[place] + half[place]
            rows[day] = dataclasses.replace(
                rows[day],
                interval=_interval(logs[place], variances[place], settings.alpha),
                sequence=(math.expm1(low), math.expm1(high)),
                p=float(ps[place]),
            )
            if decided_on is None and not low <= 0.0 <= high:
                decided_on, direction = day, "up" if low > 0 else "down"
    return MetricResult(
        tuple(rows),
        tuple((_today(c, above, below), _today(t, above, below)) for c, t in looks),
        direction,
        decided_on,
    )


def _look(pair: tuple[Moments, Moments], above: int, below: int) -> tuple[Look, float | None]:
    """The values, and the variance of the logarithm of their ratio if there is one."""
    control, treatment = (moments.ratio(above, below) for moments in pair)
    look = Look(control.value, treatment.value, control.error, treatment.error)
    if not control.value or not treatment.value:
        return look, None
    look = dataclasses.replace(look, difference=treatment.value / control.value - 1.0)
    if control.error is None or treatment.error is None:
        return look, None
    variance = (control.error / control.value) ** 2 + (treatment.error / treatment.value) ** 2
    return look, variance or None


def _interval(log_ratio: float, variance: float, alpha: float) -> tuple[float, float]:
    half = NormalDist().inv_cdf(1 - alpha / 2) * math.sqrt(variance)
    return math.expm1(log_ratio - half), math.expm1(log_ratio + half)


def _today(moments: Moments, above: int, below: int) -> float | None:
    totals = [*moments.today, moments.users]
    return float(totals[above] / totals[below]) if totals[below] else None
