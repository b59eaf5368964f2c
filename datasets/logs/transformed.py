"""Splits of raw session examples as Transform would have written them.

Transform writes the splits that models are trained with. What it learned can be applied to another
one later: the same graph runs here, and the file has the same columns.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_transform import impl_helper
from tfx_bsl.coders import example_coder

from mtfx.datasets.file_names import literal

#: Sessions that are transformed at once.
_SESSIONS = 512


def split_files(examples: str, split: str) -> list[str]:
    """The files of a split, in order.

    Args:
      examples: URI of an Examples artifact.
      split: Name of the split.

    Raises:
      ValueError: if it has none.
    """
    pattern = os.path.join(literal(examples), f"Split-{split}", "*.gz")
    files = sorted(tf.io.gfile.glob(pattern))
    if not files:
        raise ValueError(f"no session file matches {pattern}")
    return files


def write_transformed(
    files: Sequence[str], transform_output: tft.TFTransformOutput, path: str | os.PathLike[str]
) -> int:
    """Transforms session examples into one file.

    Args:
      files: Gzipped TFRecord files of raw session examples.
      transform_output: Transform's output: graph and schemas.
      path: The file to write, a gzipped TFRecord of transformed session examples, in the order of
        ``files``.

    Returns:
      Number of sessions.

    Raises:
      ValueError: if there is no session.
    """
    spec = transform_output.raw_feature_spec()
    layer = transform_output.transform_features_layer()
    # Traced once for batches of any size, the last one's too.
    transform = tf.function(
        lambda records: layer(tf.io.parse_example(records, spec)),
        input_signature=[tf.TensorSpec([None], tf.string)],
        autograph=False,
    )
    schema = transform_output.transformed_metadata.schema
    converter = impl_helper.make_tensor_to_arrow_converter(schema)
    encoder = example_coder.RecordBatchToExamplesEncoder(schema)
    sessions = 0
    records = tf.data.TFRecordDataset(list(files), compression_type="GZIP", buffer_size=1 << 20)
    with tf.io.TFRecordWriter(os.fspath(path), tf.io.TFRecordOptions("GZIP")) as writer:
        for batch in records.batch(_SESSIONS).prefetch(2):
            for example in encoder.encode(converter.convert(transform(batch))):
                writer.write(example)
                sessions += 1
    if not sessions:
        raise ValueError(f"no session in {', '.join(files)}")
    return sessions
