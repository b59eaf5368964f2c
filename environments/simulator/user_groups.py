"""Users that policies learn from, and users that they are judged on.

A policy that is judged on the users it learnt from may have learnt them by heart, and says nothing
of those whom a service meets tomorrow. So a world's users are in two groups, by a hash of their
ids alone: a simulator that is fitted anew tomorrow, of other users and rows, puts the same user
into the same group. Logs of simulated sessions that policies learn from, searches, and training in
the simulator are of the first group; returns, comparisons and trials that are reported are of the
second.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mtfx.serving.exploration import HASH_RANGE, stable_hash

#: Share of the users that no policy learns from.
EVALUATION_SHARE = 1 / 3
#: Another one would divide the users in another way, and so must never change.
_SALT = "evaluation users"


class UserGroups(NamedTuple):
    """Indices of a world's users, ascending, int64.

    Attributes:
      training: Those that policies may learn from.
      evaluation: Those that policies are judged on.
    """

    training: np.ndarray
    evaluation: np.ndarray


def user_groups(user_ids: np.ndarray) -> UserGroups:
    """Divides users, about two to one.

    With users of two ids or more neither group is empty: where the hash puts all on one side, as
    it may in a world of a few users, the id that lies nearest to the other side goes there. A world
    of one user has it in both.

    Args:
      user_ids: Of a world, `[user]`; users of one id are in one group.

    Returns:
      The groups.

    Raises:
      ValueError: if there is no user.
    """
    places = np.asarray([_place(str(user)) for user in np.asarray(user_ids).astype(str)])
    if not len(places):
        raise ValueError("there are no users to divide into groups")
    judged = places < EVALUATION_SHARE
    if judged.all():
        judged = places < places.max()
    elif not judged.any():
        judged = places == places.min()
    if judged.all() or not judged.any():
        everyone = np.arange(len(places))
        return UserGroups(everyone, everyone)
    return UserGroups(np.flatnonzero(~judged), np.flatnonzero(judged))


def drawn_users(group: np.ndarray, sessions: int, random: np.random.Generator) -> np.ndarray:
    """Users of some sessions, drawn from a group with replacement.

    Args:
      group: Indices, int `[user]`.
      sessions: How many.
      random: What draws.

    Returns:
      int64 `[session]`.
    """
    return group[random.integers(len(group), size=sessions)].astype(np.int64)


class JudgedSessions(NamedTuple):
    """Users of sessions that a policy is judged on, and of as many to hold beside them.

    All are run at once; session i of one group meets other users and luck than that of the other.

    Attributes:
      users: Of all sessions, those of evaluation users first, int64 `[2 * session]`.
      count: Sessions of each group.
    """

    users: np.ndarray
    count: int

    def evaluation(self, values: np.ndarray) -> np.ndarray:
        """Those of a figure's values `[2 * session]` that are of evaluation users."""
        return values[: self.count]

    def training(self, values: np.ndarray) -> np.ndarray:
        """Those of a figure's values `[2 * session]` that are of training users."""
        return values[self.count :]


def judged_sessions(user_ids: np.ndarray, sessions: int, seed: int) -> JudgedSessions:
    """Draws the users of both groups' sessions.

    Args:
      user_ids: Of a world, `[user]`.
      sessions: How many of each group.
      seed: Of the draw.
    """
    random, groups = np.random.default_rng(seed), user_groups(user_ids)
    drawn = [drawn_users(group, sessions, random) for group in (groups.evaluation, groups.training)]
    return JudgedSessions(np.concatenate(drawn), sessions)


def _place(user_id: str) -> float:
    """Where a user lies in [0, 1)."""
    return stable_hash(f"{_SALT}/{user_id}") / HASH_RANGE
