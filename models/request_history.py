"""Earlier impressions of requests: the newest ones, in order, as states are made of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from mtfx.datasets import history
from mtfx.datasets.request_state import RequestStateConfig

#: An item's share watched that counts at most, as in a log's history.
MOST_WATCHED = 3.0
#: More than any time in ms (of the year 2109).
_LATEST = 1 << 42


class Past(NamedTuple):
    """Earlier impressions, the newest first; places behind the last one are -1.

    Attributes:
      times_ms: Unix times in ms, int64 `[n, H]`.
      values: By name of ``RequestStateConfig.past_names``: feedback 0 or 1, the watch share from 0
        to 3, -1 where unknown; float32 `[n, H, V]`.
    """

    times_ms: tf.Tensor
    values: tf.Tensor

    def followed_by(self, time_ms: tf.Tensor, values: tf.Tensor) -> Past:
        """With a newer impression in front, and the oldest dropped.

        Args:
          time_ms: int64 `[n]`.
          values: float32 `[n, V]`.
        """
        return Past(
            tf.concat([time_ms[:, tf.newaxis], self.times_ms[:, :-1]], axis=1),
            tf.concat([values[:, tf.newaxis], self.values[:, :-1]], axis=1),
        )


def newest(
    parsed: Mapping[str, Any], config: RequestStateConfig, now: tf.Tensor
) -> tuple[Past, tf.Tensor]:
    """The H newest earlier impressions of requests, and how many came before each.

    Args:
      parsed: Lists ``history_*`` as requests bring them, ragged `[n, (past)]`, in any order. A list
        that a request lacks is unknown of all its earlier impressions.
      config: Names, and H.
      now: Times of the requests, int64 `[n]`.

    Returns:
      The histories `[n, H, ...]`, and numbers int64 `[n]` of what is before the request.

    Raises:
      InvalidArgumentError: if lists differ in length, or a watch share is no finite number; the
        message names the column.
    """
    times = parsed[history.TIME]
    names = [history.PREFIX + name for name in config.past_names]
    came = history.PREFIX + history.FEEDBACK_MS
    checks = [
        _same_length(parsed[name], times, name)
        for name in (*names, *([came] if config.feedback_time else []))
    ]
    if config.watch_share:
        share = history.PREFIX + history.WATCH_SHARE
        checks.append(
            tf.debugging.Assert(
                tf.reduce_all(tf.math.is_finite(parsed[share].flat_values)),
                [f"{share} holds what is no finite number"],
            )
        )
    with tf.control_dependencies(checks):
        flat = tf.clip_by_value(times.flat_values, 0, _LATEST - 1)
    request = times.value_rowids()
    usable = flat < tf.gather(now, request)
    # Request by request, the newest first, those that are too late at the end.
    age = tf.where(usable, _LATEST - 1 - flat, _LATEST)
    order = tf.argsort(request * (2 * _LATEST) + age, stable=True)
    count = tf.math.unsorted_segment_sum(tf.cast(usable, tf.int64), request, tf.size(now, tf.int64))
    place = tf.range(config.length, dtype=tf.int64)
    known = place < count[:, tf.newaxis]
    # What is not there reads a row of -1 behind the others.
    nothing = tf.size(flat, tf.int64)
    place = tf.where(known, times.row_starts()[:, tf.newaxis] + place, nothing)
    rows = tf.gather(tf.concat([tf.cast(order, tf.int64), [nothing]], axis=0), place)
    columns = [tf.cast(_or_unknown(parsed[name], times).flat_values, tf.float32) for name in names]
    if config.feedback_time:
        pending = _or_unknown(parsed[came], times).flat_values >= tf.gather(now, request)
        columns = [
            # Feedback that has not come counts as none, where that is a value.
            tf.where(pending, -1.0 if name == history.WATCH_SHARE else 0.0, column)
            for name, column in zip(config.past_names, columns, strict=True)
        ]
    stacked = tf.stack(columns, axis=1) if columns else tf.zeros([tf.size(flat), 0])
    if config.watch_share:
        stacked = tf.minimum(stacked, MOST_WATCHED)
    padded = tf.pad(stacked, [[0, 1], [0, 0]], constant_values=-1.0)
    times_ms = tf.gather(tf.concat([flat, [-1]], axis=0), rows)
    shape = [None, config.length, len(names)]
    return Past(times_ms, tf.ensure_shape(tf.gather(padded, rows), shape)), count


def _or_unknown(column: tf.RaggedTensor, times: tf.RaggedTensor) -> tf.RaggedTensor:
    """A list of earlier impressions; of -1 in the rows that lack it."""
    missing = (column.row_lengths() == 0) & (times.row_lengths() > 0)
    size = tf.where(missing, times.row_lengths(), 0)
    filler = tf.RaggedTensor.from_row_lengths(
        tf.fill([tf.reduce_sum(size)], tf.cast(-1, column.dtype)), size, validate=False
    )
    return tf.concat([column, filler], axis=1)


def _same_length(column: tf.RaggedTensor, times: tf.RaggedTensor, name: str) -> tf.Operation:
    found, wanted = column.row_lengths(), times.row_lengths()
    fits = tf.reduce_all((found == wanted) | (found == 0))
    rule = f"features {name} and {history.TIME} need the same number of values in each request"
    return tf.debugging.Assert(fits, [rule])
