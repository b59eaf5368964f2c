"""Batches of impressions from session files, written by TFX Transform itself."""

from __future__ import annotations

import dataclasses

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.public import tfxio

from mtfx.datasets.spec import Task
from mtfx.models.input_features import InputFeature
from mtfx.trainers.ranking.input import impression_batches, load_sessions
from tests.beam_runners import local_pipeline

INPUTS = (
    InputFeature("user", "categorical", 40),
    InputFeature("item", "categorical", 40),
    InputFeature("duration", "numeric"),
)
TASKS = (Task("click"), Task("watch", kind="regression"))

_SCHEMA = """
feature { name: "user" type: INT value_count { min: 1 max: 1 } presence { min_fraction: 1 } }
feature { name: "item" type: INT value_count { min: 1 } }
feature { name: "duration" type: FLOAT value_count { min: 1 } }
feature { name: "click" type: INT value_count { min: 1 } }
feature { name: "watch" type: FLOAT value_count { min: 1 } }
tensor_representation_group { key: "" value {
  tensor_representation { key: "user" value {
    dense_tensor { column_name: "user" shape { dim { size: 1 } } } } }
  tensor_representation { key: "item" value { ragged_tensor { feature_path { step: "item" } } } }
  tensor_representation { key: "duration" value {
    ragged_tensor { feature_path { step: "duration" } } } }
  tensor_representation { key: "click" value { ragged_tensor { feature_path { step: "click" } } } }
  tensor_representation { key: "watch" value { ragged_tensor { feature_path { step: "watch" } } } }
} }
"""


def _preprocess(inputs):
    items = inputs["item"].flat_values
    return {
        "user": inputs["user"],
        "item": inputs["item"],
        "duration": inputs["duration"].with_flat_values(
            tft.scale_to_z_score(inputs["duration"].flat_values)
        ),
        "click": tf.cast(inputs["click"], tf.float32),
        "watch": inputs["watch"],
        # Two ids of each user and item, as preprocessing gives those of a multivalued feature.
        "likes": tf.concat([inputs["user"], inputs["user"] - 1], axis=1),
        "tags": tf.RaggedTensor.from_row_splits(
            tf.reshape(tf.stack([items, items - 1], axis=1), [-1]),
            2 * inputs["item"].row_splits,
            validate=False,
        ),
    }


def _sessions(count: int) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    sessions = []
    for user in range(count):
        steps = int(rng.integers(1, 9))
        sessions.append(
            {
                "user": np.array([user]),
                "item": rng.integers(0, 40, steps),
                "duration": rng.uniform(0, 100, steps).astype(np.float32),
                "click": rng.integers(0, 2, steps),
                "watch": rng.uniform(0, 50, steps).astype(np.float32),
            }
        )
    return sessions


def _example(session: dict[str, np.ndarray]) -> bytes:
    feature = {}
    for name, values in session.items():
        if values.dtype.kind == "i":
            feature[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        else:
            feature[name] = tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


@pytest.fixture(scope="module")
def transformed(tmp_path_factory):
    """(file pattern, transformed feature spec, raw sessions), written by TFX Transform."""
    directory = tmp_path_factory.mktemp("transformed")
    sessions = _sessions(40)
    schema = text_format.Parse(_SCHEMA, schema_pb2.Schema())
    reader = tfxio.TFExampleBeamRecord(physical_format="tfrecord", schema=schema)
    with local_pipeline() as pipeline, tft_beam.Context(temp_dir=str(directory / "tmp")):
        raw = (
            pipeline
            | beam.Create([_example(session) for session in sessions])
            | reader.BeamSource(batch_size=16)
        )
        dataset, function = (
            raw,
            reader.TensorAdapterConfig(),
        ) | tft_beam.AnalyzeAndTransformDataset(_preprocess, output_record_batches=True)
        _ = (
            dataset
            | tft_beam.EncodeTransformedDataset()
            | beam.io.WriteToTFRecord(
                str(directory / "examples"), file_name_suffix=".gz", num_shards=3
            )
        )
        _ = function | tft_beam.WriteTransformFn(str(directory / "function"))
    spec = tft.TFTransformOutput(str(directory / "function")).transformed_feature_spec()
    return str(directory / "examples*"), spec, sessions


def _rows(batches) -> np.ndarray:
    """[impression, (user, item, duration, click, watch)]."""
    parts = [
        np.column_stack([features["user"], features["item"], features["duration"], labels.numpy()])
        for features, labels in batches
    ]
    return np.concatenate(parts)


def _expected(sessions) -> np.ndarray:
    durations = np.concatenate([session["duration"] for session in sessions])
    mean, deviation = durations.mean(), durations.std()
    return np.concatenate(
        [
            np.column_stack(
                [
                    np.repeat(session["user"], len(session["item"])),
                    session["item"],
                    (session["duration"] - mean) / deviation,
                    session["click"],
                    session["watch"],
                ]
            )
            for session in sessions
        ]
    )


def _sorted(rows: np.ndarray) -> np.ndarray:
    return rows[np.lexsort(rows.T[::-1])]


def test_every_impression_of_transforms_files_comes_once(transformed):
    pattern, spec, sessions = transformed
    batches = list(impression_batches(pattern, spec, INPUTS, TASKS, 32, shuffle=False, seed=0))
    np.testing.assert_allclose(
        _sorted(_rows(batches)), _sorted(_expected(sessions)), rtol=1e-4, atol=1e-5
    )
    features, labels = batches[0]
    assert features["user"].dtype == tf.int64
    assert features["duration"].dtype == labels.dtype == tf.float32
    assert labels.shape == (32, 2)
    assert {len(labels) for _, labels in batches[:-1]} == {32}


def test_shuffling_keeps_impressions_and_depends_on_the_seed_and_the_epoch(transformed):
    pattern, spec, sessions = transformed

    def epochs(seed: int) -> list[np.ndarray]:
        batches = impression_batches(pattern, spec, INPUTS, TASKS, 32, shuffle=True, seed=seed)
        return [_rows(batches), _rows(batches)]

    first, second = epochs(1), epochs(2)
    again = epochs(1)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first[0], second[0])
    np.testing.assert_allclose(
        _sorted(first[0]), _sorted(_expected(sessions)), rtol=1e-4, atol=1e-5
    )


