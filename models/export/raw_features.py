"""Raw columns of a request to a ranking model: their types, what may be left out, and checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from mtfx.datasets import history
from mtfx.datasets.columns import DERIVED_COLUMNS, Dtype
from mtfx.datasets.labels import UNKNOWN
from mtfx.datasets.spec import DatasetSpec
from mtfx.models.history_columns import HistoryColumns
from mtfx.models.input_features import InputFeature
from mtfx.serving.request_fields import Level, RequestField

_DTYPES: dict[Dtype, tf.DType] = {"int64": tf.int64, "string": tf.string, "float32": tf.float32}
_TIME, _USER = "timestamp_ms", "user_id"


class RawFeatures:
    """The raw columns that a model's inputs are made of.

    Attributes:
      dtypes: Of the columns with one value per impression or session, by name: features, and the
        counts of statistics.
      history: How earlier impressions become inputs; None where the model does not see them.
      parsing_spec: Of a request's ``tf.Example``: no labels, ids or times that no input needs.
        Session-level features, counts and histories may be left out.
    """

    def __init__(
        self,
        spec: DatasetSpec,
        transform_output: tft.TFTransformOutput,
        inputs: tuple[InputFeature, ...],
    ) -> None:
        """Finds the columns.

        Args:
          spec: The data set.
          transform_output: Of its sessions.
          inputs: The model's.
        """
        names = {feature.name for feature in inputs}
        counted = spec.history is not None and not names <= {f.name for f in spec.features}
        statistics = history.statistic_columns(spec) if counted else {}
        self.dtypes = {feature.name: _DTYPES[feature.dtype] for feature in spec.features}
        self.dtypes |= {name: _DTYPES[dtype] for name, dtype in statistics.items()}
        self._statistics = tuple(statistics)
        self._session_level = {
            *(feature.name for feature in spec.features if feature.level == "session"),
            *(history.session_statistics(spec) if counted else ()),
        }
        self._request_level = {f.name for f in spec.features if f.level == "request"}
        self._impression_level = [name for name in self.dtypes if name not in self._session_level]
        self.history = (
            HistoryColumns(inputs, spec.tasks) if any(f.is_history for f in inputs) else None
        )
        parsed = transform_output.raw_feature_spec()
        fills = {column.name: column.fill for column in spec.all_columns}
        self.parsing_spec: dict[str, Any] = {}
        for name, dtype in self.dtypes.items():
            self.parsing_spec[name] = parsed[name]
            if name in self._session_level and (name in fills or name in statistics):
                default = [self._nobody(dtype) if name == _USER else fills.get(name, 0)]
                self.parsing_spec[name] = tf.io.FixedLenFeature([1], dtype, default)
        self._past: dict[str, tuple[str, Any]] = {}
        self._came = False
        if self.history is not None:
            types = history.history_columns(spec)
            self._came = history.has_feedback_time(spec)
            own = [*self.history.names, *([history.FEEDBACK_MS] if self._came else [])]
            for name in own:
                past = history.PREFIX + name
                unknown = name in (history.WATCH_SHARE, *(task.name for task in spec.tasks))
                fill = UNKNOWN if unknown else fills.get(name, "" if types[past] == "string" else 0)
                self._past[past] = (name, tf.constant(fill, _DTYPES[types[past]]))
            for name in (history.PREFIX + _TIME, _TIME, *self._past):
                self.parsing_spec[name] = parsed[name]

    def fields(self) -> tuple[RequestField, ...]:
        """The columns of ``parsing_spec`` as plain data."""
        return tuple(self._field(name, feature) for name, feature in self.parsing_spec.items())

    def _field(self, name: str, feature: Any) -> RequestField:
        own = name in self.dtypes
        per_candidate = own and name not in self._session_level
        level: Level = "candidate" if per_candidate else "user" if own else "history"
        if name == _TIME or name in DERIVED_COLUMNS or name in self._request_level:
            level = "context"
        default = getattr(feature, "default_value", None)
        if name in self._past:
            default = [self._past[name][1].numpy()]
            default = [default[0].decode() if isinstance(default[0], bytes) else default[0].item()]
        if name in self._statistics and default is None:
            default = [0]
        return RequestField(
            name,
            tf.as_dtype(feature.dtype).name,
            level,
            per_candidate=per_candidate,
            required=own and default is None,
            default=None if default is None else default[0],
        )

    @staticmethod
    def _nobody(dtype: tf.DType) -> int | str:
        """An id that no user has, for a request that does not say who asks."""
        return "" if dtype == tf.string else -1

    def rows(self, raw: Mapping[str, tf.Tensor]) -> dict[str, Any]:
        """Columns `[batch]` as Transform takes sessions of one impression each."""
        return {
            name: tf.expand_dims(raw[name], 1)
            if name in self._session_level
            else tf.RaggedTensor.from_uniform_row_length(raw[name], 1)
            for name in self.dtypes
        }

    def checked(self, raw: Mapping[str, Any]) -> tuple[dict[str, Any], tf.Tensor]:
        """The columns, which cannot be computed with before they are checked, and the lengths.

        Args:
          raw: Parsed by ``parsing_spec``.

        Returns:
          The columns, what was left out filled in; and the number of each session's impressions,
          int64 `[session]`.

        Raises:
          InvalidArgumentError: if an example's impression-level features, or its lists of earlier
            impressions, differ in length; the message names the feature.
        """
        raw = dict(raw)
        names = self._impression_level
        first = raw[names[0]]
        for name in self._statistics:
            if name not in self._session_level:
                raw[name] = _or_filled(raw[name], first, tf.constant(0, self.dtypes[name]))
        lengths = raw[names[0]].row_lengths()
        checks = [_check_lengths(raw, names)]
        if self.history is not None:
            times = history.PREFIX + _TIME
            for name, (_, fill) in self._past.items():
                raw[name] = _or_filled(raw[name], raw[times], fill)
            checks.append(_check_lengths(raw, [times, *self._past]))
        with tf.control_dependencies(checks):
            return {name: tf.identity(value) for name, value in raw.items()}, lengths

    def times(self, raw: Mapping[str, Any]) -> tf.Tensor | None:
        """When the requests were made, in ms, int64 `[session]`; None without a history.

        A request that does not say it is as late as anything that it knows of.
        """
        if self.history is None:
            return None
        past = tf.reduce_max(raw[history.PREFIX + _TIME], axis=1) + 1
        own = tf.reduce_min(raw[_TIME], axis=1)
        return tf.where(raw[_TIME].row_lengths() > 0, own, tf.maximum(past, 0))

    def histories(self, transformed: Mapping[str, Any], now: tf.Tensor) -> dict[str, tf.Tensor]:
        """The inputs that are about earlier impressions.

        Args:
          transformed: What Transform gave.
          now: Of :meth:`times`.
        """
        assert self.history is not None
        flat = {name: transformed[history.PREFIX + name].flat_values for name in self.history.names}
        came = history.PREFIX + history.FEEDBACK_MS
        return self.history.of_requests(
            self.history.pack(flat),
            transformed[history.PREFIX + _TIME],
            now,
            transformed[came].flat_values if self._came else None,
        )


def _or_filled(column: tf.RaggedTensor, like: tf.RaggedTensor, fill: tf.Tensor) -> tf.RaggedTensor:
    """A column, or as many values as another has where none of the requests has any of it."""
    empty = tf.size(column.flat_values) == 0
    values = tf.cond(
        empty,
        lambda: tf.fill([tf.size(like.flat_values)], fill),
        lambda: column.flat_values,
    )
    splits = tf.cond(empty, lambda: like.row_splits, lambda: column.row_splits)
    return tf.RaggedTensor.from_row_splits(values, splits, validate=False)


def _check_lengths(raw: Mapping[str, Any], names: list[str]) -> tf.Operation:
    lengths = tf.stack([raw[name].row_lengths() for name in names])
    differing = tf.reduce_any(lengths != lengths[0], axis=1)
    name = tf.gather(tf.constant(names), tf.argmax(tf.cast(differing, tf.int32)))
    rule = f" and {names[0]} need the same number of values in each example"
    return tf.debugging.Assert(
        ~tf.reduce_any(differing), [tf.strings.join(["features ", name, rule])]
    )
