"""SessionFlattener: session examples to one example per impression, the Evaluator's view."""

# What TFX's decorator takes for a component's interface are no types to a type checker.
# pyright: reportInvalidTypeArguments=false, reportArgumentType=false

import os
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.components.util import examples_utils
from tfx.dsl.component.experimental.annotations import (
    BeamComponentParameter,
    InputArtifact,
    OutputArtifact,
    Parameter,
)
from tfx.dsl.component.experimental.decorators import component
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import io_utils
from tfx_bsl.coders import example_coder
from tfx_bsl.public import tfxio

from mtfx.datasets.file_names import literal

SESSION_LENGTH = "session_length"


@component(use_beam=True)
def SessionFlattener(  # noqa: N802 (TFX names a component by its function)
    examples: InputArtifact[standard_artifacts.Examples],
    schema: InputArtifact[standard_artifacts.Schema],
    impressions: OutputArtifact[standard_artifacts.Examples],
    split: Parameter[str] = "test",
    beam_pipeline: BeamComponentParameter[beam.Pipeline] = None,
):
    """Writes one ``tf.Example`` per impression, with the length of its session.

    TensorFlow Model Analysis cannot pair ragged predictions with ragged labels, so the Evaluator
    reads this view; ``session_length`` weighs an impression where a metric is a mean over
    sessions. The examples keep the session examples' columns, each list with one value, so a
    model that reads sessions reads them too (as sessions of one impression).

    Args:
      examples: Session examples.
      schema: Their schema.
      impressions: With the same split and span.
      split: The split to flatten.
      beam_pipeline: TFX's, which runs when it is left.
    """
    read = io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(schema.uri))
    pattern = os.path.join(literal(artifact_utils.get_split_uri([examples], split)), "*")
    impressions.split_names = artifact_utils.encode_split_names([split])
    target = artifact_utils.get_split_uri([impressions], split)
    pipeline: Any = beam_pipeline
    with pipeline as stages:
        _ = (
            stages
            | f"Read[{split}]"
            >> tfxio.TFExampleRecord(pattern, schema=read).BeamSource(batch_size=4096)
            | f"Flatten[{split}]" >> beam.FlatMap(flatten_batch, read)
            | f"Write[{split}]"
            >> beam.io.WriteToTFRecord(
                os.path.join(target, "data_tfrecord"), file_name_suffix=".gz"
            )
        )
    impressions.span = examples.span
    examples_utils.set_payload_format(impressions, example_gen_pb2.FORMAT_TF_EXAMPLE)
    examples_utils.set_file_format(impressions, "tfrecords_gzip")


def flatten_batch(batch: pa.RecordBatch, schema: schema_pb2.Schema) -> list[bytes]:
    """One serialized example per impression.

    Args:
      batch: Session examples, each column a list array.
      schema: Their schema; columns with a ragged representation are impression-level.

    Returns:
      Serialized ``tf.Example`` protos in which every list has one value: impression-level columns
      their own, session-level columns the session's, and ``session_length`` (int64) the number of
      impressions of the whole session.
    """
    ragged = {
        name
        for name, representation in schema.tensor_representation_group[
            ""
        ].tensor_representation.items()
        if representation.HasField("ragged_tensor")
    }
    lengths = np.asarray(batch.column("timestamp_ms").value_lengths())
    session_of = np.repeat(np.arange(len(lengths)), lengths)
    offsets = pa.array(np.arange(len(session_of) + 1, dtype=np.int32))
    columns = {SESSION_LENGTH: pa.array(lengths[session_of].astype(np.int64))}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        values = column.flatten()
        columns[name] = values if name in ragged else values.take(pa.array(session_of))
    lists = [pa.ListArray.from_arrays(offsets, values) for values in columns.values()]
    return example_coder.RecordBatchToExamples(pa.RecordBatch.from_arrays(lists, list(columns)))
