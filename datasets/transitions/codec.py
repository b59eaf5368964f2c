"""Transitions as ``tf.Example`` records, many at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import tensorflow as tf
from tfx_bsl.coders import example_coder

from mtfx.datasets.transitions.spec import TransitionSpec

#: Names of the columns by their kind in a ``tf.Example``; sizes are in :func:`row_sizes`.
FLOAT_COLUMNS = (
    "state",
    "next_state",
    "predictions",
    "action",
    "log_density",
    "feedback",
    "watch_s",
    "duration_s",
    "reward",
    "discount",
)
INT_COLUMNS = ("candidate_count", "chosen", "step", "timestamp_ms")
BYTES_COLUMNS = ("behaviour_policy", "session_id", "user_id")


@dataclasses.dataclass(frozen=True)
class TransitionBatch:
    """Transitions as columns; N rows.

    Attributes:
      state, next_state: float32 `[N, S]`; the next state of a session's end is any (zeros here).
      predictions: float32 `[sum of candidate_count, K]`, the candidates of all rows one after
        another, because requests have candidate sets of different sizes.
      candidate_count: int64 `[N]`, at least 1.
      chosen: int64 `[N]`, index of the shown candidate within its row's candidates.
      action: float32 `[N, A]` in [-1, 1].
      log_density: float32 `[N]`, natural logarithm of the behaviour policy's density of the action
        given the state (and user); NaN where unknown.
      behaviour_policy: str `[N]`.
      feedback: float32 `[N, F]`, 0 or 1.
      watch_s, duration_s: float32 `[N]`, seconds.
      reward: float32 `[N]`.
      discount: float32 `[N]`: 0 at a session's last request, else 1; an agent multiplies its gamma.
      session_id, user_id: str `[N]`.
      step: int64 `[N]`, position of the request in its session, from 0.
      timestamp_ms: int64 `[N]`, Unix time of the request.
    """

    state: np.ndarray
    next_state: np.ndarray
    predictions: np.ndarray
    candidate_count: np.ndarray
    chosen: np.ndarray
    action: np.ndarray
    log_density: np.ndarray
    behaviour_policy: np.ndarray
    feedback: np.ndarray
    watch_s: np.ndarray
    duration_s: np.ndarray
    reward: np.ndarray
    discount: np.ndarray
    session_id: np.ndarray
    user_id: np.ndarray
    step: np.ndarray
    timestamp_ms: np.ndarray

    @property
    def size(self) -> int:
        """N."""
        return len(self.reward)

    def rows(self, index: np.ndarray) -> TransitionBatch:
        """The rows of an integer or boolean index, in its order."""
        index = np.arange(self.size)[index]
        ends = np.cumsum(self.candidate_count)
        counts = self.candidate_count[index]
        # Positions of the chosen rows' candidates: each row's start, then 0, 1, 2, ...
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        candidates = np.repeat(ends[index] - counts, counts) + within
        columns = {
            field.name: getattr(self, field.name)[
                candidates if field.name == "predictions" else index
            ]
            for field in dataclasses.fields(self)
        }
        return TransitionBatch(**columns)


def concatenate(batches: Sequence[TransitionBatch]) -> TransitionBatch:
    """Transitions one after another; raises ValueError if there is no batch."""
    if not batches:
        raise ValueError("no transitions to put together")
    names = [field.name for field in dataclasses.fields(TransitionBatch)]
    return TransitionBatch(
        **{name: np.concatenate([getattr(batch, name) for batch in batches]) for name in names}
    )


def row_sizes(spec: TransitionSpec) -> dict[str, int]:
    """Values per record of every column but ``predictions``, which has candidate_count * K."""
    one = {
        name: 1
        for name in (*FLOAT_COLUMNS, *INT_COLUMNS, *BYTES_COLUMNS)
        if name not in ("predictions", "state", "next_state", "action", "feedback")
    }
    return one | {
        "state": spec.state_dim,
        "next_state": spec.state_dim,
        "action": spec.action_dim,
        "feedback": spec.num_feedbacks,
    }


def encode_transitions(batch: TransitionBatch, spec: TransitionSpec) -> list[bytes]:
    """Serialized ``tf.Example`` protos, one per row, in order.

    Equal rows give equal protos, but not always equal bytes: protocol buffers leave the order of a
    map's keys open.

    Raises:
      ValueError: if a column's size is not the spec's.
    """
    if not batch.size:
        return []
    sizes = row_sizes(spec)
    columns: dict[str, pa.Array] = {}
    for name, size in sizes.items():
        values = getattr(batch, name)
        wanted = (batch.size, size) if size > 1 or values.ndim > 1 else (batch.size,)
        if values.shape != wanted:
            raise ValueError(f"{name} has shape {values.shape} where the spec has {wanted}")
        offsets = np.arange(batch.size + 1, dtype=np.int32) * size
        columns[name] = pa.ListArray.from_arrays(pa.array(offsets), _values(name, values))
    wanted = (int(batch.candidate_count.sum()), spec.num_predictions)
    if batch.predictions.shape != wanted:
        raise ValueError(f"predictions have shape {batch.predictions.shape}, not {wanted}")
    ends = np.cumsum(batch.candidate_count) * spec.num_predictions
    columns["predictions"] = pa.ListArray.from_arrays(
        pa.array(np.append(0, ends).astype(np.int32)), _values("predictions", batch.predictions)
    )
    arrow = pa.RecordBatch.from_arrays(list(columns.values()), list(columns))
    return example_coder.RecordBatchToExamples(arrow)


def feature_spec(spec: TransitionSpec) -> dict:
    """What ``tf.io.parse_example`` takes: fixed sizes, and ragged flat ``predictions``."""
    features: dict = {}
    for name, size in row_sizes(spec).items():
        dtype = (
            tf.float32 if name in FLOAT_COLUMNS else tf.int64 if name in INT_COLUMNS else tf.string
        )
        shape = [size] if name in ("state", "next_state", "action", "feedback") else []
        features[name] = tf.io.FixedLenFeature(shape, dtype)
    features["predictions"] = tf.io.RaggedFeature(tf.float32, row_splits_dtype=tf.int64)
    return features


def batch_from_parsed(parsed: dict, spec: TransitionSpec) -> TransitionBatch:
    """The columns of ``tf.io.parse_example(records, feature_spec(spec))``.

    Raises:
      ValueError: if the predictions are not K to a candidate.
    """
    columns = {}
    for name in row_sizes(spec):
        values = parsed[name].numpy()
        columns[name] = np.char.decode(values.astype(bytes)) if name in BYTES_COLUMNS else values
    flat = parsed["predictions"].flat_values.numpy()
    if flat.size != columns["candidate_count"].sum() * spec.num_predictions:
        raise ValueError(f"the predictions are not {spec.num_predictions} to a candidate")
    return TransitionBatch(predictions=flat.reshape(-1, spec.num_predictions), **columns)


def _values(name: str, values: np.ndarray) -> pa.Array:
    flat = values.reshape(-1)
    if name in FLOAT_COLUMNS:
        return pa.array(flat.astype(np.float32, copy=False))
    if name in INT_COLUMNS:
        return pa.array(flat.astype(np.int64, copy=False))
    return pa.array(flat.astype(str).tolist(), pa.string()).cast(pa.binary())
