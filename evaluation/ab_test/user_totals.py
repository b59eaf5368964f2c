"""Totals per user of one arm of a trial, summed up day by day, and their moments."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np

#: Columns of ``ArmLog.values`` and, with the days after them, of a user's totals.
WATCH_S, PLAYS, POSITIVES, DAYS = range(4)


@dataclasses.dataclass(frozen=True)
class ArmLog:
    """What the users of one arm did.

    Attributes:
      name: Of the arm, or its policy.
      user: Whose row it is, from 0 on without gaps, int64 `[row]`.
      day: Of the trial, from 0, int64 `[row]`. A user belongs to the trial from the first day with
        a row of theirs.
      values: Seconds watched, plays and plays with a positive interaction, float64 `[row, 3]`.

    Raises:
      ValueError: at construction, if the shapes do not fit or a value is negative or no number.
    """

    name: str
    user: np.ndarray
    day: np.ndarray
    values: np.ndarray

    def __post_init__(self) -> None:
        rows = len(self.user)
        if self.day.shape != (rows,) or self.values.shape != (rows, DAYS):
            raise ValueError(
                f"arm {self.name}: {rows} users, days {self.day.shape}, values {self.values.shape}"
            )
        if rows and (self.day.min() < 0 or not (self.values >= 0).all()):
            raise ValueError(f"arm {self.name}: days and values must not be negative or NaN")
        if rows and not np.isfinite(self.values).all():
            raise ValueError(f"arm {self.name}: values must be finite")

    @property
    def users(self) -> int:
        """How many there are."""
        return int(self.user.max()) + 1 if len(self.user) else 0


@dataclasses.dataclass(frozen=True)
class Ratio:
    """A ratio of two means over users.

    Attributes:
      value: None where the denominator is 0, or there is no user.
      error: Its standard error; None for fewer than two users.
    """

    value: float | None
    error: float | None


@dataclasses.dataclass(frozen=True)
class Moments:
    """Of the totals of an arm's users at the end of a day.

    A total is what a user did since their first day: seconds, plays, positive plays, and the days
    since then. A day on which a user stayed away counts, so that a policy that drives users away is
    not flattered by those that stay.

    Attributes:
      users: In the trial by then.
      mean: Over users, `[4]`.
      covariance: Over users, `[4, 4]`; NaN for fewer than two.
      today: What happened on this day alone, summed over users, `[3]`.
    """

    users: int
    mean: np.ndarray
    covariance: np.ndarray
    today: np.ndarray

    def ratio(self, numerator: int, denominator: int) -> Ratio:
        """The ratio of two totals, its error by the delta method.

        Users are independent of each other and their plays are not, so the error is that of means
        over users: with Y and X a user's totals and r = mean(Y) / mean(X), the variance of r is
        var(Y - r X) / (users mean(X)^2) (Deng, Knoblich and Lu 2018,
        Applying the delta method in metric analytics, KDD).
        """
        below = self.mean[denominator] if self.users else 0.0
        if not below > 0:
            return Ratio(None, None)
        value = float(self.mean[numerator] / below)
        if self.users < 2:
            return Ratio(value, None)
        cov = self.covariance
        variance = (
            cov[numerator, numerator]
            - 2 * value * cov[numerator, denominator]
            + value**2 * cov[denominator, denominator]
        )
        return Ratio(value, math.sqrt(max(float(variance), 0.0) / self.users) / float(below))


def daily_moments(arm: ArmLog, days: int) -> Iterator[Moments]:
    """The moments at the end of each day.

    Args:
      arm: What the users did.
      days: Of the trial.

    Yields:
      One for each day, in order.
    """
    first = np.full(arm.users, days, np.int64)
    np.minimum.at(first, arm.user, arm.day)
    totals = np.zeros((arm.users, DAYS + 1))
    order = np.argsort(arm.day, kind="stable")
    bounds = np.searchsorted(arm.day[order], np.arange(days + 1))
    for day in range(days):
        rows = order[bounds[day] : bounds[day + 1]]
        np.add.at(totals[:, :DAYS], arm.user[rows], arm.values[rows])
        joined = first <= day
        totals[joined, DAYS] += 1.0
        present = totals[joined]
        users = len(present)
        mean = present.mean(axis=0) if users else np.zeros(DAYS + 1)
        covariance = np.full((DAYS + 1, DAYS + 1), np.nan)
        if users > 1:
            centred = present - mean
            covariance = centred.T @ centred / (users - 1)
        yield Moments(users, mean, covariance, arm.values[rows].sum(axis=0))
