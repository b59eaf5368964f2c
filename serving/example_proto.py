"""The message ``tf.Example`` without TensorFlow, for programs that only ask for rankings.

TensorFlow's own generated class imports all of TensorFlow. This one is built from the same
definition (tensorflow/core/example/example.proto and feature.proto) when it is first used, in a
pool of its own, so that both classes can live in one process; their bytes are the same.
"""

from __future__ import annotations

import functools
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "mtfx.serving"
_FIELD = descriptor_pb2.FieldDescriptorProto
#: By message, its fields: name, number, type, whether repeated.
_LISTS = {
    "BytesList": _FIELD.TYPE_BYTES,
    "FloatList": _FIELD.TYPE_FLOAT,
    "Int64List": _FIELD.TYPE_INT64,
}
#: By type of a column, the field of ``Feature`` that holds its values.
KINDS = {"string": "bytes_list", "float32": "float_list", "int64": "int64_list"}


@functools.cache
def example_class() -> Any:
    """The class of the message."""
    file = descriptor_pb2.FileDescriptorProto(
        name="mtfx/serving/example.proto", package=_PACKAGE, syntax="proto3"
    )
    for name, kind in _LISTS.items():
        _add(file.message_type.add(name=name), "value", 1, kind, repeated=True)
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, (name, field) in enumerate(zip(_LISTS, KINDS.values(), strict=True), start=1):
        _add(feature, field, number, _FIELD.TYPE_MESSAGE, message_name=name).oneof_index = 0
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    _add(entry, "key", 1, _FIELD.TYPE_STRING)
    _add(entry, "value", 2, _FIELD.TYPE_MESSAGE, message_name="Feature")
    _add(features, "feature", 1, _FIELD.TYPE_MESSAGE, True, "Features.FeatureEntry")
    _add(
        file.message_type.add(name="Example"),
        "features",
        1,
        _FIELD.TYPE_MESSAGE,
        message_name="Features",
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    descriptor = pool.FindMessageTypeByName(f"{_PACKAGE}.Example")
    get = getattr(message_factory, "GetMessageClass", None)
    # Protobuf 3.20, which TensorFlow of one lane needs, has the older way alone.
    return get(descriptor) if get else message_factory.MessageFactory(pool).GetPrototype(descriptor)


def _add(
    message: Any, name: str, number: int, kind: int, repeated: bool = False, message_name: str = ""
) -> Any:
    label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
    field = message.field.add(name=name, number=number, type=kind, label=label)
    if message_name:
        field.type_name = f".{_PACKAGE}.{message_name}"
    return field
