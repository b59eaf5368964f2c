"""Sessions as distributions: what is compared between a log and a simulation of it."""

from __future__ import annotations

import dataclasses
import os

import numpy as np

from mtfx.datasets.labels import is_known


@dataclasses.dataclass(frozen=True)
class SessionSample:
    """Some sessions.

    Attributes:
      feedback_names: F names.
      lengths: Impressions of each session, int64 `[session]`.
      watch_s: Seconds watched in each session, float64 `[session]`; NaN without watch times.
      feedback: Impressions with each feedback, float64 `[session, feedback]`.
      view_watch_s: Seconds watched of single impressions, session by session, float32 `[view]`;
        empty without.
      known: Impressions whose feedback is known, float64 `[session, feedback]`; all of them if not
        given.

    Raises:
      ValueError: at construction, if the arrays do not fit each other or there is no session.
    """

    feedback_names: tuple[str, ...]
    lengths: np.ndarray
    watch_s: np.ndarray
    feedback: np.ndarray
    view_watch_s: np.ndarray
    known: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((0, 0)))

    def __post_init__(self) -> None:
        sessions = len(self.lengths)
        if not len(self.known):
            everything = np.repeat(self.lengths[:, None], len(self.feedback_names), axis=1)
            object.__setattr__(self, "known", everything.astype(np.float64))
        if not sessions:
            raise ValueError("a sample of sessions needs at least one")
        if self.watch_s.shape != (sessions,):
            raise ValueError(f"{sessions} sessions, but watch_s is {list(self.watch_s.shape)}")
        if len(self.view_watch_s) not in (0, int(self.lengths.sum())):
            raise ValueError(
                f"{int(self.lengths.sum())} impressions, but {len(self.view_watch_s)} watch times"
            )
        if self.known.shape != self.feedback.shape:
            raise ValueError(f"known is {self.known.shape}, but feedback {self.feedback.shape}")
        if self.feedback.shape != (sessions, len(self.feedback_names)):
            raise ValueError(
                f"{sessions} sessions and {len(self.feedback_names)} feedbacks, but feedback is "
                f"{list(self.feedback.shape)}"
            )

    @property
    def has_watch_time(self) -> bool:
        """Whether watch times are known."""
        return len(self.view_watch_s) > 0

    def rates(self) -> np.ndarray:
        """Share of the impressions where it is known with each feedback, float64 `[feedback]`."""
        return self.feedback.sum(axis=0) / self.known.sum(axis=0)

    def take(self, sessions: np.ndarray) -> SessionSample:
        """Some of the sessions, by index, int `[n]`."""
        views = np.zeros(0, np.float32)
        if self.has_watch_time:
            ends = np.cumsum(self.lengths)
            first = ends - self.lengths
            views = np.concatenate([self.view_watch_s[first[i] : ends[i]] for i in sessions])
        return SessionSample(
            self.feedback_names,
            self.lengths[sessions],
            self.watch_s[sessions],
            self.feedback[sessions],
            views,
            self.known[sessions],
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes an ``.npz`` file."""
        with open(path, "wb") as file:
            np.savez_compressed(file, **dataclasses.asdict(self))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> SessionSample:
        """Reads what :meth:`save` wrote."""
        with np.load(path) as stored:
            values = {name: stored[name] for name in stored.files}
        values["feedback_names"] = tuple(str(name) for name in values["feedback_names"])
        return cls(**values)


def sample_of_impressions(
    feedback_names: tuple[str, ...],
    session: np.ndarray,
    feedback: np.ndarray,
    watch_s: np.ndarray | None,
    max_views: int = 0,
) -> SessionSample:
    """A sample of logged or simulated impressions.

    Args:
      feedback_names: F names.
      session: Number of each impression's session, from 0, ascending, int `[n]`.
      feedback: 0, 1 or ``mtfx.datasets.labels.UNKNOWN``, `[n, feedback]`.
      watch_s: Seconds, `[n]`, or None.
      max_views: Impressions beyond so many of a session are left out, as the simulator's cap does;
        0 keeps all.
    """
    lengths = np.bincount(session)
    if max_views:
        place = np.arange(len(session)) - (np.cumsum(lengths) - lengths)[session]
        kept = place < max_views
        session, feedback = session[kept], feedback[kept]
        watch_s = None if watch_s is None else watch_s[kept]
        lengths = np.bincount(session)
    is_there = is_known(feedback)
    given = np.where(is_there, feedback, 0.0)
    sums, known = (
        np.stack([np.bincount(session, weights=column) for column in columns.T], axis=1)
        for columns in (given, is_there.astype(float))
    )
    if watch_s is None:
        watched, views = np.full(len(lengths), np.nan), np.zeros(0, np.float32)
    else:
        watched = np.bincount(session, weights=watch_s)
        views = np.asarray(watch_s, np.float32)
    return SessionSample(feedback_names, lengths, watched, sums, views, known)
