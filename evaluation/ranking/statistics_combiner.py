"""Beam combiner from TFMA's impressions to the statistics of a task."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.metrics import metric_types, metric_util

from mtfx.evaluation.ranking.error_statistics import ErrorStatistics
from mtfx.evaluation.ranking.score_statistics import ScoreStatistics

SESSION_LENGTH = "session_length"

Statistics = ScoreStatistics | ErrorStatistics

_BUFFER_SIZE = 8192


@dataclasses.dataclass
class _Accumulator:
    """Impressions not yet counted, and the statistics of those that are."""

    pending: list[tuple[float, float, float]]
    statistics: Statistics

    def flush(self) -> None:
        if self.pending:
            batch = np.asarray(self.pending, np.float64)
            kind: Any = type(self.statistics)
            counted = kind.of(batch[:, 0], batch[:, 1], batch[:, 2])
            self.statistics = kind.merge([self.statistics, counted])
            self.pending = []


class StatisticsCombiner(beam.CombineFn):
    """Gathers impressions and counts them in NumPy batches; one per task and model."""

    def __init__(
        self,
        key: metric_types.MetricKey,
        statistics: type[ScoreStatistics] | type[ErrorStatistics],
    ):
        self._key = key
        self._names = (key.model_name, key.output_name)
        self._statistics: Any = statistics

    def create_accumulator(self) -> _Accumulator:
        """Holds no impression."""
        return _Accumulator([], self._statistics.empty())

    def add_input(
        self, accumulator: _Accumulator, element: metric_types.StandardMetricInputs
    ) -> _Accumulator:
        """Takes one impression.

        Raises:
          ValueError: if it lacks its label, prediction or session length.
        """
        accumulator.pending.append(
            (
                _scalar(element.labels, self._names, "label"),
                _scalar(element.predictions, self._names, "prediction"),
                _scalar(element.features, (SESSION_LENGTH,), SESSION_LENGTH),
            )
        )
        if len(accumulator.pending) >= _BUFFER_SIZE:
            accumulator.flush()
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[_Accumulator]) -> _Accumulator:
        """Adds up the statistics of several bundles."""
        parts = list(accumulators)
        for part in parts:
            part.flush()
        return _Accumulator([], self._statistics.merge(part.statistics for part in parts))

    def compact(self, accumulator: _Accumulator) -> _Accumulator:
        """Counts what is pending, before the accumulator is sent elsewhere."""
        accumulator.flush()
        return accumulator

    def extract_output(self, accumulator: _Accumulator) -> dict[metric_types.MetricKey, Any]:
        """The statistics under the key from which the metrics are derived."""
        accumulator.flush()
        return {self._key: accumulator.statistics}


def _scalar(value: Any, names: tuple[str | None, ...], what: str) -> float:
    """The one number of an impression, from a value that may be keyed by model and output."""
    for name in names:
        if name and isinstance(value, Mapping) and name in value:
            value = value[name]
    found = None if isinstance(value, Mapping) else metric_util.to_scalar(value, what)
    if found is None:
        task = "" if what == SESSION_LENGTH or not names[-1] else f" of task {names[-1]!r}"
        raise ValueError(
            f"an example to evaluate has no {what}{task}; if the Evaluator is given a schema, "
            "the schema must list every label and session_length"
        )
    return float(found)
