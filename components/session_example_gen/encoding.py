"""Sessions as serialized ``tf.Example`` protos, a batch at a time."""

from __future__ import annotations

import os

import numpy as np
import polars as pl
import pyarrow as pa
import tensorflow as tf
from tfx_bsl.coders import example_coder

from mtfx.datasets.history import session_statistics
from mtfx.datasets.labels import UNKNOWN
from mtfx.datasets.spec import DatasetSpec

SESSION_ID, SESSION_START = "session_id", "session_start_ms"
# Sessions per encoder call: bounds the memory that the serialized batch takes.
_BATCH_SESSIONS = 50_000
# Examples compress well even at the fastest level, which writes three times as fast.
_GZIP = tf.io.TFRecordOptions(compression_type="GZIP", compression_level=1)


def session_level_columns(spec: DatasetSpec) -> list[str]:
    """Columns with one value per session; all others are lists."""
    features = [f.name for f in spec.features if f.level == "session" and f.name != "user_id"]
    return [SESSION_ID, SESSION_START, "user_id", *features, *session_statistics(spec)]


def encode_sessions(frame: pl.DataFrame, spec: DatasetSpec) -> list[bytes]:
    """Encodes whole sessions.

    Args:
      frame: Impressions as ``mtfx.datasets.logs.sessions.build_sessions`` returns them: the rows of
        a session are consecutive and in order.
      spec: The data set.

    Returns:
      One serialized ``tf.Example`` per session, in the frame's order. Session-level columns are
      lists of one value, the others lists of the session's length T. An unknown label is
      ``mtfx.datasets.labels.UNKNOWN``.
    """
    if not frame.height:
        return []
    frame = frame.with_columns(pl.col(sorted(spec.unknown_labels)).fill_null(UNKNOWN))
    new = (frame[SESSION_ID] != frame[SESSION_ID].shift(1)).fill_null(True).to_numpy()
    starts = np.flatnonzero(new)
    offsets = np.append(starts, frame.height).astype(np.int32)
    ones = np.arange(len(starts) + 1, dtype=np.int32)
    session_level = session_level_columns(spec)
    first = frame.select(session_level)[starts]
    arrays: dict[str, pa.Array] = {}
    for name in session_level:
        arrays[name] = pa.ListArray.from_arrays(ones, _values(first[name]))
    for name in sorted(set(frame.columns) - set(session_level)):
        arrays[name] = pa.ListArray.from_arrays(offsets, _values(frame[name]))
    batch = pa.RecordBatch.from_arrays(list(arrays.values()), list(arrays))
    examples: list[bytes] = []
    for begin in range(0, len(starts), _BATCH_SESSIONS):
        examples.extend(example_coder.RecordBatchToExamples(batch.slice(begin, _BATCH_SESSIONS)))
    return examples


def write_examples(examples: list[bytes], path: str, temporary: str) -> None:
    """Writes a gzipped TFRecord file that appears at ``path`` only when it is whole."""
    for name in (temporary, path):
        tf.io.gfile.makedirs(os.path.dirname(name))
    with tf.io.TFRecordWriter(temporary, _GZIP) as writer:
        for example in examples:
            writer.write(example)
    tf.io.gfile.rename(temporary, path, overwrite=True)


def _values(series: pl.Series) -> pa.Array:
    array = series.to_arrow()
    # The encoder takes neither Polars' large strings nor booleans.
    if pa.types.is_integer(array.type):
        return array.cast(pa.int64())
    if pa.types.is_floating(array.type):
        return array.cast(pa.float32())
    return array.cast(pa.binary())
