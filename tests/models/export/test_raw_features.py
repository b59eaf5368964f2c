"""Requests with and without what may be left out of them."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_transform.tf_metadata import schema_utils

from mtfx.components.session_schema import build_schema
from mtfx.datasets.history import History, history_columns, statistic_columns
from mtfx.datasets.spec import Column, DatasetSpec, Feature, Task
from mtfx.models.export.raw_features import RawFeatures
from mtfx.models.model_inputs import ranking_inputs
from mtfx.serving.request_fields import RequestField

SPEC = DatasetSpec(
    name="requests",
    title="A log for requests",
    log_files=("log.csv",),
    columns=(
        Column("user_id", "user", "user"),
        Column("item_id", "item", "item"),
        Column("timestamp_ms", "time", "timestamp"),
        Column("click", "click", "label"),
        Column("duration_ms", "duration", "context", dtype="float32", default=5.0),
        Column("country", "country", "context", dtype="string", default="xx"),
    ),
    features=(
        Feature("user_id", "categorical", level="session"),
        Feature("country", "categorical", level="session", dtype="string"),
        Feature("item_id", "categorical"),
        Feature("duration_ms", "numeric", dtype="float32"),
    ),
    tasks=(Task("click"),),
    history=History(),
)


class TransformOutput:
    """What is asked of Transform's output."""

    def raw_feature_spec(self):
        return schema_utils.schema_as_feature_spec(build_schema(SPEC)).feature_spec

    def vocabulary_size_by_name(self, _):
        return 9


def raw_features(length=3):
    output = TransformOutput()
    return RawFeatures(SPEC, output, ranking_inputs(SPEC, output, length))


def example(**columns):
    made = tf.train.Example()
    for name, values in columns.items():
        feature = made.features.feature[name]
        if isinstance(values[0] if values else 0, float):
            feature.float_list.value.extend(values)
        elif isinstance(values[0] if values else 0, bytes):
            feature.bytes_list.value.extend(values)
        else:
            feature.int64_list.value.extend(values)
    return made.SerializeToString()


BARE = {"user_id": [7], "item_id": [1, 2], "duration_ms": [3.0, 4.0]}
PAST = {
    "history_timestamp_ms": [50_000, 90_000],
    "history_item_id": [4, 5],
    "history_duration_ms": [1.0, 2.0],
    "history_click": [1, 0],
}


def checked(*examples):
    raw = raw_features()
    return raw, *raw.checked(tf.io.parse_example(list(examples), raw.parsing_spec))


def test_columns_are_features_and_counts():
    assert set(raw_features().dtypes) == {f.name for f in SPEC.features} | set(
        statistic_columns(SPEC)
    )
    plain = RawFeatures(SPEC, TransformOutput(), ranking_inputs(SPEC, TransformOutput(), 0)[:4])
    assert set(plain.dtypes) == {f.name for f in SPEC.features}
    assert plain.history is None


def test_a_request_may_leave_out_the_users_attributes_counts_and_history():
    raw, columns, lengths = checked(example(**BARE))
    assert lengths.numpy().tolist() == [2]
    assert columns["country"].numpy().tolist() == [[b"xx"]]
    assert columns["item_id_impressions"].to_list() == [[0, 0]]
    assert columns["user_id_click_count"].numpy().tolist() == [[0]]
    for name in history_columns(SPEC):
        assert columns[name].to_list() == [[]], name
    found = raw.histories(columns, raw.times(columns))
    assert (found["history_values"].numpy() == -1).all()


def test_an_earlier_impression_may_lack_what_nobody_knows():
    known = {n: PAST[n] for n in ("history_timestamp_ms", "history_item_id")}
    raw, columns, _ = checked(example(**BARE, **known, timestamp_ms=[100_000]))
    assert columns["history_click"].to_list() == [[-1, -1]]
    assert columns["history_duration_ms"].to_list() == [[5.0, 5.0]]
    found = raw.histories(columns, raw.times(columns))["history_values"].numpy()
    np.testing.assert_array_equal(found[0, :, 0], [10, 50, -1])


def test_what_is_not_before_the_request_is_left_out():
    raw, columns, _ = checked(example(**BARE, **PAST, timestamp_ms=[90_000]))
    found = raw.histories(columns, raw.times(columns))
    np.testing.assert_array_equal(found["history_values"][0, :, 0], [40, -1, -1])
    np.testing.assert_array_equal(found["history_ids"][0, :, 0], [4, -1, -1])


def test_a_request_without_a_time_is_later_than_all_it_knows():
    raw, columns, _ = checked(example(**BARE, **PAST))
    assert raw.times(columns).numpy().tolist() == [90_001]
    found = raw.histories(columns, raw.times(columns))
    np.testing.assert_allclose(found["history_values"][0, :, 0], [0.001, 40.001, -1])


@pytest.mark.parametrize(
    ("name", "than"),
    [
        ("duration_ms", "item_id"),
        ("item_id_click_count", "item_id"),
        ("history_click", "history_timestamp_ms"),
    ],
)
def test_lists_of_different_lengths_are_refused_by_name(name, than):
    columns = BARE | PAST | {"item_id_click_count": [1, 2]}
    columns[name] = [*columns[name], columns[name][0]]
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"features {name} and {than} need"):
        checked(example(**columns))


def test_rows_of_plain_columns_are_sessions_of_one_impression():
    raw = raw_features()
    given = {
        name: tf.zeros([2], dtype) if dtype != tf.string else tf.constant(["a", "b"])
        for name, dtype in raw.dtypes.items()
    }
    rows = raw.rows(given)
    assert rows["user_id"].shape == rows["user_id_impressions"].shape == (2, 1)
    assert rows["item_id"].row_lengths().numpy().tolist() == [1, 1]


def test_a_requests_columns_say_what_may_be_left_out():
    found = {field.name: field for field in raw_features().fields()}
    assert set(found) == set(raw_features().parsing_spec)
    assert found["country"] == RequestField("country", "string", "user", default="xx")
    assert found["item_id"] == RequestField(
        "item_id", "int64", "candidate", per_candidate=True, required=True
    )
    assert found["user_id_impressions"] == RequestField(
        "user_id_impressions", "int64", "user", default=0
    )
    counted = found["item_id_impressions"]
    assert (counted.level, counted.required, counted.default) == ("candidate", False, 0)
    assert found["timestamp_ms"] == RequestField("timestamp_ms", "int64", "context")
    assert found["history_click"] == RequestField("history_click", "int64", "history", default=-1)
    assert found["user_id"].default == -1
