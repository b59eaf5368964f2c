"""The state of a request: the same numbers in the simulator, in the served ranker and its log."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from mtfx.datasets import history
from mtfx.datasets.columns import Dtype
from mtfx.datasets.request_state import (
    CONTEXT_BUCKETS,
    PROFILE_BUCKETS,
    RequestColumn,
    RequestStateConfig,
)
from mtfx.models.request_history import Past, newest

#: Views are divided by this, as in xMTF.
VIEWS_SCALE = 100.0
#: Brings the logarithm of a count, or of another large number, to about one.
_COUNT_SCALE = 5.0
#: Likewise of an age in seconds.
_AGE_SCALE = 12.0
#: The age where there is no earlier impression: longer than a year.
_NO_AGE = 1.5
#: Added to the number of earlier impressions where sums over them are divided by it.
_PRIOR = 3.0
_TIME = "timestamp_ms"
_DTYPES: dict[Dtype, tf.DType] = {"int64": tf.int64, "string": tf.string, "float32": tf.float32}


class RequestFacts(NamedTuple):
    """What requests say beside their candidates.

    Attributes:
      state: The request's part of the state, float32 `[n, S0]`.
      attributes: Its first part, float32 `[n, A]`.
      now_ms: The request's time, int64 `[n]`.
      past: Its history, with H places.
      left_out: Earlier impressions that were not used, as they are not before the request or older
        than the H newest; int32 `[n]`.
    """

    state: tf.Tensor
    attributes: tf.Tensor
    now_ms: tf.Tensor
    past: Past
    left_out: tf.Tensor


class RequestState(tf.Module):
    """Computes the request's part of states; a pure function without any weight.

    It holds, by the names of ``RequestStateConfig.names``:

    - the user's counts c as log(1 + c) / 5, whose differences are log rates;
    - the profile's numbers x as sign(x) log(1 + |x|) / 5;
    - the profile's categories, each a vector of 1 and -1, the bits of its hash, summed: a random
      projection (Achlioptas, "Database-friendly random projections", 2003) without a vocabulary,
      which a retraining would number anew; the context's likewise;
    - the local hour on a circle;
    - log(1 + age) / 12 of the newest earlier impression, its age in seconds; 1.5 where there is
      none;
    - log(1 + n) / 5 for n earlier impressions of the H newest, and of each feedback and the watch
      share the sum over those known, by their number and 3 more;
    - of those of the present session, which go back from the request without a pause longer than
      the gap: their number / 100 (xMTF), and the means over those known.

    Attributes:
      config: What the state is made of.
      parsing_spec: Of a request's ``tf.Example``. Every column may be left out.
    """

    def __init__(self, config: RequestStateConfig) -> None:
        """Prepares the parsing."""
        super().__init__(name="request_state")
        self.config = config
        once: dict[str, Any] = {}
        for name in config.counts:
            once[name] = tf.io.FixedLenFeature([1], tf.int64, [0])
        for column in (*config.numbers, *config.profile):
            fill: Any = [""] if column.dtype == "string" else [0]
            once[column.name] = tf.io.FixedLenFeature([1], _DTYPES[column.dtype], fill)
        lists: dict[str, tf.DType] = {
            column.name: _DTYPES[column.dtype] for column in config.context
        }
        lists |= {_TIME: tf.int64, history.TIME: tf.int64}
        if config.feedback_time:
            lists[history.PREFIX + history.FEEDBACK_MS] = tf.int64
        for name in config.past_names:
            kind = tf.float32 if name == history.WATCH_SHARE else tf.int64
            lists[history.PREFIX + name] = kind
        self.parsing_spec: dict[str, Any] = once | {
            name: tf.io.RaggedFeature(kind, row_splits_dtype=tf.int64)
            for name, kind in lists.items()
        }

    def of_requests(self, requests: tf.Tensor) -> RequestFacts:
        """The states of requests as they are sent.

        Args:
          requests: Serialized ``tf.Example`` protos, string `[n]`: the user's columns with one
            value, ``timestamp_ms``, lists ``history_*`` in any order, candidates. A request that
            does not say its time is as late as anything that it knows of.

        Raises:
          InvalidArgumentError: if a column has another type or number of values, or lists of
            earlier impressions differ in length; the message names the column.
        """
        parsed = tf.io.parse_example(requests, self.parsing_spec)
        past_times = parsed[history.TIME]
        own = parsed[_TIME]
        latest = tf.maximum(tf.reduce_max(past_times, axis=1) + 1, 0)
        now = tf.where(own.row_lengths() > 0, tf.reduce_min(own, axis=1), latest)
        attributes = self._attributes(
            {
                name: _first(parsed[name])
                for name in (
                    *self.config.counts,
                    *(column.name for column in self.config.numbers),
                    *(column.name for column in self.config.profile),
                    *(column.name for column in self.config.context),
                )
            },
            tf.size(now),
        )
        past, usable = newest(parsed, self.config, now)
        left_out = past_times.row_lengths() - tf.minimum(usable, self.config.length)
        state = self.of_parts(attributes, now, past)
        return RequestFacts(state, attributes, now, past, tf.cast(left_out, tf.int32))

    def _attributes(self, columns: Mapping[str, tf.Tensor], rows: tf.Tensor) -> tf.Tensor:
        """What does not change while a session lasts, of raw values `[rows]`."""
        config = self.config
        parts = [
            _log(tf.maximum(tf.cast(columns[name], tf.float32), 0.0)) for name in config.counts
        ]
        for column in config.numbers:
            value = tf.cast(columns[column.name], tf.float32)
            parts.append(tf.sign(value) * _log(tf.abs(value)))
        stacked = [tf.stack(parts, axis=1)] if parts else []
        for categories, buckets in (
            (config.profile, PROFILE_BUCKETS),
            (config.context, CONTEXT_BUCKETS),
        ):
            if categories:
                stacked.append(_hashed(columns, categories, buckets))
        return tf.concat([tf.zeros([rows, 0]), *stacked], axis=1)

    def of_parts(self, attributes: tf.Tensor, now_ms: tf.Tensor, past: Past) -> tf.Tensor:
        """The states of requests whose parts are known.

        Args:
          attributes: float32 `[n, A]`.
          now_ms: Times of the requests, int64 `[n]`.
          past: What came before, `[n, H, ...]`.

        Returns:
          float32 `[n, S0]`.
        """
        config = self.config
        offset_ms = round(config.utc_offset_hours * 3_600_000)
        of_day = tf.cast((now_ms + offset_ms) % 86_400_000, tf.float32)
        angle = of_day * (2.0 * math.pi / 86_400_000)
        there = past.times_ms >= 0
        mask = tf.cast(there, tf.float32)
        values = past.values * mask[:, :, tf.newaxis]
        known = mask[:, :, tf.newaxis] * tf.cast(past.values >= 0.0, tf.float32)
        count = tf.reduce_sum(mask, axis=1, keepdims=True)
        newest_s = tf.cast(tf.maximum(now_ms - past.times_ms[:, 0], 0), tf.float32) / 1_000.0
        age = tf.minimum(tf.math.log1p(newest_s) / _AGE_SCALE, _NO_AGE)
        age = tf.where(there[:, 0], age, _NO_AGE)
        later = tf.concat([now_ms[:, tf.newaxis], past.times_ms[:, :-1]], axis=1)
        close = there & (later - past.times_ms <= round(config.gap_minutes * 60_000))
        in_session = tf.math.cumprod(tf.cast(close, tf.float32), axis=1)[:, :, tf.newaxis]
        session_known = known * in_session
        session_sum = tf.reduce_sum(values * session_known, axis=1)
        parts = [
            attributes,
            tf.stack([tf.sin(angle), tf.cos(angle), age], axis=1),
            _log(count),
            tf.reduce_sum(values * known, axis=1) / (tf.reduce_sum(known, axis=1) + _PRIOR),
            tf.reduce_sum(in_session, axis=1) / VIEWS_SCALE,
            session_sum / tf.maximum(tf.reduce_sum(session_known, axis=1), 1.0),
        ]
        return tf.ensure_shape(tf.concat(parts, axis=1), [None, len(config.names)])


def mean_predictions(predictions: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Means over the candidates, the second part of a state; 0 where there is none.

    Args:
      predictions: float32 `[n, C, K]`, finite.
      mask: False where there is no candidate, bool `[n, C]`.

    Returns:
      float32 `[n, K]`.
    """
    weights = tf.cast(mask, tf.float32)
    count = tf.maximum(tf.reduce_sum(weights, axis=1, keepdims=True), 1.0)
    return tf.squeeze(tf.matmul((weights / count)[:, tf.newaxis], predictions), 1)


def _log(value: tf.Tensor) -> tf.Tensor:
    return tf.math.log1p(value) / _COUNT_SCALE


def _hashed(
    columns: Mapping[str, tf.Tensor], categories: Sequence[RequestColumn], buckets: int
) -> tf.Tensor:
    """A random projection of the categories, float32 `[n, buckets]`; about 1 in size."""
    total: Any = 0.0
    for column in categories:
        value = columns[column.name]
        text = value if column.dtype == "string" else tf.strings.as_string(value)
        text = tf.strings.join([f"{column.name}=", text])
        bits = tf.strings.to_hash_bucket_fast(text, 1 << buckets)[:, tf.newaxis]
        bits = tf.bitwise.right_shift(bits, tf.range(buckets, dtype=tf.int64)) & 1
        total += tf.cast(bits, tf.float32) * 2.0 - 1.0
    return total / math.sqrt(len(categories))


def _first(column: tf.Tensor | tf.RaggedTensor) -> tf.Tensor:
    """The first value of each row, `[n]`; the type's zero where there is none."""
    if not isinstance(column, tf.RaggedTensor):
        return column[:, 0]
    return column.to_tensor(shape=[None, 1])[:, 0]
