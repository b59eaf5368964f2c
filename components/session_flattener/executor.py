"""Executor of SessionFlattener."""

from __future__ import annotations

import os
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils
from tfx.utils import io_utils, json_utils
from tfx_bsl.coders import example_coder
from tfx_bsl.public import tfxio

from mtfx.datasets.file_names import literal

SESSION_LENGTH = "session_length"


class Executor(base_beam_executor.BaseBeamExecutor):
    """See the component."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list],
        output_dict: dict[str, list],
        exec_properties: dict[str, Any],
    ) -> None:
        """Flattens the chosen splits of an Examples artifact; see the component."""
        self._log_startup(input_dict, output_dict, exec_properties)
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        flattened = artifact_utils.get_single_instance(output_dict["impressions"])
        schema = io_utils.SchemaReader().read(
            io_utils.get_only_uri_in_dir(artifact_utils.get_single_uri(input_dict["schema"]))
        )
        splits: list[str] = json_utils.loads(exec_properties["splits"])
        flattened.split_names = artifact_utils.encode_split_names(splits)
        with self._make_beam_pipeline() as pipeline:
            for split in splits:
                uri = artifact_utils.get_split_uri([examples], split)
                pattern = os.path.join(literal(uri), "*")
                target = artifact_utils.get_split_uri([flattened], split)
                _ = (
                    pipeline
                    | f"Read[{split}]"
                    >> tfxio.TFExampleRecord(pattern, schema=schema).BeamSource(batch_size=4096)
                    | f"Flatten[{split}]" >> beam.FlatMap(flatten_batch, schema)
                    | f"Write[{split}]"
                    >> beam.io.WriteToTFRecord(
                        os.path.join(target, "data_tfrecord"), file_name_suffix=".gz"
                    )
                )
        flattened.span = examples.span
        examples_utils.set_payload_format(flattened, example_gen_pb2.FORMAT_TF_EXAMPLE)
        examples_utils.set_file_format(flattened, "tfrecords_gzip")


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
