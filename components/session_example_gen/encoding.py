"""Sessions as serialized ``tf.Example`` protos, a batch at a time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

import numpy as np
import polars as pl
import pyarrow as pa
import tensorflow as tf
from tfx_bsl.coders import example_coder

from mtfx.datasets.history import history_columns, session_statistics, source_of
from mtfx.datasets.labels import UNKNOWN
from mtfx.datasets.logs.history import Timelines
from mtfx.datasets.spec import DatasetSpec

SESSION_ID, SESSION_START = "session_id", "session_start_ms"
# Sessions per encoder call, and earlier impressions: bounds the memory that a batch takes.
_BATCH_SESSIONS = 50_000
_BATCH_EARLIER = 1_000_000
_ARROW_TYPES = {"int64": pa.int64(), "string": pa.binary(), "float32": pa.float32()}
# Examples compress well even at the fastest level, which writes three times as fast.
_GZIP = tf.io.TFRecordOptions(compression_type="GZIP", compression_level=1)


def session_level_columns(spec: DatasetSpec) -> list[str]:
    """Columns with one value per session; all others are lists."""
    features = [f.name for f in spec.features if f.level == "session" and f.name != "user_id"]
    return [SESSION_ID, SESSION_START, "user_id", *features, *session_statistics(spec)]


class PastImpressions:
    """The impressions that the sessions of a bucket's users can look back on.

    Attributes:
      length: How many of them a session has at most.
      counts: So far: ``sessions`` that asked, those ``with_history``, and ``earlier`` impressions
        of all of them together.
    """

    def __init__(self, frame: pl.DataFrame, spec: DatasetSpec, length: int):
        """Keeps what a history has of each impression.

        Args:
          frame: All impressions of the users, with the columns that the history is made of.
          spec: The data set; it has a history.
          length: How many earlier impressions a session has at most.
        """
        self.length = length
        self.counts = {"sessions": 0, "with_history": 0, "earlier": 0}
        self._timelines = Timelines(frame)
        frame = _known(frame, spec)
        self._columns = {
            name: _values(frame[source_of(name)]).cast(_ARROW_TYPES[dtype])
            for name, dtype in history_columns(spec).items()
        }

    def lists(self, users: pl.Series, times_ms: pl.Series) -> dict[str, pa.ListArray]:
        """The lists of ``mtfx.datasets.history.history_columns``, oldest first.

        Args:
          users: ``user_id`` of each session.
          times_ms: Time of its first impression, int64 `[sessions]`.
        """
        found = self._timelines.before(users, times_ms, self.length)
        self.counts["sessions"] += len(users)
        self.counts["with_history"] += int(np.count_nonzero(np.diff(found.offsets)))
        self.counts["earlier"] += len(found.rows)
        offsets, rows = pa.array(found.offsets.astype(np.int32)), pa.array(found.rows)
        return {
            name: pa.ListArray.from_arrays(offsets, values.take(rows))
            for name, values in self._columns.items()
        }


def encode_sessions(
    frame: pl.DataFrame, spec: DatasetSpec, past: PastImpressions | None = None
) -> Iterator[bytes]:
    """Encodes whole sessions, some at a time, so that a long history does not fill the memory.

    Args:
      frame: Impressions as ``mtfx.datasets.logs.sessions.build_sessions`` returns them: the rows of
        a session are consecutive and in order.
      spec: The data set.
      past: What the sessions look back on; None: they have no lists of earlier impressions.

    Yields:
      One serialized ``tf.Example`` per session, in the frame's order. Session-level columns are
      lists of one value, earlier impressions lists of any length, the others lists of the session's
      length T. An unknown label is ``mtfx.datasets.labels.UNKNOWN``.
    """
    if not frame.height:
        return
    frame = _known(frame, spec)
    new = (frame[SESSION_ID] != frame[SESSION_ID].shift(1)).fill_null(True).to_numpy()
    starts = np.flatnonzero(new)
    ends = np.append(starts[1:], frame.height)
    step = _BATCH_SESSIONS
    if past is not None:
        step = max(1, min(step, _BATCH_EARLIER // max(past.length, 1)))
    for begin in range(0, len(starts), step):
        some = slice(begin, begin + step)
        rows = frame[int(starts[begin]) : int(ends[some][-1])]
        yield from _encode(rows, starts[some] - starts[begin], spec, past)


def _encode(
    frame: pl.DataFrame, starts: np.ndarray, spec: DatasetSpec, past: PastImpressions | None
) -> list[bytes]:
    offsets = np.append(starts, frame.height).astype(np.int32)
    ones = np.arange(len(starts) + 1, dtype=np.int32)
    session_level = session_level_columns(spec)
    first = frame[starts]
    arrays: dict[str, pa.Array] = {}
    for name in session_level:
        arrays[name] = pa.ListArray.from_arrays(ones, _values(first[name]))
    for name in sorted(set(frame.columns) - set(session_level)):
        arrays[name] = pa.ListArray.from_arrays(offsets, _values(frame[name]))
    if past is not None:
        # The first impression's time: the part of a split session knows the parts before it.
        arrays |= past.lists(first["user_id"], first["timestamp_ms"])
    batch = pa.RecordBatch.from_arrays(list(arrays.values()), list(arrays))
    return example_coder.RecordBatchToExamples(batch)


def write_examples(examples: Iterable[bytes], path: str, temporary: str) -> None:
    """Writes a gzipped TFRecord file that appears at ``path`` only when it is whole."""
    for name in (temporary, path):
        tf.io.gfile.makedirs(os.path.dirname(name))
    with tf.io.TFRecordWriter(temporary, _GZIP) as writer:
        for example in examples:
            writer.write(example)
    tf.io.gfile.rename(temporary, path, overwrite=True)


def _known(frame: pl.DataFrame, spec: DatasetSpec) -> pl.DataFrame:
    return frame.with_columns(pl.col(sorted(spec.unknown_labels)).fill_null(UNKNOWN))


def _values(series: pl.Series) -> pa.Array:
    array = series.to_arrow()
    # The encoder takes neither Polars' large strings nor booleans.
    if pa.types.is_integer(array.type):
        return array.cast(pa.int64())
    if pa.types.is_floating(array.type):
        return array.cast(pa.float32())
    return array.cast(pa.binary())
