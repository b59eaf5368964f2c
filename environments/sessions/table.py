"""A log's sessions in memory, impressions in order of time."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class SessionTable:
    """Sessions as columns.

    Attributes:
      features: By name, `[impressions]` (multivalued: `[impressions, max_values]`): int64 ids or
        float32 values. A session's impressions
        follow one another in order of time.
      labels: float32 `[impressions, task]`, ``mtfx.datasets.labels.UNKNOWN`` where unknown.
      lengths: int64 `[sessions]`: impressions per session, each at least 1.

    Raises:
      ValueError: at construction, if there is no session, one is empty, or columns differ in
        length.
    """

    features: dict[str, tf.Tensor]
    labels: tf.Tensor
    lengths: np.ndarray

    def __post_init__(self) -> None:
        rows = int(np.sum(self.lengths))
        if not len(self.lengths) or np.min(self.lengths) < 1:
            raise ValueError("a session table needs sessions of at least one impression each")
        for name, column in {**self.features, "labels": self.labels}.items():
            if column.shape[0] != rows:
                raise ValueError(
                    f"the sessions have {rows} impressions, but column {name} {column.shape[0]}"
                )

    @property
    def num_sessions(self) -> int:
        """Number of sessions."""
        return len(self.lengths)

    @property
    def num_impressions(self) -> int:
        """Number of impressions."""
        return int(self.labels.shape[0])
