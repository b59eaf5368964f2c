"""The curated schema of session examples, from a data set's description, and a stage that has it.

An inferred schema would read the impression-level lists as sparse; here they are declared ragged,
so that TensorFlow Transform hands them on as ``tf.RaggedTensor``.
"""

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

from mtfx.components.session_example_gen.encoding import SESSION_START, session_level_columns
from mtfx.datasets.columns import Dtype
from mtfx.datasets.labels import UNKNOWN
from mtfx.datasets.spec import DatasetSpec

_TYPES = {"int64": schema_pb2.INT, "string": schema_pb2.BYTES, "float32": schema_pb2.FLOAT}
_RANGES = {"hour": (0, 23), "day_of_week": (0, 6)}


@component
def InlineSchemaGen(  # noqa: N802 (TFX names a component by its function)
    text: Parameter[str],
    schema: OutputArtifact[standard_artifacts.Schema],
):
    """Writes a schema that the pipeline carries in itself.

    ImportSchemaGen reads a file, which has to lie where every pod can read it, and whose content
    the cache does not look at.

    Args:
      text: The schema as a text protobuf.
      schema: As ImportSchemaGen writes it.

    Raises:
      google.protobuf.text_format.ParseError: if the text is no schema.
    """
    text_format.Parse(text, schema_pb2.Schema())
    io_utils.write_string_file(os.path.join(schema.uri, DEFAULT_FILE_NAME), text)


def build_schema(spec: DatasetSpec) -> schema_pb2.Schema:
    """The schema of the examples that SessionExampleGen writes for a data set.

    Session-level columns have exactly one value per example. Impression-level columns have at
    least one and are ragged; binary labels are 0 or 1, numbers are finite, times positive. Labels
    that may be unknown are ``mtfx.datasets.labels.UNKNOWN`` where they are.
    """
    least = {task.name: UNKNOWN if task.may_be_unknown else 0 for task in spec.tasks}
    schema = schema_pb2.Schema()
    session_level = session_level_columns(spec)
    representations = schema.tensor_representation_group[""].tensor_representation
    for name, dtype in sorted(column_types(spec).items()):
        feature = schema.feature.add(name=name, type=_TYPES[dtype])
        feature.presence.min_fraction = 1.0
        feature.value_count.min = 1
        if name in session_level:
            feature.value_count.max = 1
            representations[name].dense_tensor.column_name = name
            representations[name].dense_tensor.shape.dim.add(size=1)
        else:
            representations[name].ragged_tensor.feature_path.step.append(name)
        if dtype == "float32":
            feature.float_domain.disallow_nan = True
            feature.float_domain.disallow_inf = True
        elif name in _RANGES:
            feature.int_domain.min, feature.int_domain.max = _RANGES[name]
        elif name in ("timestamp_ms", SESSION_START, "step"):
            feature.int_domain.min = 0
        if name in {task.name for task in spec.tasks if task.kind == "binary"}:
            feature.int_domain.min, feature.int_domain.max = least[name], 1
            # Statistics then count its values, and drift is a change of their shares.
            feature.int_domain.is_categorical = True
        if name in {task.name for task in spec.tasks if task.kind == "regression"}:
            if dtype == "float32":
                feature.float_domain.min = float(least[name])
            else:
                feature.int_domain.min = least[name]
    return schema


def column_types(spec: DatasetSpec) -> dict[str, Dtype]:
    """Type of every column of the session examples: ``int64``, ``string`` or ``float32``."""
    types: dict[str, Dtype] = {
        c.name: c.dtype for c in spec.all_columns if c.role not in ("event", "session")
    }
    types.update({"hour": "int64", "day_of_week": "int64", "step": "int64"})
    types.update({"step_bucket": "string", "session_id": "string", SESSION_START: "int64"})
    for task in spec.tasks:
        types.setdefault(task.name, "int64" if task.kind == "binary" else "float32")
    return types
