import dataclasses

import pytest
from tensorflow_metadata.proto.v0 import schema_pb2

from mtfx.components.session_schema import build_schema, column_types
from mtfx.datasets.columns import Column
from mtfx.datasets.history import History, history_columns, statistic_columns
from mtfx.datasets.labels import UNKNOWN
from mtfx.datasets.registry import load_dataset
from tests.datasets.test_spec import KEYS, make


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


@pytest.mark.parametrize("name", ["kuairand", "retailrocket"])
def test_lists_of_earlier_impressions_are_ragged_and_may_be_empty(name):
    spec = load_dataset(name)
    schema = build_schema(spec, 7)
    features = {feature.name: feature for feature in schema.feature}
    representations = schema.tensor_representation_group[""].tensor_representation
    for column in history_columns(spec):
        counts = features[column].value_count
        assert (counts.min, counts.max) == (0, 7)
        assert not features[column].HasField("presence")
        assert representations[column].HasField("ragged_tensor")
    assert features["history_timestamp_ms"].int_domain.min == 0
    assert features["history_click"].int_domain.max == 1


@pytest.mark.parametrize("name", ["kuairand", "retailrocket"])
def test_statistics_are_not_negative_and_one_of_the_user_is_one_per_session(name):
    spec = load_dataset(name)
    schema = build_schema(spec)
    features = {feature.name: feature for feature in schema.feature}
    representations = schema.tensor_representation_group[""].tensor_representation
    for column in statistic_columns(spec):
        assert features[column].int_domain.HasField("min")
        assert features[column].int_domain.min == 0
        kind = representations[column].WhichOneof("kind")
        assert (kind == "dense_tensor") == column.startswith("user_id_")


def test_without_earlier_impressions_the_statistics_stay():
    spec = load_dataset("kuairand")
    assert set(column_types(spec)) - set(column_types(spec, 0)) == {
        "watch_share",
        *history_columns(spec),
    }
    bare = dataclasses.replace(spec, history=None)
    assert set(column_types(spec, 0)) - set(column_types(bare)) == set(statistic_columns(spec))


def test_what_a_history_bounds_is_bounded_only_with_one():
    label = Column("click", "click", "label", required=False)
    own = (Column("history_click", "x", "context"), Column("watch_share", "s", "context"))
    spec = make(columns=(*KEYS, *own, label))
    features = {feature.name: feature for feature in build_schema(spec).feature}
    assert not features["history_click"].HasField("int_domain")
    assert not features["watch_share"].HasField("int_domain")
    learnt = make(columns=(*KEYS, label), history=History())
    features = {feature.name: feature for feature in build_schema(learnt).feature}
    domain = features["history_click"].int_domain
    assert (domain.min, domain.max) == (UNKNOWN, 1)
