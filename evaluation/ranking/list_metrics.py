"""Ranking quality within users and within sessions: GAUC and NDCG@k, from arrays.

A plain AUC compares impressions of different users, which no request ever ranks against each other.
GAUC and NDCG@k look at the order that a user, or a session, could have seen.
"""

from __future__ import annotations

import dataclasses

import numpy as np

#: Length of the list whose order NDCG@k judges.
NDCG_K = 10


@dataclasses.dataclass(frozen=True)
class GroupedAuc:
    """AUC within users.

    Attributes:
      value: Mean of the users' AUC, weighted by their impressions; NaN if no user has both classes.
      users: Users with both classes, which alone have an AUC.
      all_users: All users.
    """

    value: float
    users: int
    all_users: int


def grouped_auc(users: np.ndarray, labels: np.ndarray, scores: np.ndarray) -> GroupedAuc:
    """GAUC (Zhu et al., "Optimized Cost per Click in Taobao Display Advertising", KDD 2017, (7)).

    Users with positives only or negatives only are left out; equal scores count half, as in
    ``ScoreStatistics.auc``.

    Args:
      users: Whose impression each is, any sortable dtype, ``[impression]``.
      labels: 0 or 1, ``[impression]``.
      scores: Any numbers, ``[impression]``.
    """
    if not len(users):
        return GroupedAuc(float("nan"), 0, 0)
    order = np.lexsort((scores, users))
    users, scores = users[order], scores[order]
    positives = labels[order].astype(np.float64)
    new_user = _changes(users)
    tie = np.flatnonzero(new_user | _changes(scores))
    user = np.flatnonzero(new_user[tie])  # among the runs of equal scores
    up = np.add.reduceat(positives, tie)
    down = np.add.reduceat(1.0 - positives, tie)
    below = np.cumsum(down) - down
    below -= np.repeat(below[user], np.diff(user, append=len(tie)))
    won = np.add.reduceat(up * (below + 0.5 * down), user)
    all_up, all_down = np.add.reduceat(up, user), np.add.reduceat(down, user)
    both = (all_up > 0) & (all_down > 0)
    if not both.any():
        return GroupedAuc(float("nan"), 0, len(user))
    aucs = won[both] / (all_up[both] * all_down[both])
    value = np.average(aucs, weights=all_up[both] + all_down[both])
    return GroupedAuc(float(value), int(both.sum()), len(user))


def mean_ndcg(
    users: np.ndarray,
    sessions: np.ndarray,
    labels: np.ndarray,
    scores: np.ndarray,
    k: int = NDCG_K,
) -> float:
    """NDCG@k, mean over the sessions that have a positive, each with the same weight.

    Gain is the label, the discount of place i (from 1) is 1 / log2(i + 1), 0 beyond k. Among equal
    scores the order is open, so each of them counts with the mean gain of the tie: the expected
    value over all their orders, as ``sklearn.metrics.ndcg_score`` has it.

    Args:
      users: Whose session it is, ``[impression]``; session keys need to be distinct within a user.
      sessions: Session key, ``[impression]``.
      labels: 0 or 1, ``[impression]``.
      scores: Any numbers, ``[impression]``.
      k: Length of the list.

    Returns:
      NaN if no session has a positive.
    """
    if not len(users):
        return float("nan")
    order = np.lexsort((-scores, sessions, users))
    gains = labels[order].astype(np.float64)
    new_session = _changes(users[order]) | _changes(sessions[order])
    starts = np.flatnonzero(new_session)
    lengths = np.diff(starts, append=len(gains))
    place = np.arange(len(gains)) - np.repeat(starts, lengths)
    discounts = np.where(place < k, 1.0 / np.log2(place + 2.0), 0.0)
    tie = np.flatnonzero(new_session | _changes(scores[order]))
    mean_gain = np.add.reduceat(gains, tie) / np.diff(tie, append=len(gains))
    found = mean_gain * np.add.reduceat(discounts, tie)
    first_tie = np.flatnonzero(new_session[tie])
    dcg = np.add.reduceat(found, first_tie)
    positives = np.add.reduceat(gains, starts).astype(np.int64)
    ideal = np.cumsum(1.0 / np.log2(np.arange(k) + 2.0))
    some = positives > 0
    if not some.any():
        return float("nan")
    return float(np.mean(dcg[some] / ideal[np.minimum(positives[some], k) - 1]))


def _changes(values: np.ndarray) -> np.ndarray:
    """Whether a value differs from the one before it; the first does, bool ``[n]``."""
    return np.concatenate([[True], values[1:] != values[:-1]])
