"""Batches of impressions, from the session files that TFX Transform writes or from memory.

A file holds one gzipped ``tf.Example`` per session. Sessions are parsed many at a time, flattened
to their impressions and cut into batches of a fixed number of impressions, so nothing is padded.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from mtfx.datasets import history as history_data
from mtfx.datasets.spec import Task
from mtfx.environments.sessions.table import SessionTable
from mtfx.models.history_columns import HistoryColumns
from mtfx.models.input_features import InputFeature

#: Sessions parsed by one call of the parser.
_PARSE_BATCH = 256
#: Where each impression gets a history, which takes some kilobytes.
_PARSE_BATCH_WITH_HISTORY = 128
#: Most bytes of histories that are kept in memory, one history per impression.
_MOST_HISTORY_BYTES = 4 << 30
#: Files read side by side.
_CYCLE_LENGTH = 4
_TIME = "timestamp_ms"
#: Sessions whose impressions are listed by one step of the input pipeline.
_SESSIONS = 4096


def impression_batches(
    file_patterns: str | Sequence[str],
    feature_spec: Mapping[str, Any],
    inputs: Sequence[InputFeature],
    tasks: Sequence[Task],
    batch_size: int,
    *,
    shuffle: bool,
    seed: int,
    drop_remainder: bool = False,
    shuffle_sessions: int = 100_000,
    history: HistoryColumns | None = None,
) -> tf.data.Dataset:
    """Batches of impressions.

    Args:
      file_patterns: Globs of gzipped TFRecord files of session examples.
      feature_spec: Their parsing spec, ``tft_output.transformed_feature_spec()``: ragged for
        impression-level columns, fixed length `[1]` for session-level ones; a multivalued one has
        ``max_values`` ids for each of these values.
      inputs: The model's features, columns of ``feature_spec``.
      tasks: The tasks; each one's labels are the column of its name.
      batch_size: Impressions per batch.
      shuffle: Whether to shuffle files and sessions, anew in every epoch.
      seed: Of shuffling. The order is the same for the same files and seed.
      drop_remainder: Whether to drop an incomplete last batch, so that all shapes are fixed.
      shuffle_sessions: Sessions in the shuffle buffer.
      history: Of the inputs; needed where some of them are about earlier impressions.

    Returns:
      Pairs of ``{feature name: [batch]}`` (int64 ids or float32; `[batch, max_values]` of a
      feature with several, `[batch, length, columns]` of a history, which holds what was before
      the session and before the impression in it) and labels float32 `[batch, task]`,
      ``mtfx.datasets.labels.UNKNOWN`` where unknown.

    Raises:
      ValueError: if no file matches, or a column is missing from the spec or of a shape that is
        neither ragged nor `[1]`. While iterating, ``tf.errors.InvalidArgumentError`` if the columns
        of a session differ in length.
    """
    files = _matching_files(file_patterns)
    parse = _Parser(feature_spec, inputs, tasks, history)
    dataset = tf.data.Dataset.from_tensor_slices(files)
    if shuffle:
        dataset = dataset.shuffle(len(files), seed=seed, reshuffle_each_iteration=True)
    dataset = _read(dataset, len(files))
    if shuffle:
        dataset = dataset.shuffle(shuffle_sessions, seed=seed, reshuffle_each_iteration=True)
    dataset = dataset.batch(parse.batch).map(
        lambda sessions: parse(sessions)[:2],
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    dataset = dataset.rebatch(batch_size, drop_remainder=drop_remainder)
    # Sharding by file, TensorFlow's first choice, fails with fewer files than workers.
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return dataset.with_options(options).prefetch(tf.data.AUTOTUNE)


def load_sessions(
    file_patterns: str | Sequence[str],
    feature_spec: Mapping[str, Any],
    inputs: Sequence[InputFeature],
    tasks: Sequence[Task],
    *,
    max_impressions: int | None = None,
    history: HistoryColumns | None = None,
) -> SessionTable:
    """Reads sessions into memory.

    Histories of more than 4 GB are not kept: reading stops there, with a warning.

    Args:
      file_patterns: As for :func:`impression_batches`, as are the next three.
      feature_spec: Likewise.
      inputs: Likewise.
      tasks: Likewise.
      max_impressions: Read no further session once there are so many; sessions stay whole, and
        those of all files are read in turn.
      history: As for :func:`impression_batches`.

    Returns:
      The sessions, in the files' order.

    Raises:
      ValueError: if no file matches, the files hold no session, or a column is missing.
    """
    files = _matching_files(file_patterns)
    parse = _Parser(feature_spec, inputs, tasks, history)
    dataset = _read(tf.data.Dataset.from_tensor_slices(files), len(files)).batch(parse.batch)
    dataset = dataset.map(parse, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    size = sum(4 * f.length * f.width for f in inputs if f.is_history)
    parts, read = [], 0
    for part in dataset.prefetch(tf.data.AUTOTUNE):
        parts.append(part)
        read += int(part[1].shape[0])
        if max_impressions is not None and read >= max_impressions:
            break
        if read * size > _MOST_HISTORY_BYTES:
            logging.getLogger(__name__).warning(
                "%d impressions are kept in memory, not all: their histories take %d MB. A shorter "
                "--history-length leaves room for more",
                read,
                read * size >> 20,
            )
            break
    if not parts:
        raise ValueError(f"no session in {', '.join(files)}")
    features, labels, lengths = zip(*parts, strict=True)
    return SessionTable(
        features={
            feature.name: tf.concat([part[feature.name] for part in features], axis=0)
            for feature in inputs
        },
        labels=tf.concat(labels, axis=0),
        lengths=tf.concat(lengths, axis=0).numpy(),
    )


def _matching_files(file_patterns: str | Sequence[str]) -> list[str]:
    patterns = [file_patterns] if isinstance(file_patterns, str) else list(file_patterns)
    files = sorted({path for pattern in patterns for path in tf.io.gfile.glob(pattern)})
    if not files:
        raise ValueError(f"no session file matches {', '.join(patterns)}")
    return files


def _read(files: tf.data.Dataset, count: int) -> tf.data.Dataset:
    """Serialized sessions of ``count`` gzipped files, several read side by side."""
    return files.interleave(
        lambda path: tf.data.TFRecordDataset(path, compression_type="GZIP", buffer_size=1 << 20),
        cycle_length=min(_CYCLE_LENGTH, count),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )


class _Parser:
    """From serialized sessions to their impressions.

    Attributes:
      batch: Sessions to parse at once.
    """

    def __init__(
        self,
        feature_spec: Mapping[str, Any],
        inputs: Sequence[InputFeature],
        tasks: Sequence[Task],
        history: HistoryColumns | None,
    ) -> None:
        """Checks that the sessions have what is asked for."""
        self._inputs = tuple(feature for feature in inputs if not feature.is_history)
        if history is None and len(self._inputs) < len(inputs):
            raise ValueError(
                "the model has histories among its inputs, whose columns are not given"
            )
        self._tasks, self._history = tuple(tasks), history
        self._shapes = {feature.name: feature.shape for feature in self._inputs}
        self._sizes = {feature.name: feature.max_values for feature in self._inputs}
        labels = [task.name for task in tasks]
        wanted = dict.fromkeys([*self._shapes, *labels])
        self._columns = {name: self._column(feature_spec, name) for name in wanted}
        if not any(isinstance(self._columns[name], tf.io.RaggedFeature) for name in labels):
            raise ValueError("no task has a label per impression")
        self._past: dict[str, Any] = {}
        self._times: tuple[str, ...] = ()
        if history is not None:
            known = (name for name in (_TIME, history_data.FEEDBACK_MS) if name in feature_spec)
            self._times = tuple(known) or (_TIME,)
            own = dict.fromkeys([*history.names, *self._times])
            for name in (*own, *(history_data.PREFIX + name for name in own)):
                self._past[name] = self._column(feature_spec, name)
        self.batch = _PARSE_BATCH if history is None else _PARSE_BATCH_WITH_HISTORY

    def _column(self, feature_spec: Mapping[str, Any], name: str) -> Any:
        if name not in feature_spec:
            raise ValueError(
                f"the transformed examples have no column {name!r}; "
                f"they have: {', '.join(sorted(feature_spec))}"
            )
        column = feature_spec[name]
        ragged = isinstance(column, tf.io.RaggedFeature)
        size = self._sizes.get(name, 1)
        if not ragged and not (
            isinstance(column, tf.io.FixedLenFeature) and list(column.shape) == [size]
        ):
            raise ValueError(
                f"column {name!r} must be ragged (a value per impression) or of shape "
                f"[{size}] (a value per session), but is {column}"
            )
        return column

    def __call__(self, sessions: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
        """Parses serialized sessions and concatenates their impressions; also their lengths."""
        parsed = tf.io.parse_example(sessions, {**self._columns, **self._past})
        ragged = [name for name in self._columns if isinstance(parsed[name], tf.RaggedTensor)]
        # Transform's ragged columns carry their lengths as they come or partitioned once more.
        flat = {
            name: tf.reshape(parsed[name].flat_values, [-1, *self._shapes.get(name, ())])
            for name in ragged
        }
        lengths = {name: _lengths(parsed[name]) // self._sizes.get(name, 1) for name in ragged}
        reference = next(task.name for task in self._tasks if task.name in lengths)
        checks = [
            tf.debugging.assert_equal(
                lengths[name],
                lengths[reference],
                message=f"columns {name} and {reference} of a session differ in length",
            )
            for name in ragged
        ]
        with tf.control_dependencies(checks):
            repeats = tf.identity(lengths[reference])
        sessions_of_rows = tf.repeat(tf.range(tf.size(repeats)), repeats)
        values = {
            name: flat[name]
            if name in flat
            else tf.gather(
                tf.reshape(parsed[name], [-1, *self._shapes.get(name, ())]), sessions_of_rows
            )
            for name in self._columns
        }
        features = {f.name: tf.cast(values[f.name], f.dtype) for f in self._inputs}
        if self._history is not None:
            features |= self._histories(self._history, parsed)
        labels = tf.stack([tf.cast(values[task.name], tf.float32) for task in self._tasks], axis=1)
        with tf.control_dependencies(checks):
            features = {name: tf.identity(value) for name, value in features.items()}
            return features, tf.identity(labels), repeats

    def _histories(
        self, history: HistoryColumns, parsed: Mapping[str, Any]
    ) -> dict[str, tf.Tensor]:
        """What was before each impression, in the session and before it."""

        def flat(prefix: str) -> dict[str, tf.Tensor]:
            return {name: parsed[prefix + name].flat_values for name in history.names}

        def times(prefix: str) -> tf.RaggedTensor:
            column = parsed[prefix + _TIME]
            return tf.RaggedTensor.from_row_lengths(
                column.flat_values, _lengths(column), validate=False
            )

        came = None
        if history_data.FEEDBACK_MS in self._times:
            came = tuple(
                parsed[prefix + history_data.FEEDBACK_MS].flat_values
                for prefix in (history_data.PREFIX, "")
            )
        return history.before_each_impression(
            history.pack(flat(history_data.PREFIX)),
            times(history_data.PREFIX),
            history.pack(flat("")),
            times(""),
            came,
        )


def _lengths(column: tf.RaggedTensor) -> tf.Tensor:
    """Number of values per example, int64 `[example]`, whatever the ragged rank."""
    while column.ragged_rank > 1:
        column = column.merge_dims(-2, -1)
    return column.row_lengths()


def table_batches(
    table: SessionTable, batch_size: int, *, shuffle: bool, seed: int
) -> tf.data.Dataset:
    """Batches of impressions, as those of :func:`mtfx.trainers.ranking.input.impression_batches`.

    For training that passes over the same sessions many times: they are parsed once. What is
    shuffled is sessions, all of them, and their impressions stay together.

    Args:
      table: The sessions.
      batch_size: Impressions per batch; the last may have fewer.
      shuffle: Whether to shuffle the sessions, anew in every epoch.
      seed: Of shuffling.

    Returns:
      Pairs of ``{feature name: [batch]}`` (int64 ids or float32; `[batch, max_values]` of a
      multivalued feature) and labels float32 `[batch, task]`.
    """
    starts = np.concatenate([[0], np.cumsum(table.lengths)[:-1]])
    spans = tf.constant(np.stack([starts, starts + table.lengths], axis=1), tf.int64)

    def rows(sessions: tf.Tensor) -> tf.Tensor:
        chosen = tf.gather(spans, sessions)
        return tf.ragged.range(chosen[:, 0], chosen[:, 1]).flat_values

    def impressions(chosen: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        features = {name: tf.gather(column, chosen) for name, column in table.features.items()}
        return features, tf.gather(table.labels, chosen)

    sessions = tf.data.Dataset.range(table.num_sessions)
    if shuffle:
        sessions = sessions.shuffle(table.num_sessions, seed=seed, reshuffle_each_iteration=True)
    listed = sessions.batch(_SESSIONS).map(rows).rebatch(batch_size)
    return listed.map(
        impressions, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    ).prefetch(tf.data.AUTOTUNE)
