"""The preprocessing function under real TensorFlow Transform, against vocabularies made by hand."""

import dataclasses
import sys
import types

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow_transform.tf_metadata import schema_utils
from tfx_bsl.public import tfxio

from mtfx.components.preprocessing import distinct_ids, preprocessing_fn
from mtfx.components.session_schema import build_schema
from mtfx.datasets.history import History, history_columns
from mtfx.datasets.spec import Column, DatasetSpec, Feature, Task
from tests.beam_runners import local_pipeline

SPEC = DatasetSpec(
    name="mine",
    title="",
    log_files=("log.csv",),
    columns=(
        Column("user_id", "u", "user"),
        Column("item_id", "i", "item"),
        Column("timestamp_ms", "t", "timestamp"),
        Column("color", "color", "context", dtype="string"),
        Column("price", "price", "context", dtype="float32"),
        Column("tier", "tier", "context", dtype="string"),
        Column("age", "age", "context"),
        Column("tags", "tags", "context", dtype="string", delimiter="|"),
        Column("likes", "likes", "context", dtype="string", delimiter=", "),
        Column("click", "click", "label"),
    ),
    features=(
        Feature("user_id", "categorical", level="session", min_count=1, oov_buckets=1),
        Feature("item_id", "categorical", min_count=2, oov_buckets=3),
        Feature("color", "categorical", dtype="string", vocabulary="small", min_count=1),
        Feature("hour", "categorical", vocabulary="small"),
        Feature("tier", "categorical", level="session", dtype="string", vocabulary="small"),
        Feature("age", "categorical", level="session", vocabulary="small"),
        Feature("price", "numeric", dtype="float32", log_scale=True),
        Feature("tags", "multivalued", dtype="string", min_count=2, oov_buckets=1, max_values=3),
        Feature(
            "likes", "multivalued", "session", "string", min_count=1, oov_buckets=2, max_values=2
        ),
    ),
    tasks=(Task("click"),),
)
SESSIONS = [
    (
        1,
        [7, 7, 7, 8],
        ["red", "red", "5", "blue"],
        [1, 1, 5, 2],
        [1.0, 2.0, 3.0, 9.0],
        [0, 1, 0, 0],
    ),
    (2, [8, 9], ["red", ""], [1, 3], [0.0, 4.0], [1, 0]),
]


#: Counted: funny 4, sad 3, new 2, the others once; one cell repeats a value, one has many.
TAGS = {
    1: [b"funny|sad", b"sad| funny |funny", b"", b"old|new|sad|funny|odd"],
    2: [b"new", b"never"],
}
LIKES = {1: b"tea, milk, tea", 2: b""}


def serialized():
    schema = build_schema(SPEC)
    for user, items, colors, hours, prices, clicks in SESSIONS:
        given = {
            "user_id": [user],
            "item_id": items,
            "color": [c.encode() for c in colors],
            "hour": hours,
            "price": prices,
            "click": clicks,
            "tier": [b"gold" if user == 1 else b"5"],
            "age": [5],
            "tags": TAGS[user],
            "likes": [LIKES[user]],
        }
        example = tf.train.Example()
        for feature in schema.feature:
            count = 1 if feature.value_count.max == 1 else len(items)
            values = given.get(feature.name)
            target = example.features.feature[feature.name]
            if feature.type == 1:
                target.bytes_list.value.extend(values or [b"x"] * count)
            elif feature.type == 2:
                target.int64_list.value.extend(values or [1] * count)
            else:
                target.float_list.value.extend(values or [1.0] * count)
        yield example.SerializeToString()


def registered(spec):
    """Where the preprocessing function finds it."""
    module = types.ModuleType("my_data_set_for_preprocessing")
    module.SPEC = spec
    sys.modules[module.__name__] = module
    return f"{module.__name__}:SPEC"


def transform(directory, spec, records=None):
    """Transform's output for a data set, and what it makes of its own sessions."""
    path = f"{directory}/examples.gz"
    records, schema = records or list(serialized()), build_schema(spec)
    with tf.io.TFRecordWriter(path, "GZIP") as writer:
        for record in records:
            writer.write(record)
    source = tfxio.TFExampleRecord(path, schema=schema)
    config = {"dataset": registered(spec), "tasks": ["click"]}
    with local_pipeline() as pipeline, tft_beam.Context(temp_dir=f"{directory}/tmp"):
        data = pipeline | source.BeamSource()
        metadata = source.TensorAdapterConfig()
        function = (data, metadata) | tft_beam.AnalyzeDataset(
            lambda inputs: preprocessing_fn(inputs, config)
        )
        _ = function | tft_beam.WriteTransformFn(directory)
    output = tft.TFTransformOutput(directory)
    parsing = schema_utils.schema_as_feature_spec(schema).feature_spec
    raw = tf.io.parse_example(tf.constant(records), parsing)
    return output, output.transform_features_layer()(raw)


