import pytest
from tensorflow_metadata.proto.v0 import schema_pb2

from mtfx.components.session_schema import build_schema, column_types
from mtfx.datasets.registry import load_dataset


@pytest.mark.parametrize("name", ["kuairand", "retailrocket"])
def test_every_column_is_declared_and_impression_level_ones_ragged(name):
    spec = load_dataset(name)
    schema = build_schema(spec)
    assert {f.name for f in schema.feature} == set(column_types(spec))
    representations = schema.tensor_representation_group[""].tensor_representation
    for feature in spec.features:
        kind = representations[feature.name].WhichOneof("kind")
        assert kind == ("dense_tensor" if feature.level == "session" else "ragged_tensor")
    for task in spec.tasks:
        assert representations[task.name].HasField("ragged_tensor")


def test_labels_times_and_numbers_have_domains():
    features = {f.name: f for f in build_schema(load_dataset("kuairand")).feature}
    assert (features["click"].int_domain.min, features["click"].int_domain.max) == (0, 1)
    assert features["watch_time_ms"].float_domain.disallow_nan
    assert features["hour"].int_domain.max == 23
    assert features["user_active_degree"].type == schema_pb2.BYTES
