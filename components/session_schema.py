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
from mtfx.datasets import history
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


def build_schema(
    spec: DatasetSpec, history_length: int = history.DEFAULT_LENGTH
) -> schema_pb2.Schema:
    """The schema of the examples that SessionExampleGen writes for a data set.

    Session-level columns have exactly one value per example. Impression-level columns have at
    least one and are ragged, lists of earlier impressions likewise, but may be empty; binary labels
    are 0 or 1, numbers are finite, times positive, statistics not negative. Labels that may be
    unknown are ``mtfx.datasets.labels.UNKNOWN`` where they are.

    Args:
      spec: The data set.
      history_length: The longest list of earlier impressions; 0: there are none.
    """
    schema = schema_pb2.Schema()
    session_level = session_level_columns(spec)
    lists = history.history_columns(spec) if history_length else {}
    least = _least(spec)
    binary = {task.name for task in spec.tasks if task.kind == "binary"}
    representations = schema.tensor_representation_group[""].tensor_representation
    for name, dtype in sorted(column_types(spec, history_length).items()):
        feature = schema.feature.add(name=name, type=_TYPES[dtype])
        if name in lists:
            feature.value_count.min, feature.value_count.max = 0, history_length
        else:
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
            if name in least:
                feature.float_domain.min = float(least[name])
        elif name in _RANGES:
            feature.int_domain.min, feature.int_domain.max = _RANGES[name]
        elif name in least:
            feature.int_domain.min = least[name]
        if (history.source_of(name) if name in lists else name) in binary:
            feature.int_domain.max = 1
            # Statistics then count its values, and drift is a change of their shares.
            feature.int_domain.is_categorical = name in binary
    return schema


def _least(spec: DatasetSpec) -> dict[str, int]:
    """The smallest value of every column of numbers that has one."""
    least = dict.fromkeys(("timestamp_ms", SESSION_START, "step"), 0)
    least |= {task.name: UNKNOWN if task.may_be_unknown else 0 for task in spec.tasks}
    bounds = {history.WATCH_SHARE: UNKNOWN, history.FEEDBACK_MS: 0}
    least |= {name: bounds[name] for name in history.impression_columns(spec)}
    least |= dict.fromkeys(history.statistic_columns(spec), 0)
    sources = {name: history.source_of(name) for name in history.history_columns(spec)}
    return least | {name: least[source] for name, source in sources.items() if source in least}


def longest_history(schema: schema_pb2.Schema) -> int:
    """Earlier impressions of a session at most, of sessions of a schema; 0 if they have none.

    Where a curated schema does not say it, ``mtfx.datasets.history.DEFAULT_LENGTH``.
    """
    for feature in schema.feature:
        if feature.name == history.TIME:
            return feature.value_count.max or history.DEFAULT_LENGTH
    return 0


def column_types(
    spec: DatasetSpec, history_length: int = history.DEFAULT_LENGTH
) -> dict[str, Dtype]:
    """Type of every column of the session examples: ``int64``, ``string`` or ``float32``.

    Args:
      spec: The data set.
      history_length: As for :func:`build_schema`.
    """
    types: dict[str, Dtype] = {
        c.name: c.dtype for c in spec.all_columns if c.role not in ("event", "session")
    }
    types.update({"hour": "int64", "day_of_week": "int64", "step": "int64"})
    types.update({"step_bucket": "string", "session_id": "string", SESSION_START: "int64"})
    for task in spec.tasks:
        types.setdefault(task.name, "int64" if task.kind == "binary" else "float32")
    added = history.impression_columns(spec)
    if not history_length:
        added.pop(history.WATCH_SHARE, None)
    types.update({**added, **history.statistic_columns(spec)})
    return {**types, **(history.history_columns(spec) if history_length else {})}