SEVERAL = (
    InputFeature("likes", "multivalued", 40, level="session", max_values=2),
    InputFeature("tags", "multivalued", 40, max_values=2),
)


def test_several_values_come_with_their_impression(transformed):
    pattern, spec, _ = transformed
    inputs = (*INPUTS, *SEVERAL)
    rows = 0
    for features, _ in impression_batches(pattern, spec, inputs, TASKS, 32, shuffle=True, seed=0):
        rows += len(features["item"])
        for name, single in (("likes", "user"), ("tags", "item")):
            expected = np.stack([features[single], features[single] - 1], axis=1)
            np.testing.assert_array_equal(features[name], expected)
            assert features[name].dtype == tf.int64
    table = load_sessions(pattern, spec, inputs, TASKS)
    assert rows == table.num_impressions
    np.testing.assert_array_equal(table.features["tags"][:, 0], table.features["item"])
    np.testing.assert_array_equal(table.features["likes"][:, 1], table.features["user"] - 1)


def test_several_values_of_another_number_are_refused(transformed):
    pattern, spec, _ = transformed
    likes, tags = (dataclasses.replace(feature, max_values=3) for feature in SEVERAL)
    with pytest.raises(ValueError, match=r"column 'likes' must be ragged .* or of shape \[3\]"):
        impression_batches(pattern, spec, (likes,), TASKS, 4, shuffle=False, seed=0)
    with pytest.raises(tf.errors.InvalidArgumentError):
        list(impression_batches(pattern, spec, (tags,), TASKS, 4, shuffle=False, seed=0))


def test_drop_remainder_fixes_the_shape(transformed):
    pattern, spec, sessions = transformed
    batches = impression_batches(
        pattern, spec, INPUTS, TASKS, 32, shuffle=False, seed=0, drop_remainder=True
    )
    assert batches.element_spec[1].shape == (32, 2)
    impressions = sum(len(session["item"]) for session in sessions)
    assert sum(1 for _ in batches) == impressions // 32


def test_unknown_files_and_columns_are_named(transformed, tmp_path):
    pattern, spec, _ = transformed
    with pytest.raises(ValueError, match=r"no session file matches .*nothing"):
        impression_batches(
            str(tmp_path / "nothing*"), spec, INPUTS, TASKS, 4, shuffle=False, seed=0
        )
    with pytest.raises(ValueError, match="no column 'follow'; they have: click, duration"):
        impression_batches(pattern, spec, INPUTS, (Task("follow"),), 4, shuffle=False, seed=0)
    wrong = {**spec, "user": tf.io.FixedLenFeature([3], tf.int64)}
    with pytest.raises(ValueError, match="column 'user' must be ragged"):
        impression_batches(pattern, wrong, INPUTS, TASKS, 4, shuffle=False, seed=0)


def test_a_session_whose_columns_differ_in_length_is_refused(tmp_path, transformed):
    _, spec, sessions = transformed
    broken = dict(sessions[0])
    broken["item"] = np.append(broken["item"], 1)
    # The layout that Transform writes: ragged values under their own key.
    renamed = {
        name if name == "user" else f"{name}$ragged_values": values
        for name, values in broken.items()
    }
    renamed["click$ragged_values"] = renamed["click$ragged_values"].astype(np.float32)
    path = str(tmp_path / "broken.gz")
    with tf.io.TFRecordWriter(path, tf.io.TFRecordOptions("GZIP")) as writer:
        writer.write(_example(renamed))
    with pytest.raises(tf.errors.InvalidArgumentError, match="item and click of a session"):
        list(impression_batches(path, spec, INPUTS, TASKS, 4, shuffle=False, seed=0))
