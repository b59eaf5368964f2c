"""Raw session examples as a frame of impressions, and their features as models take them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import tensorflow as tf
import tensorflow_transform as tft

from mtfx.datasets.history import PREFIX, TIME
from mtfx.datasets.spec import DatasetSpec
from mtfx.errors import DataError

#: Column with the number of the session in the frame.
SESSION = "session"
_SESSIONS = 512
_ROWS = 65_536
_DTYPES = {"int64": tf.int64, "string": tf.string, "float32": tf.float32}


def read_raw_impressions(
    patterns: str | Sequence[str],
    transform_output: tft.TFTransformOutput,
    *,
    max_impressions: int | None = None,
) -> pl.DataFrame:
    """Reads the session examples that SessionExampleGen writes.

    Args:
      patterns: Globs of gzipped TFRecord files.
      transform_output: Transform's output, whose raw schema says what an example holds.
      max_impressions: Read no further once this number is reached; sessions stay whole.

    Returns:
      One row per impression, sessions one after the other: every column of the examples but the
      lists of earlier impressions, and ``session``, numbered from 0.

    Raises:
      ValueError: if no file matches or the files hold no session.
    """
    globs = [patterns] if isinstance(patterns, str) else list(patterns)
    files = sorted({path for glob in globs for path in tf.io.gfile.glob(glob)})
    if not files:
        raise ValueError(f"no session file matches {', '.join(globs)}")
    spec = transform_output.raw_feature_spec()
    if TIME in spec:
        spec = {name: kind for name, kind in spec.items() if not name.startswith(PREFIX)}
    records = tf.data.TFRecordDataset(files, compression_type="GZIP", buffer_size=1 << 20)
    dataset = records.batch(_SESSIONS).map(
        lambda batch: tf.io.parse_example(batch, spec), num_parallel_calls=tf.data.AUTOTUNE
    )
    parts: list[pl.DataFrame] = []
    rows = sessions = 0
    for parsed in dataset.prefetch(2):
        part, count = _frame(parsed, sessions)
        parts.append(part)
        rows, sessions = rows + part.height, sessions + count
        if max_impressions is not None and rows >= max_impressions:
            break
    if not parts:
        raise ValueError(f"no session in {', '.join(files)}")
    return pl.concat(parts)


def _frame(parsed: dict[str, Any], first_session: int) -> tuple[pl.DataFrame, int]:
    lengths = parsed["timestamp_ms"].row_lengths().numpy()
    session_of = np.repeat(np.arange(len(lengths)), lengths)
    columns = {SESSION: pl.Series(session_of + first_session)}
    for name, value in parsed.items():
        if isinstance(value, tf.RaggedTensor):
            values = value.flat_values.numpy()
        else:
            values = value.numpy()[:, 0][session_of]
        if values.dtype == object:
            columns[name] = pl.Series(values.tolist(), dtype=pl.Binary).cast(pl.String)
        else:
            columns[name] = pl.Series(values)
    return pl.DataFrame(columns), len(lengths)


class FeatureTransform:
    """Applies Transform's graph to rows of raw features."""

    def __init__(self, transform_output: tft.TFTransformOutput, spec: DatasetSpec) -> None:
        """Loads the graph."""
        self._layer = transform_output.transform_features_layer()
        self._spec = spec
        signature = {
            feature.name: tf.TensorSpec([None], _DTYPES[feature.dtype]) for feature in spec.features
        }
        # One trace for any number of rows: tracing the graph takes seconds.
        self._apply = tf.function(self._transformed, input_signature=[signature], autograph=False)

    def __call__(self, frame: pl.DataFrame) -> dict[str, np.ndarray]:
        """The features of each row.

        Args:
          frame: With a column for every feature of the data set.

        Returns:
          By feature, `[n]`: int64 ids or float32 values; of a multivalued one `[n, max_values]`.

        Raises:
          ValueError: if the frame has no row.
          DataError: if it lacks the column of a feature.
        """
        if not frame.height:
            raise ValueError("there are no rows to transform")
        parts = [
            {
                name: value.numpy()
                for name, value in self._apply(raw_features(part, self._spec)).items()
            }
            for part in frame.iter_slices(_ROWS)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _transformed(self, raw: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        rows = {
            feature.name: tf.expand_dims(raw[feature.name], 1)
            if feature.level == "session"
            else tf.RaggedTensor.from_uniform_row_length(raw[feature.name], 1)
            for feature in self._spec.features
        }
        transformed = self._layer(rows)
        flat = {}
        for feature in self._spec.features:
            value = transformed[feature.name]
            value = value.flat_values if isinstance(value, tf.RaggedTensor) else value
            kind = tf.float32 if feature.kind == "numeric" else tf.int64
            shape = [-1, feature.max_values] if feature.kind == "multivalued" else [-1]
            flat[feature.name] = tf.cast(tf.reshape(value, shape), kind)
        return flat


def raw_features(frame: pl.DataFrame, spec: DatasetSpec) -> dict[str, tf.Tensor]:
    """A frame's features as tensors `[n]` of the data set's types, as Transform takes them.

    Raises:
      DataError: if the frame lacks the column of a feature.
    """
    if lacking := [f.name for f in spec.features if f.name not in frame.columns]:
        files = ", ".join((*spec.log_files, *spec.random_log_files))
        raise DataError(
            f"data set {spec.name} ({files}): the impressions have no column "
            f"{', '.join(map(repr, lacking))}, which the data set declares as a feature; they "
            f"have: {', '.join(frame.columns)}. Add it to the log or a side table, or take it "
            "out of the data set's features, and run `mtfx ranking` anew"
        )
    return {
        feature.name: tf.constant(
            frame[feature.name].to_list()
            if feature.dtype == "string"
            else frame[feature.name].to_numpy(),
            _DTYPES[feature.dtype],
        )
        for feature in spec.features
    }
