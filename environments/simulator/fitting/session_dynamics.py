"""Estimates from a log's sessions: moods, leaving, and what satisfaction changes."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.optimize import brentq
from sklearn.linear_model import LogisticRegression

from mtfx.datasets.labels import is_known
from mtfx.environments.simulator.satisfaction import NEUTRAL, SatisfactionRule, satisfaction_paths

#: Impressions' worth of the overall mean that a user's own mean is mixed with.
_MOOD_PRIOR = 20.0
#: Expected departures' worth of the overall rate that a user's own is mixed with.
_LEAVE_PRIOR = 5.0
#: Standard deviation of the normal prior of a satisfaction slope.
_SLOPE_SD = 5.0
_LEAST_SATISFACTION, _MOST_SATISFACTION = 0.12, 0.8
_NEWTON_STEPS = 50


@dataclasses.dataclass(frozen=True)
class LoggedSessions:
    """Impressions of a split, sessions one after the other.

    Attributes:
      user: User id of each impression, `[n]`.
      session: From 0, ascending, int `[n]`.
      feedback: 0, 1 or ``mtfx.datasets.labels.UNKNOWN``, `[n, feedback]`.
      cut: Whether each session was cut at the longest length, so that its end is not a departure,
        bool `[session]`.
    """

    user: np.ndarray
    session: np.ndarray
    feedback: np.ndarray
    cut: np.ndarray

    @property
    def last(self) -> np.ndarray:
        """Whether an impression is its session's last, bool `[n]`."""
        return np.append(self.session[1:] != self.session[:-1], True)

    @property
    def first(self) -> np.ndarray:
        """Row of each session's first impression, int `[session]`."""
        return np.flatnonzero(np.append(True, self.session[1:] != self.session[:-1]))


@dataclasses.dataclass(frozen=True)
class SessionDynamics:
    """What was found; see ``FittedSettings`` for what each is used for.

    Attributes:
      reward_shift: Brings the log's mean satisfaction reward to neutral.
      moods: Mean satisfaction at a session's start, by user id.
      mood_sd: Standard deviation of a session's start around its user's mood.
      leave_intercept: Log odds of leaving after an impression at neutral satisfaction.
      leave_slope: What satisfaction above neutral takes off them.
      leave_offsets: Log of a user's own rate of leaving over the expected one, by user id.
      slopes: What satisfaction above the user's mood adds to each feedback's logit.
      share_with_primary: Of each feedback, the share that comes with the primary one.
    """

    reward_shift: float
    moods: dict
    mood_sd: float
    leave_intercept: float
    leave_slope: float
    leave_offsets: dict
    slopes: tuple[float, ...]
    share_with_primary: tuple[float, ...]


def fit_sessions(
    rule: SatisfactionRule,
    train: LoggedSessions,
    held_out: LoggedSessions,
    logits: np.ndarray,
    carry_over: float,
    leave_below: float,
) -> SessionDynamics:
    """Fits moods and leaving on the training split, and satisfaction's effects on another.

    A user's mood is the mean satisfaction reward of the user's training impressions, mixed with
    twenty impressions of the overall mean. With it as the start of every session, the carry-over
    rule gives each impression's satisfaction; an unknown feedback adds nothing to it. Slopes come
    from the held-out split, whose feedback did not enter the moods.

    Args:
      rule: Satisfaction rewards.
      train: The training split.
      held_out: The validation split.
      logits: Of the response model for the held-out impressions, `[n, feedback]`.
      carry_over: The simulator's.
      leave_below: The simulator's own rule of leaving, which explains departures below it.
    """
    shift = neutral_shift(rule, train.feedback)
    worth = rule.worth(train.feedback, shift)
    users, number, counts = np.unique(train.user, return_inverse=True, return_counts=True)
    sums = np.bincount(number, weights=worth)
    mean = float(worth.mean())
    own = np.clip(
        (sums + _MOOD_PRIOR * mean) / (counts + _MOOD_PRIOR),
        _LEAST_SATISFACTION,
        _MOST_SATISFACTION,
    )
    moods = dict(zip(users.tolist(), own.tolist(), strict=True))
    before = _before(train, moods, worth, carry_over)
    after = carry_over * before + (1 - carry_over) * worth
    leaves = train.last & ~train.cut[train.session]
    counted = (after >= leave_below) & ~(train.last & train.cut[train.session])
    intercept, leave_slope = _fit_leaving(after[counted], leaves[counted])
    chance = _sigmoid(intercept - leave_slope * (after[counted] - NEUTRAL))
    expected = np.bincount(number[counted], weights=chance, minlength=len(users))
    observed = np.bincount(number[counted], weights=leaves[counted], minlength=len(users))
    offsets = np.log((observed + _LEAVE_PRIOR) / (expected + _LEAVE_PRIOR))
    held_worth = rule.worth(held_out.feedback, shift)
    deviation = _before(held_out, moods, held_worth, carry_over)
    deviation -= np.array([moods.get(user, NEUTRAL) for user in held_out.user.tolist()])
    both = is_known(train.feedback) & is_known(train.feedback[:, :1])
    feedback = np.where(both, train.feedback, 0.0)
    with_primary = (feedback * feedback[:, :1]).sum(axis=0)
    rows = [np.flatnonzero(is_known(column)) for column in held_out.feedback.T]
    return SessionDynamics(
        reward_shift=shift,
        moods=moods,
        mood_sd=_mood_spread(train, worth),
        leave_intercept=intercept,
        leave_slope=leave_slope,
        leave_offsets=dict(zip(users.tolist(), offsets.tolist(), strict=True)),
        slopes=tuple(
            offset_slope(logits[known, k], deviation[known], held_out.feedback[known, k])
            for k, known in enumerate(rows)
        ),
        # One imaginary impression of each keeps off 0 and 1 where a feedback is rare.
        share_with_primary=(
            1.0,
            *((with_primary + 1.0) / (feedback.sum(axis=0) + 2.0))[1:].tolist(),
        ),
    )


