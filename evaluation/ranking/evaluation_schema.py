"""The schema of what an evaluation reads of an impression.

The model parses the serialized example by itself. TFMA needs the labels, the session's length and
the slicing columns only, but without a schema it decodes every feature of every impression, which
takes about as long as all the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tensorflow_metadata.proto.v0 import schema_pb2

from mtfx.datasets.columns import Dtype
from mtfx.datasets.spec import Task
from mtfx.evaluation.ranking.statistics_combiner import SESSION_LENGTH

_TYPES = {"int64": schema_pb2.INT, "string": schema_pb2.BYTES, "float32": schema_pb2.FLOAT}


def build_evaluation_schema(
    tasks: Sequence[Task], slices: Mapping[str, Dtype]
) -> schema_pb2.Schema:
    """Builds the schema to give to TFX's ``Evaluator``; every feature has exactly one value.

    Args:
      tasks: The model's tasks; their labels are int64 if binary, else float32.
      slices: The slicing columns and their types.
    """
    types: dict[str, Dtype] = {SESSION_LENGTH: "int64", **slices}
    types.update({task.name: "int64" if task.kind == "binary" else "float32" for task in tasks})
    schema = schema_pb2.Schema()
    for name, dtype in sorted(types.items()):
        feature = schema.feature.add(name=name, type=_TYPES[dtype])
        feature.presence.min_fraction = 1.0
        feature.shape.dim.add(size=1)
    return schema
