"""A schema that the pipeline carries in itself: no file has to lie where every pod can read it."""

# What TFX's decorator takes for a component's interface are no types to a type checker.
# pyright: reportInvalidTypeArguments=false, reportArgumentType=false

import os

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.components.schema_gen.executor import DEFAULT_FILE_NAME
from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts
from tfx.utils import io_utils


@component
def InlineSchemaGen(  # noqa: N802 (TFX names a component by its function)
    text: Parameter[str],
    schema: OutputArtifact[standard_artifacts.Schema],
):
    """Writes a schema.

    Args:
      text: The schema as a text protobuf.
      schema: As ImportSchemaGen writes it.

    Raises:
      google.protobuf.text_format.ParseError: if the text is no schema.
    """
    text_format.Parse(text, schema_pb2.Schema())
    io_utils.write_string_file(os.path.join(schema.uri, DEFAULT_FILE_NAME), text)
