"""Beam combiner from TFMA's impressions to the statistics of a task."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis import constants, types
from tensorflow_model_analysis.metrics import metric_types, metric_util

from mtfx.evaluation.ranking.task_statistics import Kind, TaskStatistics
from mtfx.evaluation.ranking.user_lists import key_hash

SESSION_LENGTH = "session_length"
USER, SESSION = "user_id", "session_id"
#: Features of an impression, beside labels and slices, that the statistics need.
FEATURES = (SESSION_LENGTH, USER, SESSION)

_BUFFER_SIZE = 8192


#: Label, prediction, length of the session, hashes of user and session.
Row = tuple[float, float, float, int, int]


class ImpressionRows(metric_types.Preprocessor):
    """Takes one task's figures out of an impression, once for all of the slices that it is in."""

    def __init__(self, key: metric_types.MetricKey):
        # TFMA tells preprocessors apart by their names.
        super().__init__(name=f"rows of {key.model_name}/{key.output_name}")
        self._names = (key.model_name, key.output_name)

    def process(self, extracts: types.Extracts) -> Iterable[Row]:
        """Yields the row of one impression.

        Raises:
          ValueError: if it lacks its label, prediction, session length, user or session.
        """
        features = extracts.get(constants.FEATURES_KEY)
        yield (
            float(_value(extracts.get(constants.LABELS_KEY), self._names, "label")),
            float(_value(extracts.get(constants.PREDICTIONS_KEY), self._names, "prediction")),
            float(_value(features, (SESSION_LENGTH,), SESSION_LENGTH)),
            key_hash(_value(features, (USER,), USER)),
            key_hash(_value(features, (SESSION,), SESSION)),
        )


@dataclasses.dataclass
class _Accumulator:
    """Impressions not yet counted, and the statistics of those that are."""

    kind: Kind
    statistics: TaskStatistics
    pending: list[Row] = dataclasses.field(default_factory=list)

    def flush(self) -> None:
        if self.pending:
            *figures, users, sessions = zip(*self.pending, strict=True)
            labels, predictions, lengths = np.asarray(figures, np.float64)
            # Apart from the figures: 64 bits do not fit a float.
            keys = np.asarray(users, np.uint64), np.asarray(sessions, np.uint64)
            counted = TaskStatistics.of(self.kind, labels, predictions, lengths, *keys)
            self.statistics = TaskStatistics.merge(self.kind, [self.statistics, counted])
            self.pending = []


class StatisticsCombiner(beam.CombineFn):
    """Gathers impressions and counts them in NumPy batches; one per task and model."""

    def __init__(self, key: metric_types.MetricKey, kind: Kind):
        self._key = key
        self._kind: Kind = kind

    def create_accumulator(self) -> _Accumulator:
        """Holds no impression."""
        return _Accumulator(self._kind, TaskStatistics.empty(self._kind))

    def add_input(self, accumulator: _Accumulator, element: Row) -> _Accumulator:
        """Takes one impression, as :class:`ImpressionRows` gives it."""
        accumulator.pending.append(element)
        if len(accumulator.pending) >= _BUFFER_SIZE:
            accumulator.flush()
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[_Accumulator]) -> _Accumulator:
        """Adds up the statistics of several bundles."""
        parts = list(accumulators)
        for part in parts:
            part.flush()
        merged = TaskStatistics.merge(self._kind, (part.statistics for part in parts))
        return _Accumulator(self._kind, merged)

    def compact(self, accumulator: _Accumulator) -> _Accumulator:
        """Counts what is pending, before the accumulator is sent elsewhere."""
        accumulator.flush()
        return accumulator

    def extract_output(self, accumulator: _Accumulator) -> dict[metric_types.MetricKey, Any]:
        """The statistics under the key from which the metrics are derived."""
        accumulator.flush()
        return {self._key: accumulator.statistics}


def _value(value: Any, names: tuple[str | None, ...], what: str) -> Any:
    """The one value of an impression, from one that may be keyed by model and output."""
    for name in names:
        if name and isinstance(value, Mapping) and name in value:
            value = value[name]
    found = None if isinstance(value, Mapping) else metric_util.to_scalar(value, what)
    if found is None:
        task = "" if what in FEATURES or not names[-1] else f" of task {names[-1]!r}"
        raise ValueError(
            f"an example to evaluate has no {what}{task}; if the Evaluator is given a schema, "
            f"the schema must list every label, {', '.join(FEATURES[:-1])} and {FEATURES[-1]}"
        )
    return found
