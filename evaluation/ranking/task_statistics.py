"""All that the metrics of a task are derived from: its values, its users, their lists."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np

from mtfx.datasets.labels import is_known
from mtfx.evaluation.ranking.error_statistics import ErrorStatistics
from mtfx.evaluation.ranking.score_statistics import ScoreStatistics, logloss
from mtfx.evaluation.ranking.user_lists import UserLists
from mtfx.evaluation.ranking.user_sums import UserSums

Kind = Literal["binary", "regression"]

_VALUES: dict[Kind, Any] = {"binary": ScoreStatistics, "regression": ErrorStatistics}


@dataclasses.dataclass(frozen=True)
class TaskStatistics:
    """Statistics of one task on one slice; mergeable, so fit for a Beam combiner.

    Attributes:
      kind: Kind of the task.
      values: Statistics of labels and predictions.
      users: Losses by group of users, for the comparison with a constant.
      lists: Impressions by user and session, for GAUC and NDCG; none of a regression.
    """

    kind: Kind
    values: ScoreStatistics | ErrorStatistics
    users: UserSums
    lists: UserLists

    @classmethod
    def empty(cls, kind: Kind) -> TaskStatistics:
        """Statistics of no impression at all."""
        return cls(kind, _VALUES[kind].empty(), UserSums.empty(), UserLists.empty())

    @classmethod
    def of(
        cls,
        kind: Kind,
        labels: np.ndarray,
        predictions: np.ndarray,
        session_lengths: np.ndarray,
        users: np.ndarray,
        sessions: np.ndarray,
    ) -> TaskStatistics:
        """Statistics of a batch of impressions; those of an unknown label are left out.

        Args:
          kind: Kind of the task.
          labels: As the statistics of its kind take them, ``[impression]``.
          predictions: Likewise, ``[impression]``.
          session_lengths: Impressions of the whole session, ``[impression]``.
          users: Hash of the user, uint64 ``[impression]``.
          sessions: Hash of the session, uint64 ``[impression]``.

        Raises:
          ValueError: as the statistics of its kind raise it.
        """
        values = _VALUES[kind].of(labels, predictions, session_lengths)
        known = is_known(labels)
        labels, predictions = labels[known], predictions[known]
        users, sessions = users[known], sessions[known]
        if kind == "binary":
            losses = logloss(labels, predictions)
            lists = UserLists.of(users, sessions, labels, predictions)
        else:
            losses, lists = np.square(labels - predictions), UserLists.empty()
        return cls(kind, values, UserSums.of(users, labels, losses), lists)

    @classmethod
    def merge(cls, kind: Kind, parts: Iterable[TaskStatistics]) -> TaskStatistics:
        """Statistics of all the impressions behind ``parts``."""
        parts = list(parts)
        return cls(
            kind,
            _VALUES[kind].merge(part.values for part in parts),
            UserSums.merge(part.users for part in parts),
            UserLists.merge(part.lists for part in parts),
        )
