"""The .proto for other languages has TensorFlow's own numbers and types."""

import re
from pathlib import Path

import pytest
from google.protobuf.descriptor import FieldDescriptor
from tensorflow.core.example import example_pb2, feature_pb2
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2, types_pb2
from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_service_pb2

PROTO = Path(__file__).resolve().parents[2] / "serving" / "proto" / "ranker.proto"
_TOKEN = re.compile(r'"[^"]*"|[A-Za-z_][\w.]*|\d+|[{}()<>=;,]')
_KINDS = {
    getattr(FieldDescriptor, f"TYPE_{name.upper()}"): name
    for name in ("double", "float", "int32", "int64", "bool", "string", "bytes")
}
INSTALLED = {
    "ModelSpec": model_pb2.ModelSpec,
    "PredictRequest": predict_pb2.PredictRequest,
    "PredictResponse": predict_pb2.PredictResponse,
    "TensorShapeProto": tensor_shape_pb2.TensorShapeProto,
    "TensorShapeProto.Dim": tensor_shape_pb2.TensorShapeProto.Dim,
    "TensorProto": tensor_pb2.TensorProto,
    "Example": example_pb2.Example,
    "Features": feature_pb2.Features,
    "Feature": feature_pb2.Feature,
    "BytesList": feature_pb2.BytesList,
    "FloatList": feature_pb2.FloatList,
    "Int64List": feature_pb2.Int64List,
}


class Parsed:
    """What a .proto of proto3 declares: no more of the language than the file needs.

    Attributes:
      package: Its package.
      messages: By name, each field's name with number, type, whether repeated, and its oneof.
      enums: By name, each value's number.
      methods: Of each service, by method: request and response.
    """

    def __init__(self, text):
        self._tokens = _TOKEN.findall(re.sub(r"//.*", "", text))
        self.package, self.messages, self.enums, self.methods = "", {}, {}, {}
        while self._tokens:
            keyword = self._tokens.pop(0)
            if keyword in ("syntax", "import", "option"):
                self._until(";")
            elif keyword == "package":
                [self.package] = self._until(";")
            elif keyword == "message":
                self._message(self._tokens.pop(0))
            elif keyword == "enum":
                name, body = self._tokens.pop(0), self._until("}")
                self.enums[name] = {body[at - 1]: int(body[at + 1]) for at in _places(body, "=")}
            else:
                assert keyword == "service", keyword
                name, body = self._tokens.pop(0), self._until("}")
                self.methods[name] = {
                    body[at + 1]: (body[at + 3], body[at + 7]) for at in _places(body, "rpc")
                }

    def _message(self, name):
        assert self._tokens.pop(0) == "{"
        fields = self.messages[name] = {}
        oneof = None
        while (token := self._tokens.pop(0)) != "}" or oneof:
            if token == "}":
                oneof = None
            elif token == "oneof":
                oneof, _ = self._tokens.pop(0), self._tokens.pop(0)
            elif token == "message":
                self._message(f"{name}.{self._tokens.pop(0)}")
            else:
                *declared, field, _, number = [token, *self._until(";")]
                repeated = declared[0] in ("repeated", "map")
                kind = "".join(declared[1:] if declared[0] == "repeated" else declared)
                fields[field] = (int(number), kind, repeated, oneof)

    def _until(self, end):
        at = self._tokens.index(end)
        found, self._tokens = self._tokens[:at], self._tokens[at + 1 :]
        return found


def _places(tokens, wanted):
    return [at for at, token in enumerate(tokens) if token == wanted]


@pytest.fixture(scope="module")
def parsed():
    return Parsed(PROTO.read_text(encoding="utf-8"))


def kind(field):
    """A field's type, as a .proto of one package writes it."""
    if field.type == FieldDescriptor.TYPE_ENUM:
        return field.enum_type.name
    if field.type != FieldDescriptor.TYPE_MESSAGE:
        return _KINDS.get(field.type, "another type")
    if field.message_type.GetOptions().map_entry:
        key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
        return f"map<{kind(key)},{kind(value)}>"
    whole = field.message_type.full_name
    return whole if whole.startswith("google.") else field.message_type.name


def test_every_message_is_compared(parsed):
    assert set(parsed.messages) == set(INSTALLED)


@pytest.mark.parametrize("name", INSTALLED)
def test_fields_have_the_numbers_and_types_of_the_installed_messages(parsed, name):
    descriptor = INSTALLED[name].DESCRIPTOR
    assert parsed.messages[name]
    for field, declared in parsed.messages[name].items():
        own = descriptor.fields_by_name[field]
        oneof = own.containing_oneof and own.containing_oneof.name
        repeated = own.label == FieldDescriptor.LABEL_REPEATED
        assert declared == (own.number, kind(own), repeated, oneof), field


def test_lists_of_numbers_travel_packed():
    """Which proto3 does unless told otherwise, and TensorFlow's messages do as well."""
    for name, number in (("FloatList", 1.5), ("Int64List", 3)):
        message = INSTALLED[name](value=[number, number])
        assert message.SerializeToString()[0] == 1 << 3 | 2


def test_types_of_tensors_have_their_numbers(parsed):
    for name, number in parsed.enums["DataType"].items():
        assert types_pb2.DataType.Value(name) == number


def test_the_service_is_the_servers(parsed):
    service = prediction_service_pb2.DESCRIPTOR.services_by_name["PredictionService"]
    assert service.full_name == f"{parsed.package}.PredictionService"
    assert parsed.methods == {
        "PredictionService": {
            name: (method.input_type.name, method.output_type.name)
            for name, method in service.methods_by_name.items()
            if name == "Predict"
        }
    }


def test_a_wrong_number_would_be_found():
    wrong = Parsed("message Dim { int64 size = 2; oneof one { string name = 1; } }")
    assert wrong.messages == {
        "Dim": {"size": (2, "int64", False, None), "name": (1, "string", False, "one")}
    }
