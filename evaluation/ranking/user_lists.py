"""Impressions by user and session, kept for metrics that no sums over impressions give.

GAUC and NDCG@k need a user's impressions side by side. TFMA groups by a feature where a metric has
a ``query_key``, but it then gathers whole extracts (every feature, the serialized example, the
predictions of all tasks and models) in a Python list per key, runs a further computation of all
metrics for each key, here two, and counts a group in every slice that any of its impressions is in,
so that a slice by hour would judge all hours of a user. Here the combiner that sees each impression
anyway keeps 17 bytes of it.

Memory is bounded: beyond ``LIMIT`` impressions, the users with the smallest hashes are kept, whole.
That is a uniform sample of users, the same one in any order of merging, and for one user at least
all impressions are kept, however many.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Iterable

import numpy as np

from mtfx.evaluation.ranking.list_metrics import GroupedAuc, grouped_auc, mean_ndcg

#: Impressions kept for each task, slice and model: 9 MB. The standard error of GAUC is about 0.001
#: then, below what two seeds differ by.
LIMIT = 1 << 19


@functools.lru_cache(maxsize=1 << 16)
def key_hash(value: int | str | bytes) -> int:
    """Hash of an id, uniform in 64 bits and the same in every process, unlike Python's own."""
    text = value if isinstance(value, bytes) else str(value).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


@dataclasses.dataclass(frozen=True)
class UserLists:
    """Impressions with a known label of all users, or of a sample of them.

    Attributes:
      users: Hash of the user, uint64 ``[impression]``.
      sessions: Hash of the session, uint32 ``[impression]``, distinct within a user.
      labels: Whether positive, bool ``[impression]``.
      scores: Prediction, float32 ``[impression]``.
      seen: Impressions of all users.
      limit: Impressions that are kept.
      end: Users from this hash on are left out; None leaves out nobody.
    """

    users: np.ndarray
    sessions: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    seen: int = 0
    limit: int = LIMIT
    end: int | None = None

    @classmethod
    def empty(cls, limit: int = LIMIT) -> UserLists:
        """No impression."""
        return cls.of(*(np.zeros(0),) * 4, limit=limit)

    @classmethod
    def of(
        cls,
        users: np.ndarray,
        sessions: np.ndarray,
        labels: np.ndarray,
        scores: np.ndarray,
        limit: int = LIMIT,
    ) -> UserLists:
        """A batch of impressions with known labels.

        Args:
          users: :func:`key_hash` of the user, ``[impression]``.
          sessions: That of the session, of which 32 bits are kept, ``[impression]``.
          labels: 0 or 1, ``[impression]``.
          scores: Predictions, ``[impression]``.
          limit: Impressions to keep.
        """
        return cls(
            users.astype(np.uint64),
            sessions.astype(np.uint64).astype(np.uint32),
            labels.astype(bool),
            scores.astype(np.float32),
            len(users),
            limit,
        )._cut()

    @classmethod
    def merge(cls, parts: Iterable[UserLists]) -> UserLists:
        """Those behind ``parts``."""
        parts = list(parts)
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return cls.empty()
        ends = [part.end for part in parts if part.end is not None]
        end = min(ends) if ends else None
        kept = [part._before(end) for part in parts]
        merged = cls(
            *(
                np.concatenate([getattr(part, name) for part in kept])
                for name in ("users", "sessions", "labels", "scores")
            ),
            seen=sum(part.seen for part in parts),
            limit=parts[0].limit,
            end=end,
        )
        return merged._cut()

    def _before(self, end: int | None) -> UserLists:
        """The users with a hash below ``end``."""
        if end is None or end == self.end:
            return self
        keep = self.users < np.uint64(end)
        return dataclasses.replace(
            self,
            users=self.users[keep],
            sessions=self.sessions[keep],
            labels=self.labels[keep],
            scores=self.scores[keep],
            end=end,
        )

    def _cut(self) -> UserLists:
        if len(self.users) <= self.limit:
            return self
        users, counts = np.unique(self.users, return_counts=True)
        fitting = max(int(np.searchsorted(np.cumsum(counts), self.limit, side="right")), 1)
        return self if fitting == len(users) else self._before(int(users[fitting]))

    def share(self) -> float:
        """Share of the impressions that is kept; 1 up to the limit, NaN without any impression."""
        return len(self.users) / self.seen if self.seen else float("nan")

    @functools.cached_property
    def gauc(self) -> GroupedAuc:
        """AUC within users; sorted once for all of its figures."""
        return grouped_auc(self.users, self.labels, self.scores)

    def ndcg(self) -> float:
        """NDCG@k within sessions."""
        return mean_ndcg(self.users, self.sessions, self.labels, self.scores)