@pytest.fixture(scope="module")
def transformed(tmp_path_factory):
    return transform(str(tmp_path_factory.mktemp("transform")), SPEC)


WITH_HISTORY = dataclasses.replace(SPEC, history=History(statistics=("user_id", "item_id")))
#: Of the two sessions: the items, tags and clicks before them.
PAST_ITEMS, PAST_TAGS, PAST_CLICKS = [[8, 7, 55], []], [[b"sad|funny", b"", b"odd"], []], [1, 0, -1]
COUNTS = {
    "user_id_impressions": [[3], [0]],
    "user_id_click_count": [[1], [0]],
    "item_id_impressions": [[0, 5, 100, 2], [7, 1]],
    "item_id_click_count": [[0, 1, 90, 2], [0, 3]],
}


def serialized_with_history():
    for place, record in enumerate(serialized()):
        example = tf.train.Example.FromString(record)
        columns = example.features.feature
        past = len(PAST_ITEMS[place])
        for name, dtype in history_columns(WITH_HISTORY).items():
            kind = {"int64": "int64_list", "string": "bytes_list", "float32": "float_list"}[dtype]
            fill = b"never seen" if dtype == "string" else 4
            getattr(columns[name], kind).value.extend([fill] * past)
        for name, values in (("item_id", PAST_ITEMS[place]), ("click", PAST_CLICKS[:past])):
            columns[f"history_{name}"].int64_list.value[:] = values
        columns["history_tags"].bytes_list.value[:] = PAST_TAGS[place]
        for name, values in COUNTS.items():
            columns[name].int64_list.value[:] = values[place]
        yield example.SerializeToString()


@pytest.fixture(scope="module")
def with_history(tmp_path_factory):
    directory = str(tmp_path_factory.mktemp("history"))
    return transform(directory, WITH_HISTORY, list(serialized_with_history()))[1]


def test_earlier_impressions_are_looked_up_like_the_sessions_own(with_history):
    own = dict(zip([7, 7, 7, 8], with_history["item_id"].to_list()[0], strict=True))
    first, second = with_history["history_item_id"].to_list()
    assert first[:2] == [own[8], own[7]]
    # An item that training lacks is in one of the buckets behind the items that it has.
    assert first[2] >= 2
    assert second == []
    tags = np.reshape(with_history["history_tags"].to_list()[0], [3, 3])
    cells = np.reshape(with_history["tags"].to_list()[0], [4, 3])
    np.testing.assert_array_equal(tags[0], cells[0])
    assert (tags[1] == -1).all()
    price = with_history["price"].flat_values.numpy()
    scaled = np.log1p([1.0, 2.0, 3.0, 9.0, 0.0, 4.0])
    np.testing.assert_allclose(price, (scaled - scaled.mean()) / scaled.std(), rtol=1e-5)
    np.testing.assert_allclose(
        with_history["history_price"].to_list()[0],
        [(np.log1p(4) - scaled.mean()) / scaled.std()] * 3,
        rtol=1e-5,
    )
    assert with_history["history_click"].to_list()[0] == [1, 0, -1]


def test_counts_become_log_odds_above_the_average(with_history):
    rate = (2 + 0.5) / (6 + 1)

    def wanted(impressions, clicks):
        odds = np.log1p(clicks / (20 * rate)) - np.log1p(
            max(impressions - clicks, 0) / (20 * (1 - rate))
        )
        return [np.log1p(impressions) / 5, np.clip(odds, -6, 6)]

    found = with_history["item_id_statistics"].to_list()
    for place, row in enumerate(found):
        pairs = zip(
            COUNTS["item_id_impressions"][place], COUNTS["item_id_click_count"][place], strict=True
        )
        np.testing.assert_allclose(row, np.ravel([wanted(*pair) for pair in pairs]), rtol=1e-5)
    user = with_history["user_id_statistics"].numpy()
    np.testing.assert_allclose(user, [wanted(3, 1), wanted(0, 0)], rtol=1e-5, atol=1e-7)


