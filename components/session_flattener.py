"""SessionFlattener: session examples to one example per impression, the Evaluator's view."""

# What TFX's decorator takes for a component's interface are no types to a type checker.
# pyright: reportInvalidTypeArguments=false, reportArgumentType=false

import os
from typing import Any, NamedTuple

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

from mtfx.components.session_schema import longest_history
from mtfx.datasets import history
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
      schema: Their schema; columns with a ragged representation are impression-level, but for
        lists of earlier impressions, whose longest it names.

    Returns:
      Serialized ``tf.Example`` protos in which every list has one value: impression-level columns
      their own, session-level columns the session's, and ``session_length`` (int64) the number of
      impressions of the whole session. Lists of earlier impressions are those of the impression:
      what was before its session, then what was before it in the session, the last of both.
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
    by_name = dict(zip(batch.schema.names, batch.columns, strict=True))
    past = {name for name in by_name if name.startswith(history.PREFIX)}
    for name, column in by_name.items():
        if name not in past:
            values = column.flatten()
            columns[name] = values if name in ragged else values.take(pa.array(session_of))
    lists = {name: pa.ListArray.from_arrays(offsets, values) for name, values in columns.items()}
    if past:
        length = longest_history(schema)
        window = _windows(by_name[history.TIME], by_name["timestamp_ms"], length)
        for name in sorted(past):
            own = by_name[history.source_of(name)].flatten()
            joined = pa.concat_arrays([by_name[name].flatten().cast(own.type), own])
            lists[name] = pa.ListArray.from_arrays(window.offsets, joined.take(window.rows))
    table = pa.RecordBatch.from_arrays(list(lists.values()), list(lists))
    return example_coder.RecordBatchToExamples(table)


class _Windows(NamedTuple):
    """Rows before each impression, oldest first: of all past rows followed by all own rows."""

    offsets: pa.Array
    rows: pa.Array


def _windows(past: pa.Array, own: pa.Array, length: int) -> _Windows:
    """What each impression sees of the past.

    Args:
      past: Times in ms of the impressions before each session, oldest first.
      own: Of the session's own, in order.
      length: How many an impression keeps, the latest.
    """
    before, within = (np.asarray(column.value_lengths()) for column in (past, own))
    past_times, own_times = (np.asarray(column.flatten(), np.int64) for column in (past, own))
    sessions = np.arange(len(within))
    session = np.concatenate([np.repeat(sessions, before), np.repeat(sessions, within)])
    times = np.concatenate([past_times, own_times])
    order = np.argsort(session, kind="stable")
    starts = np.cumsum(before + within) - (before + within)
    # Times of all sessions on one ascending axis.
    span = int(times.max(initial=0)) + 1
    axis = session[order] * span + times[order]
    row = np.repeat(sessions, within)
    ends = np.searchsorted(axis, row * span + own_times, side="left")
    begins = np.maximum(starts[row], ends - length)
    kept = ends - begins
    offsets = np.concatenate([[0], np.cumsum(kept)])
    places = np.arange(offsets[-1]) - np.repeat(offsets[:-1] - begins, kept)
    return _Windows(pa.array(offsets.astype(np.int32)), pa.array(order[places]))
