"""Satisfaction on logs: what an impression is worth to a user, and how satisfaction follows it.

The synthetic user model's rule, for any data set: the first task counts 0.4, the second 0.4, each
further positive feedback 0.2, at most 1 in all; a negative feedback leaves nothing. A constant is
added so that the mean over a log is neutral: where positive feedback is rare (a shop), no feedback
is the normal thing and does not drive users away. Satisfaction is carried over as in xMTF's
simulator: s <- 0.95 s + 0.05 reward.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from mtfx.datasets.labels import is_known
from mtfx.datasets.spec import DatasetSpec

NEUTRAL = 0.3
_FIRST, _SECOND, _FURTHER = 0.4, 0.4, 0.2


@dataclasses.dataclass(frozen=True)
class SatisfactionRule:
    """The satisfaction reward of feedbacks.

    Attributes:
      feedback_names: F names, the data set's main tasks first.
      weights: What each adds, F of them.
      negative: Those that leave nothing.
      watch_feedback: The feedback given for watching long; empty if there is none.
    """

    feedback_names: tuple[str, ...]
    weights: tuple[float, ...]
    negative: tuple[str, ...]
    watch_feedback: str = ""

    def worth(self, feedback: np.ndarray, shift: float = 0.0) -> np.ndarray:
        """The satisfaction reward of impressions.

        Args:
          feedback: 0, 1 or ``mtfx.datasets.labels.UNKNOWN``, which is worth nothing, `[n,
            feedback]`.
          shift: Added before it is kept in [0, 1].

        Returns:
          float32 `[n]` in [0, 1].
        """
        harms = np.array([name in self.negative for name in self.feedback_names])
        feedback = np.where(is_known(feedback), feedback, 0)
        worth = np.minimum(feedback @ (np.asarray(self.weights) * ~harms), 1.0)
        worth[(feedback[:, harms] > 0).any(axis=1)] = 0.0
        return np.clip(worth + shift, 0.0, 1.0).astype(np.float32)


def satisfaction_rule(spec: DatasetSpec) -> SatisfactionRule:
    """The rule of a data set, over its binary tasks.

    Raises:
      ValueError: if it has none.
    """
    binary = [task.name for task in spec.tasks if task.kind == "binary"]
    if not binary:
        raise ValueError(f"data set {spec.name!r} has no binary task, so no user ever responds")
    main = [name for name in spec.default_tasks if name in binary]
    names = tuple(dict.fromkeys([*main, *binary]))
    weights = (_FIRST, _SECOND, *(_FURTHER for _ in names))[: len(names)]
    negative = {task.name for task in spec.tasks if task.negative}
    return SatisfactionRule(
        feedback_names=names,
        weights=weights,
        negative=tuple(name for name in names if name in negative),
        watch_feedback="long_view" if "long_view" in names[1:] else "",
    )


def satisfaction_paths(
    start: np.ndarray, worth: np.ndarray, session: np.ndarray, carry_over: float
) -> np.ndarray:
    """Satisfaction before each impression of logged sessions.

    Args:
      start: At the start of each session, `[session]`.
      worth: Satisfaction rewards, sessions one after the other, `[n]`.
      session: Session of each impression, ascending from 0, int `[n]`.
      carry_over: Share that an impression leaves as it is.

    Returns:
      float64 `[n]`.
    """
    lengths = np.bincount(session, minlength=len(start))
    first = np.cumsum(lengths) - lengths
    before = np.empty(len(worth))
    current = np.asarray(start, np.float64).copy()
    active = np.flatnonzero(lengths > 0)
    step = 0
    while len(active):
        rows = first[active] + step
        before[rows] = current[active]
        current[active] = carry_over * current[active] + (1 - carry_over) * worth[rows]
        step += 1
        active = active[lengths[active] > step]
    return before