def test_another_data_set_in_the_same_process_has_tables_of_its_own(monkeypatch):
    """TensorFlow keeps one table per name and process, until its owner is collected."""
    made, alive = tf.lookup.StaticVocabularyTable, []

    def kept(*arguments, **options):
        alive.append(made(*arguments, **options))
        return alive[-1]

    monkeypatch.setattr(tf.lookup, "StaticVocabularyTable", kept)
    for name, kind in (("item_id", tf.int64), ("color", tf.string)):
        spec = dataclasses.replace(SPEC, features=tuple(f for f in SPEC.features if f.name == name))
        config = {"dataset": registered(spec), "tasks": ["click"]}
        specs = {
            column: tf.RaggedTensorSpec([None, None], dtype)
            for column, dtype in ((name, kind), ("click", tf.int64))
        }
        read = tft.get_analyze_input_columns(
            lambda inputs, config=config: preprocessing_fn(inputs, config), specs
        )
        assert read == [name]
    assert len(alive) == 2


def test_shapes_follow_the_level(transformed):
    _, values = transformed
    assert values["user_id"].shape == (2, 1)
    for name in ("item_id", "color", "hour", "price", "click"):
        assert isinstance(values[name], tf.RaggedTensor)
        assert values[name].row_lengths().numpy().tolist() == [4, 2]


def test_rare_values_share_buckets_behind_the_vocabulary(transformed):
    output, values = transformed
    assert output.vocabulary_by_name("item_id") == [b"7", b"8"]
    ids = values["item_id"].flat_values.numpy().tolist()
    assert ids[:5] == [0, 0, 0, 1, 1]
    assert 2 <= ids[5] < 2 + 3


def test_a_shared_vocabulary_tells_features_apart(transformed):
    output, values = transformed
    vocabulary = output.vocabulary_by_name("small")
    assert {b"color=5", b"hour=5", b"color="} <= set(vocabulary)
    assert vocabulary[values["color"].flat_values.numpy()[2]] == b"color=5"
    assert vocabulary[values["hour"].flat_values.numpy()[2]] == b"hour=5"


def test_a_vocabulary_is_shared_between_sessions_and_impressions(transformed):
    output, values = transformed
    vocabulary = output.vocabulary_by_name("small")
    for name, expected in (("tier", [b"tier=gold", b"tier=5"]), ("age", [b"age=5", b"age=5"])):
        assert values[name].shape == (2, 1)
        assert [vocabulary[i] for i in values[name].numpy()[:, 0]] == expected


def test_values_of_a_cell_are_looked_up_one_by_one(transformed):
    output, values = transformed
    assert output.vocabulary_by_name("tags") == [b"funny", b"sad", b"new"]
    # A cell's ids in order of frequency, each once; the bucket of the rare ones is 3.
    expected = [[0, 1, -1], [0, 1, -1], [-1, -1, -1], [0, 1, 2], [2, -1, -1], [3, -1, -1]]
    assert isinstance(values["tags"], tf.RaggedTensor)
    assert values["tags"].row_lengths().numpy().tolist() == [12, 6]
    assert values["tags"].flat_values.numpy().reshape(-1, 3).tolist() == expected


def test_values_of_a_session_are_looked_up_once(transformed):
    output, values = transformed
    assert output.vocabulary_by_name("likes") == [b"tea", b"milk"]
    assert values["likes"].numpy().tolist() == [[0, 1], [-1, -1]]


@settings(deadline=None)
@given(rows=st.lists(st.lists(st.integers(0, 6), max_size=6), max_size=5), number=st.integers(1, 4))
def test_the_smallest_distinct_ids_are_kept(rows, number):
    ids = tf.ragged.constant(rows, tf.int64, ragged_rank=1)
    expected = [(sorted(set(row)) + [-1] * number)[:number] for row in rows]
    assert distinct_ids(ids, number).numpy().reshape(-1, number).tolist() == expected


def test_numbers_are_scaled_over_impressions(transformed):
    _, values = transformed
    logs = np.log1p([1.0, 2.0, 3.0, 9.0, 0.0, 4.0])
    np.testing.assert_allclose(
        values["price"].flat_values, (logs - logs.mean()) / logs.std(), rtol=1e-4, atol=1e-5
    )


def test_labels_are_floats_as_they_were(transformed):
    _, values = transformed
    assert values["click"].flat_values.numpy().tolist() == [0, 1, 0, 0, 1, 0]
    assert values["click"].dtype == tf.float32
