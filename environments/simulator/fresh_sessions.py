"""Sessions for a search: new ones for every comparison, the same within one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class DrawnSessions(NamedTuple):
    """What decides on the luck of some sessions.

    Attributes:
      users: Index of each session's user, int64 `[session]`.
      seed: Of the sessions, int64 `[2]`.
    """

    users: np.ndarray
    seed: np.ndarray


class FreshSessions:
    """Draws sessions that were not drawn before.

    A search that is scored on the same few sessions again and again learns their luck by heart. So
    only points that are compared with one another meet the same sessions (common random numbers),
    and the next comparison has others.
    """

    def __init__(self, num_users: int, sessions: int, seed: tuple[int, int]) -> None:
        """Starts a stream of draws.

        Args:
          num_users: U, of the simulator's world.
          sessions: Of each draw.
          seed: Of the stream. Streams of different seeds have no session in common: keep one for
            what the search must not have seen.

        Raises:
          ValueError: if a number is not positive.
        """
        if num_users < 1 or sessions < 1:
            raise ValueError(f"sessions need users and a number, got {num_users} and {sessions}")
        self._num_users, self._sessions = num_users, sessions
        self._generator = np.random.default_rng(seed)

    def draw(self) -> DrawnSessions:
        """The next sessions."""
        users = self._generator.integers(self._num_users, size=self._sessions)
        return DrawnSessions(users, self._generator.integers(2**31, size=2))
