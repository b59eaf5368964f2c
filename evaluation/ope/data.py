"""Logged transitions, as the estimators take them."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import tensorflow as tf

#: Actions may exceed [-1, 1] by this much: the rounding of float32.
_ACTION_TOLERANCE = 1e-5


class SessionGrid(NamedTuple):
    """Where each session's transitions are.

    Attributes:
      rows: int64 `[session, step]`, rows of the data; 0 where ``mask`` is False.
      mask: bool `[session, step]`, whether the session has that step.
    """

    rows: np.ndarray
    mask: np.ndarray


@dataclasses.dataclass(frozen=True)
class OfflineData:
    """Transitions of whole sessions, in any order.

    Attributes:
      states: float32 `[transition, state_dim]`.
      actions: Logged actions, float32 `[transition, action_dim]` in [-1, 1].
      rewards: float32 `[transition]`.
      next_states: float32 `[transition, state_dim]`; means nothing where the discount is 0.
      discounts: float32 `[transition]` in [0, 1], 0 where the session ends. An estimator's
        discount gamma multiplies it.
      session: int32 `[transition]`, from 0 on without gaps.
      step: int32 `[transition]`, from 0 on within each session without gaps.
      log_density: Logarithm of the behaviour policy's density at the logged action, float32
        `[transition]`, NaN where unknown.
    """

    states: tf.Tensor
    actions: tf.Tensor
    rewards: tf.Tensor
    next_states: tf.Tensor
    discounts: tf.Tensor
    session: tf.Tensor
    step: tf.Tensor
    log_density: tf.Tensor

    def __post_init__(self) -> None:
        for name, rank, dtype in (
            ("states", 2, tf.float32),
            ("actions", 2, tf.float32),
            ("rewards", 1, tf.float32),
            ("next_states", 2, tf.float32),
            ("discounts", 1, tf.float32),
            ("session", 1, tf.int32),
            ("step", 1, tf.int32),
            ("log_density", 1, tf.float32),
        ):
            value = getattr(self, name)
            if value.dtype != dtype or value.shape.rank != rank:
                raise ValueError(
                    f"{name} must be {dtype.name} of rank {rank}, "
                    f"got {value.dtype.name} of shape {tuple(value.shape)}"
                )
            if value.shape[0] != self.states.shape[0]:
                raise ValueError(
                    f"{name} has {value.shape[0]} rows, states has {self.states.shape[0]}"
                )
        if self.num_transitions == 0:
            raise ValueError("there are no transitions to evaluate a policy on")
        if self.next_states.shape[1] != self.states.shape[1]:
            raise ValueError(
                f"next_states have {self.next_states.shape[1]} columns, "
                f"states have {self.states.shape[1]}"
            )
        self._check_values()
        self._check_sessions()

    @classmethod
    def from_arrays(
        cls,
        *,
        states: np.ndarray,
        actions: np.ndarray,
        rewards: np.ndarray,
        next_states: np.ndarray,
        discounts: np.ndarray,
        session: np.ndarray,
        step: np.ndarray,
        log_density: np.ndarray | None = None,
    ) -> OfflineData:
        """Converts arrays or tensors of any numeric type; ``log_density`` is unknown when None."""
        if log_density is None:
            log_density = np.full(np.shape(rewards), np.nan)
        floats = (states, actions, rewards, next_states, discounts)
        return cls(
            *(tf.constant(np.asarray(value), tf.float32) for value in floats),
            session=tf.constant(np.asarray(session), tf.int32),
            step=tf.constant(np.asarray(step), tf.int32),
            log_density=tf.constant(np.asarray(log_density), tf.float32),
        )

    @property
    def num_transitions(self) -> int:
        """Number of transitions."""
        return int(self.states.shape[0])

    @property
    def num_sessions(self) -> int:
        """Number of sessions; each has one initial state."""
        return int(np.max(self.session.numpy())) + 1

    @property
    def state_dim(self) -> int:
        """Columns of a state."""
        return int(self.states.shape[1])

    @property
    def action_dim(self) -> int:
        """Columns of an action."""
        return int(self.actions.shape[1])

    def initial_rows(self) -> np.ndarray:
        """Rows of step 0, int64 `[session]`, in the order of the sessions."""
        rows = np.flatnonzero(self.step.numpy() == 0)
        return rows[np.argsort(self.session.numpy()[rows])]

    def grid(self) -> SessionGrid:
        """The transitions by session and step."""
        session, step = self.session.numpy(), self.step.numpy()
        shape = (self.num_sessions, int(step.max()) + 1)
        grid = SessionGrid(np.zeros(shape, np.int64), np.zeros(shape, bool))
        grid.rows[session, step] = np.arange(self.num_transitions)
        grid.mask[session, step] = True
        return grid

    def returns(self, gamma: float) -> np.ndarray:
        """The logged rewards from each transition to its session's end, discounted.

        Args:
          gamma: Discount in [0, 1], which the data's own multiply.

        Returns:
          float32 `[transition]`, in units of reward.
        """
        grid = self.grid()
        rewards, discounts = (
            np.where(grid.mask, values.numpy()[grid.rows], 0.0)
            for values in (self.rewards, self.discounts)
        )
        totals = np.zeros_like(rewards)
        following = np.zeros(len(rewards))
        for step in reversed(range(rewards.shape[1])):
            following = rewards[:, step] + gamma * discounts[:, step] * following
            totals[:, step] = following
        returns = np.empty(self.num_transitions, np.float32)
        returns[grid.rows[grid.mask]] = totals[grid.mask]
        return returns

    def take_sessions(self, sessions: np.ndarray) -> OfflineData:
        """The data of some sessions, which are numbered anew in rising order.

        Args:
          sessions: Numbers of sessions, each at most once.
        """
        chosen = np.zeros(self.num_sessions, bool)
        chosen[sessions] = True
        keep = np.flatnonzero(chosen[self.session.numpy()])
        parts = {
            field.name: tf.gather(getattr(self, field.name), keep)
            for field in dataclasses.fields(self)
        }
        number = (np.cumsum(chosen) - 1).astype(np.int32)
        parts["session"] = tf.constant(number[self.session.numpy()[keep]])
        return OfflineData(**parts)

    def _check_values(self) -> None:
        for name in ("states", "actions", "rewards", "next_states", "discounts"):
            value = getattr(self, name).numpy()
            bad = ~np.isfinite(value.reshape(len(value), -1)).all(axis=1)
            if name == "next_states":
                bad &= self.discounts.numpy() > 0
            _refuse(bad, f"{name} must be finite")
        actions = np.abs(self.actions.numpy())
        _refuse((actions > 1.0 + _ACTION_TOLERANCE).any(axis=1), "actions must lie in [-1, 1]")
        discounts = self.discounts.numpy()
        _refuse((discounts < 0.0) | (discounts > 1.0), "discounts must lie in [0, 1]")
        _refuse(np.isinf(self.log_density.numpy()), "log_density must be finite, or NaN if unknown")

    def _check_sessions(self) -> None:
        session, step = self.session.numpy(), self.step.numpy()
        _refuse((session < 0) | (step < 0), "session and step must not be negative")
        order = np.lexsort((step, session))
        first = np.r_[True, session[order][1:] != session[order][:-1]]
        starts = np.flatnonzero(first)
        expected = np.arange(len(order)) - np.repeat(starts, np.diff(np.r_[starts, len(order)]))
        wrong = np.zeros(len(order), bool)
        wrong[order] = step[order] != expected
        _refuse(wrong, "steps must count from 0 within each session, each once")
        if len(starts) != session.max() + 1:
            raise ValueError(
                f"session must number the sessions from 0 on without gaps: there are {len(starts)}"
                f" sessions, and the highest number is {session.max()}"
            )
        last = np.zeros(len(order), bool)
        last[order] = np.r_[first[1:], True]
        _refuse(
            (self.discounts.numpy() == 0) & ~last, "a discount of 0 must be the session's last step"
        )


def _refuse(bad: np.ndarray, requirement: str) -> None:
    if bad.any():
        raise ValueError(
            f"{requirement}; {bad.sum():,} of {len(bad):,} transitions break this, "
            f"the first in row {int(np.flatnonzero(bad)[0])}"
        )
