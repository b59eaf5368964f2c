"""The log of an exploration: requests of simulated sessions, kept as the trials need them."""

from __future__ import annotations

import dataclasses
import os

import numpy as np

from mtfx.datasets.rewards import build_reward
from mtfx.environments.simulator.rollout import Interactions
from mtfx.evaluation.ope.data import OfflineData


@dataclasses.dataclass(frozen=True)
class FusionLog:
    """Requests, ordered by session and step; sessions are in the order of time.

    The candidates are left out, as agents and estimators do not look at them; what the reward is
    made of is kept, so that every preset can learn from the same log.

    Attributes:
      state: float32 `[n, S]`.
      next_state: float32 `[n, S]`.
      action: float32 `[n, A]`.
      log_density: Of the action, float32 `[n]`.
      feedback: 0 or 1, float32 `[n, F]`.
      watch_s: Seconds, float32 `[n]`.
      duration_s: Seconds, float32 `[n]`.
      discount: 0 at a session's last request, else 1, float32 `[n]`.
      session: From 0 without gaps, int64 `[n]`.
      step: From 0 in each session, int64 `[n]`.
      held_out: Whether its session is one of those kept for OPE, the last ones, bool `[n]`. They
        are of users that no policy learns from.
    """

    state: np.ndarray
    next_state: np.ndarray
    action: np.ndarray
    log_density: np.ndarray
    feedback: np.ndarray
    watch_s: np.ndarray
    duration_s: np.ndarray
    discount: np.ndarray
    session: np.ndarray
    step: np.ndarray
    held_out: np.ndarray

    @classmethod
    def of(cls, learnt: Interactions, held_out: Interactions) -> FusionLog:
        """The log of two rollouts, the second of which is kept for OPE."""
        columns = {
            field.name: np.concatenate([getattr(part, field.name) for part in (learnt, held_out)])
            for field in dataclasses.fields(cls)
            if field.name != "held_out"
        }
        kept = np.arange(len(columns["step"])) >= learnt.num_requests
        columns["session"][kept] += int(learnt.session[-1]) + 1
        return cls(**columns, held_out=kept)

    @property
    def num_requests(self) -> int:
        """Requests in all, n."""
        return len(self.step)

    @property
    def num_sessions(self) -> int:
        """Number of sessions."""
        return int(self.session[-1]) + 1

    def split(self) -> tuple[FusionLog, FusionLog]:
        """The first sessions, and those kept for OPE (BatchRL-MTF, section 4.1: 90% and 10%)."""
        return self._take(~self.held_out), self._take(self.held_out)

    def transitions(self, reward: str, feedback_names: tuple[str, ...]) -> OfflineData:
        """The log as agents and estimators take it.

        Args:
          reward: A preset of ``mtfx.datasets.rewards``.
          feedback_names: Names of the feedbacks.
        """
        rewards = build_reward(reward, feedback_names)(self.feedback, self.watch_s, self.duration_s)
        return OfflineData.from_arrays(
            states=self.state,
            actions=self.action,
            rewards=rewards,
            next_states=self.next_state,
            discounts=self.discount,
            session=self.session,
            step=self.step,
            log_density=self.log_density,
        )

    def save(self, directory: str) -> None:
        """Writes ``log.npz``."""
        np.savez(os.path.join(directory, _FILE), **vars(self))

    @classmethod
    def load(cls, directory: str) -> FusionLog:
        """The inverse of :meth:`save`."""
        with np.load(os.path.join(directory, _FILE)) as stored:
            return cls(**{name: stored[name] for name in stored.files})

    def _take(self, rows: np.ndarray) -> FusionLog:
        parts = {name: values[rows] for name, values in vars(self).items()}
        return FusionLog(**{**parts, "session": parts["session"] - parts["session"][0]})


_FILE = "log.npz"
