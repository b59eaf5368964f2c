"""Sample and distributions of a set of sessions, from TFDV's statistics of it."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
from tensorflow_metadata.proto.v0 import statistics_pb2

_QUANTILES = statistics_pb2.Histogram.QUANTILES


@dataclasses.dataclass(frozen=True)
class Sample:
    """A set of sessions, as its statistics describe it.

    Attributes:
      statistics: Of one split.
    """

    statistics: statistics_pb2.DatasetFeatureStatistics

    def feature(self, name: str) -> statistics_pb2.FeatureNameStatistics | None:
        """Statistics of a column; None if there are none."""
        for feature in self.statistics.features:
            if list(feature.path.step) == [name] or feature.name == name:
                return feature
        return None

    @property
    def sessions(self) -> int:
        """Number of sessions."""
        return int(self.statistics.num_examples)

    @property
    def impressions(self) -> int:
        """Number of impressions."""
        feature = self.feature("step")
        return self.sessions if feature is None else _values(feature)

    def sessions_per_user(self) -> float:
        """Sum of squares of the users' sessions by their sum: 1 where each user has one.

        Statistics name the users with the most sessions and count the others; of all that these may
        have, the most uneven is taken, so the figure is an upper bound. It is 1 where
        users were not counted.
        """
        feature = self.feature("user_id")
        if feature is None or feature.WhichOneof("stats") != "string_stats":
            return 1.0
        counts = np.array([b.sample_count for b in feature.string_stats.rank_histogram.buckets])
        if not counts.size or self.sessions <= 0:
            return 1.0
        squares, others = float(np.square(counts).sum()), feature.string_stats.unique - counts.size
        if others > 0:
            # Some of them have as many as the last that is named, the rest one.
            most, total = float(counts.min()), max(self.sessions - float(counts.sum()), 0.0)
            full = min(max(total - others, 0.0) / (most - 1), others) if most > 1 else 0.0
            squares += full * most**2 + (others - full)
        return max(squares / self.sessions, 1.0)

    def impressions_per_user(self) -> float:
        """The same of impressions, where a user's sessions are as long as anybody's.

        The longest sessions weigh most: ``1 + 2 mean(step)`` is the sum of the squares of the
        sessions' lengths by their sum, as ``step`` counts from 0 within a session.
        """
        feature = self.feature("step")
        if feature is None or feature.WhichOneof("stats") != "num_stats" or not self.sessions:
            return 1.0
        length = _values(feature) / self.sessions
        own = 1 + 2 * feature.num_stats.mean
        return max(own + (self.sessions_per_user() - 1) * length, 1.0)

    def size(self, session_level: bool, correlation: float) -> float:
        """The effective sample: rows by Kish's design effect ``1 + rho (m - 1)``.

        Kish 1965, "Survey Sampling", sections 5.4 and 8.2; m weighs users by their rows. A user's
        attributes are the same in all sessions of theirs.

        Args:
          session_level: Whether a column has one value per session.
          correlation: rho of two impressions of one user; that of an attribute is 1.
        """
        if session_level:
            return max(self.sessions / self.sessions_per_user(), 1.0)
        effect = 1 + correlation * (self.impressions_per_user() - 1)
        return max(self.impressions / effect, 1.0)

    def counts(self, name: str) -> dict[str, float] | None:
        """How often each value occurs, of the most frequent; None if not counted."""
        feature = self.feature(name)
        if feature is None or feature.WhichOneof("stats") != "string_stats":
            return None
        return {b.label: b.sample_count for b in feature.string_stats.rank_histogram.buckets}

    def label(self, name: str) -> Label | None:
        """A binary label's values; None without statistics of them."""
        feature = self.feature(name)
        if feature is None or not (values := _values(feature)):
            return None
        if (counts := self.counts(name)) is None:
            return None
        zeros, ones = counts.get("0", 0.0), counts.get("1", 0.0)
        known = zeros + ones
        return Label(min(known / values, 1.0), ones / known if known else None)

    def zeros(self, name: str) -> float | None:
        """Share of 0 among a number's values; None where they are not numbers."""
        feature = self.feature(name)
        if feature is None or feature.WhichOneof("stats") != "num_stats":
            return None
        return feature.num_stats.num_zeros / values if (values := _values(feature)) else None

    def distribution(self, name: str) -> Distribution | None:
        """Of a number; None where statistics have no quantiles of it."""
        feature = self.feature(name)
        if feature is None or feature.WhichOneof("stats") != "num_stats":
            return None
        for histogram in feature.num_stats.histograms:
            if histogram.type == _QUANTILES and histogram.buckets:
                return Distribution.of(histogram)
        return None


class Label(NamedTuple):
    """A binary label's values.

    Attributes:
      known: Share of impressions whose label is known.
      rate: Share of 1 among these; None where there are none.
    """

    known: float
    rate: float | None


@dataclasses.dataclass(frozen=True, eq=False)
class Distribution:
    """A distribution function, as quantiles give it: linear between them, with atoms.

    Attributes:
      low, high: Bounds of the buckets, ascending, float64 `[n]`; they are equal at an atom.
      share: Of the values in each, float64 `[n]`.
    """

    low: np.ndarray
    high: np.ndarray
    share: np.ndarray

    @classmethod
    def of(cls, histogram: statistics_pb2.Histogram) -> Distribution:
        """From a histogram of quantiles."""
        count = np.array([b.sample_count for b in histogram.buckets])
        return cls(
            np.array([b.low_value for b in histogram.buckets]),
            np.array([b.high_value for b in histogram.buckets]),
            count / max(count.sum(), 1.0),
        )

    def below(self, values: np.ndarray) -> np.ndarray:
        """Share of the distribution at or below each value, float64 as ``values``."""
        width = self.high - self.low
        passed = values[:, None] - self.low
        inside = np.where(
            width > 0, np.clip(passed / np.where(width > 0, width, 1.0), 0.0, 1.0), passed >= 0
        )
        return inside @ self.share

    def quantile(self, share: float) -> float:
        """The smallest bound with at least this share of the values at or below it."""
        index = int(np.searchsorted(np.cumsum(self.share), share - 1e-9))
        return float(self.high[min(index, len(self.high) - 1)])


def _values(feature: statistics_pb2.FeatureNameStatistics) -> int:
    kind = feature.WhichOneof("stats")
    return int(getattr(feature, kind).common_stats.tot_num_values) if kind else 0