def neutral_shift(rule: SatisfactionRule, feedback: np.ndarray) -> float:
    """What is added to satisfaction rewards so that their mean, each kept in [0, 1], is neutral.

    Args:
      rule: Satisfaction rewards.
      feedback: 0 or 1, `[n, feedback]`.
    """

    def excess(shift: float) -> float:
        return float(rule.worth(feedback, shift).mean(dtype=np.float64)) - NEUTRAL

    # At -1 no reward is left, at 1 all are whole.
    return float(brentq(excess, -1.0, 1.0, xtol=1e-6))  # type: ignore[arg-type]


def offset_slope(offset: np.ndarray, value: np.ndarray, label: np.ndarray) -> float:
    """The slope w of logit P(label) = offset + b + w value, by Newton's method.

    Args:
      offset: Logits, `[n]`.
      value: `[n]`.
      label: 0 or 1, `[n]`.

    Returns:
      The slope of highest posterior density under a normal prior of standard deviation 5; 0 where
      all labels are the same.
    """
    if not 0 < label.sum() < len(label):
        return 0.0
    design = np.stack([np.ones(len(value)), value], axis=1)
    precision = np.diag([1e-6, _SLOPE_SD**-2])
    weights = np.zeros(2)
    for _ in range(_NEWTON_STEPS):
        chance = _sigmoid(offset + design @ weights)
        gradient = design.T @ (label - chance) - precision @ weights
        curvature = (design * (chance * (1 - chance))[:, None]).T @ design + precision
        step = np.linalg.solve(curvature, gradient)
        # A step of one logit at most, so that a rare feedback does not overshoot.
        step *= min(1.0, 1.0 / max(abs(step[0]), abs(step[1]) / _SLOPE_SD, 1e-12))
        weights += step
        if np.abs(step).max() < 1e-8:
            break
    return float(weights[1])


def _before(
    sessions: LoggedSessions, moods: dict, worth: np.ndarray, carry_over: float
) -> np.ndarray:
    starts = [moods.get(user, NEUTRAL) for user in sessions.user[sessions.first].tolist()]
    return satisfaction_paths(np.array(starts), worth, sessions.session, carry_over)


def _fit_leaving(after: np.ndarray, leaves: np.ndarray) -> tuple[float, float]:
    """Intercept at neutral satisfaction, and slope against it, which is at least 0."""
    rate = float(np.clip(leaves.mean(), 1e-4, 1 - 1e-4))
    level = float(np.log(rate / (1 - rate)))
    if not 0 < leaves.sum() < len(leaves):
        return level, 0.0
    model = LogisticRegression(C=100.0, max_iter=200).fit((NEUTRAL - after)[:, None], leaves)
    slope, level_at_neutral = float(np.ravel(model.coef_)[0]), float(np.ravel(model.intercept_)[0])
    return (level_at_neutral, slope) if slope > 0 else (level, 0.0)


def _mood_spread(sessions: LoggedSessions, worth: np.ndarray) -> float:
    """How much sessions of a user differ beyond chance: one-way analysis of variance.

    The variance of session means around their user's mean, less the sampling variance of a mean.
    """
    number = sessions.session
    lengths = np.bincount(number)
    means = np.bincount(number, weights=worth) / np.maximum(lengths, 1)
    within = float(((worth - means[number]) ** 2).sum() / max(len(worth) - len(lengths), 1))
    users = np.unique(sessions.user[sessions.first], return_inverse=True)[1]
    counts = np.bincount(users)
    mean_of_user = np.bincount(users, weights=means) / np.maximum(counts, 1)
    repeated = counts[users] > 1
    if not repeated.any():
        return 0.0
    degrees = repeated.sum() - (counts > 1).sum()
    between = ((means - mean_of_user[users]) ** 2)[repeated].sum() / degrees
    chance = float((within / lengths[repeated]).mean())
    return float(np.sqrt(np.clip(between - chance, 0.0, 0.01)))


def _sigmoid(value: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(value, -60, 60)))
