"""Columns of earlier impressions as a ranking model takes them: two tensors, newest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from mtfx.datasets import history
from mtfx.datasets.spec import Task
from mtfx.models.input_features import InputFeature

#: More than any time in ms (of the year 2109), so that sessions and times make one ascending key.
_SESSION = 1 << 42


class HistoryColumns:
    """Packs what is known of impressions, and finds those that came before others.

    Attributes:
      length: Earlier impressions per impression, at most.
      names: Columns that are packed, under the names that the impressions' own columns have.
      inputs: The model's inputs that are made.
    """

    def __init__(self, inputs: Sequence[InputFeature], tasks: Sequence[Task]) -> None:
        """Takes the histories among a model's inputs.

        Args:
          inputs: The model's.
          tasks: The data set's tasks, for the kinds and units of feedback.

        Raises:
          ValueError: if none of the inputs is a history.
        """
        self.inputs = tuple(feature for feature in inputs if feature.is_history)
        if not self.inputs:
            raise ValueError("the model has no history among its inputs")
        by_kind = {feature.kind: feature.columns for feature in self.inputs}
        self.length = self.inputs[0].length
        self._ids = by_kind.get("history_ids", ())
        # The first column, the age, follows from the times.
        self._values = by_kind["history_values"][1:]
        self._tasks = {task.name: task for task in tasks}
        self.names = tuple(column.name for column in (*self._ids, *self._values))
        # Feedback that has not come counts as none, where that is a value; a service sees as much.
        pending = [self._pending(column.name) for column in self._values]
        self._has_pending = tf.constant([value is not None for value in pending])
        self._pending_values = tf.constant([value or 0.0 for value in pending], tf.float32)

    def _pending(self, name: str) -> float | None:
        """What feedback counts as before it has come; None for what is no feedback."""
        if name in self._tasks:
            return 0.0 if self._tasks[name].kind == "binary" else -1.0
        return -1.0 if name == history.WATCH_SHARE else None

    def pack(self, columns: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """Puts columns side by side.

        Args:
          columns: By name, flat: `[n]`, or `[n * max_values]` of a multivalued feature.

        Returns:
          int32 `[n, ids]` and float32 `[n, values]`, the latter without the age; a regression's
          feedback as log(1 + value / unit), -1 where it is unknown.
        """
        ids = [
            tf.cast(tf.reshape(columns[column.name], [-1, column.width]), tf.int32)
            for column in self._ids
        ]
        values = [self._value(column.name, columns[column.name]) for column in self._values]
        count = tf.size(values[0]) if values else tf.shape(ids[0])[0]
        return (
            tf.concat(ids, axis=1) if ids else tf.zeros([count, 0], tf.int32),
            tf.stack(values, axis=1) if values else tf.zeros([count, 0]),
        )

    def _value(self, name: str, column: tf.Tensor) -> tf.Tensor:
        value = tf.cast(tf.reshape(column, [-1]), tf.float32)
        task = self._tasks.get(name)
        if task is None or task.kind == "binary":
            return value
        scaled = tf.math.log1p(tf.maximum(value, 0.0) / task.unit)
        return tf.where(value < 0.0, -1.0, scaled)

    def before_each_impression(
        self,
        past: tuple[tf.Tensor, tf.Tensor],
        past_times: tf.RaggedTensor,
        own: tuple[tf.Tensor, tf.Tensor],
        own_times: tf.RaggedTensor,
        feedback_times: tuple[tf.Tensor, tf.Tensor] | None = None,
    ) -> dict[str, tf.Tensor]:
        """The history of every impression of sessions: what was before the session and in it.

        An impression sees those whose time is before its own, and nothing of the others.

        Args:
          past: Of :meth:`pack`, of the impressions before the sessions, oldest first.
          past_times: Their times in ms, int64 `[session, (past)]`.
          own: Of :meth:`pack`, of the sessions' impressions in order.
          own_times: Their times, int64 `[session, (time)]`.
          feedback_times: When the feedback of either came, int64 `[n]`; None: with the impression.

        Returns:
          The model's inputs, `[impression, length, columns]`, newest first.
        """
        times = tf.concat([past_times, own_times], axis=1)
        pools = [
            _joined(earlier, past_times, later, own_times)
            for earlier, later in zip(past, own, strict=True)
        ]
        row = tf.cast(own_times.value_rowids(), tf.int64)
        now = own_times.flat_values
        keys = tf.cast(times.value_rowids(), tf.int64) * _SESSION + times.flat_values
        ends = tf.searchsorted(keys, row * _SESSION + now, side="left", out_type=tf.int64)
        places = ends[:, None] - 1 - tf.range(self.length, dtype=tf.int64)
        known = places >= tf.gather(times.row_starts(), row)[:, None]
        came = None
        if feedback_times is not None:
            came = _joined(feedback_times[0], past_times, feedback_times[1], own_times)
        return self._gathered(pools[0], pools[1], times.flat_values, came, places, known, now)

    def of_requests(
        self,
        past: tuple[tf.Tensor, tf.Tensor],
        times: tf.RaggedTensor,
        now: tf.Tensor,
        feedback_times: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """The histories that requests bring: in any order, of any length.

        Args:
          past: Of :meth:`pack`, of all requests' earlier impressions, request by request.
          times: Their times in ms, int64 `[request, (past)]`. Those that are not before the request
            are left out.
          now: Times of the requests, int64 `[request]`.
          feedback_times: When the feedback came, int64 `[n]`; None: with the impression.

        Returns:
          The model's inputs, `[request, length, columns]`, newest first.
        """
        requests = tf.cast(times.value_rowids(), tf.int64)
        earlier = times.flat_values < tf.gather(now, requests)
        # By request, those that are too late last, newest first.
        order = tf.argsort(
            requests * _SESSION + tf.where(earlier, _SESSION - 1 - times.flat_values, _SESSION),
            stable=True,
        )
        usable = tf.math.segment_sum(tf.cast(earlier, tf.int64), requests)
        usable = tf.pad(usable, [[0, tf.size(now) - tf.size(usable)]])
        offsets = tf.range(self.length, dtype=tf.int64)
        known = offsets < usable[:, None]
        places = tf.where(known, times.row_starts()[:, None] + offsets, 0)
        flat = tf.gather(tf.concat([tf.cast(order, tf.int64), [0]], axis=0), places)
        return self._gathered(*past, times.flat_values, feedback_times, flat, known, now)

    def empty(self, count: tf.Tensor | int) -> dict[str, tf.Tensor]:
        """Histories of users of whom nothing is known.

        Args:
          count: How many.
        """
        missing = {"history_ids": -1, "history_values": -1}
        return {
            feature.name: tf.fill(
                [count, *feature.shape], tf.cast(missing[feature.kind], feature.dtype)
            )
            for feature in self.inputs
        }

    def _gathered(
        self,
        ids: tf.Tensor,
        values: tf.Tensor,
        times: tf.Tensor,
        came: tf.Tensor | None,
        places: tf.Tensor,
        known: tf.Tensor,
        now: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """The inputs, of rows at places `[n, length]`, where they are known."""
        # Unknown places read a row of -1 behind the others, which costs less than a mask.
        last = tf.size(times, tf.int64)
        places = tf.where(known, places, last)
        times = tf.concat([times, [0]], axis=0)
        age = tf.cast(now[:, None] - tf.gather(times, places), tf.float32) / 1000.0
        age = tf.where(known, age, -1.0)
        rows = tf.gather(tf.pad(values, [[0, 1], [0, 0]], constant_values=-1.0), places)
        if came is not None:
            late = tf.gather(tf.concat([came, [0]], axis=0), places) >= now[:, None]
            pending = (late & known)[:, :, None] & self._has_pending
            rows = tf.where(pending, self._pending_values, rows)
        minus = tf.constant(-1, ids.dtype)
        found = {
            "history_ids": tf.gather(tf.pad(ids, [[0, 1], [0, 0]], constant_values=minus), places),
            "history_values": tf.concat([age[:, :, None], rows], axis=2),
        }
        return {
            feature.name: tf.ensure_shape(found[feature.kind], [None, *feature.shape])
            for feature in self.inputs
        }


def _joined(
    past: tf.Tensor, past_of: tf.RaggedTensor, own: tf.Tensor, own_of: tf.RaggedTensor
) -> tf.Tensor:
    """Rows of each session's past followed by its own, flat."""
    return tf.concat(
        [past_of.with_flat_values(past), own_of.with_flat_values(own)], axis=1
    ).flat_values
