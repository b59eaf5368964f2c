"""The flattener's batches against a walk over the sessions, and the real executor."""

import os

import numpy as np
import pyarrow as pa
import tensorflow as tf
from google.protobuf import text_format
from hypothesis import given, settings
from hypothesis import strategies as st
from tfx.dsl.components.base import base_beam_executor
from tfx.types import standard_artifacts

from mtfx.components.session_flattener import SessionFlattener, flatten_batch
from mtfx.components.session_schema import build_schema
from mtfx.datasets.registry import load_dataset
from mtfx.pipelines.beam_args import local_beam_args

SPEC = load_dataset("retailrocket")
SCHEMA = build_schema(SPEC)
SESSIONS = [
    {"user_id": [7], "timestamp_ms": [1, 2, 3], "item_id": [4, 5, 6], "step_bucket": [b"1"] * 3},
    {"user_id": [8], "timestamp_ms": [9], "item_id": [3], "step_bucket": [b"1"]},
]


def values(serialized):
    features = tf.train.Example.FromString(serialized).features.feature
    return {k: list(getattr(v, v.WhichOneof("kind")).value) for k, v in features.items()}


def test_each_impression_becomes_an_example_with_its_sessions_length():
    names = list(SESSIONS[0])
    batch = pa.RecordBatch.from_arrays(
        [pa.array([session[name] for session in SESSIONS]) for name in names], names
    )
    found = [values(example) for example in flatten_batch(batch, SCHEMA)]
    expected = [
        {
            "user_id": session["user_id"],
            "timestamp_ms": [session["timestamp_ms"][step]],
            "item_id": [session["item_id"][step]],
            "step_bucket": [session["step_bucket"][step]],
            "session_length": [len(session["item_id"])],
        }
        for session in SESSIONS
        for step in range(len(session["item_id"]))
    ]
    assert found == expected


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), length=st.integers(1, 4))
def test_each_impression_keeps_what_was_before_it(seed, length):
    rng = np.random.default_rng(seed)
    schema = build_schema(SPEC, length)
    sessions = []
    for _ in range(4):
        past, own = rng.integers(0, length + 1), rng.integers(1, 5)
        # Few distinct times, so that some impressions have the same.
        sessions.append(
            {
                "timestamp_ms": np.sort(rng.integers(50, 54, own)).tolist(),
                "item_id": rng.integers(0, 9, own).tolist(),
                "history_timestamp_ms": np.sort(rng.integers(0, 50, past)).tolist(),
                "history_item_id": rng.integers(0, 9, past).tolist(),
            }
        )
    names = list(sessions[0])
    batch = pa.RecordBatch.from_arrays(
        [pa.array([s[name] for s in sessions], pa.list_(pa.int64())) for name in names], names
    )
    found = [tf.train.Example.FromString(e).features.feature for e in flatten_batch(batch, schema)]
    wanted = []
    for session in sessions:
        for now in session["timestamp_ms"]:
            times = session["history_timestamp_ms"] + session["timestamp_ms"]
            items = session["history_item_id"] + session["item_id"]
            seen = [(t, i) for t, i in zip(times, items, strict=True) if t < now][-length:]
            wanted.append(([t for t, _ in seen], [i for _, i in seen]))
    assert [
        tuple(
            list(features[name].int64_list.value)
            for name in ("history_timestamp_ms", "history_item_id")
        )
        for features in found
    ] == wanted


def test_the_executor_flattens_the_named_split(tmp_path):
    rng = np.random.default_rng(0)
    examples = standard_artifacts.Examples()
    examples.uri, examples.split_names, examples.span = (
        str(tmp_path / "in [v2]"),
        '["train","test"]',
        3,
    )
    total = 0
    for split in ("train", "test"):
        os.makedirs(tmp_path / "in [v2]" / f"Split-{split}")
        path = str(tmp_path / "in [v2]" / f"Split-{split}" / "data.gz")
        with tf.io.TFRecordWriter(path, "GZIP") as writer:
            for user in range(50):
                length = int(rng.integers(1, 6))
                total += length if split == "test" else 0
                writer.write(example_of(user, length))
    schema = standard_artifacts.Schema()
    schema.uri = str(tmp_path / "schema")
    os.makedirs(schema.uri)
    (tmp_path / "schema" / "schema.pbtxt").write_text(text_format.MessageToString(SCHEMA))
    out = standard_artifacts.Examples()
    out.uri = str(tmp_path / "out")
    context = base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=list(local_beam_args()), tmp_dir=str(tmp_path / "tmp"), unique_id="1"
    )
    SessionFlattener.EXECUTOR_SPEC.executor_class(context).Do(
        {"examples": [examples], "schema": [schema]},
        {"impressions": [out]},
        {},
    )
    files = tf.io.gfile.glob(f"{out.uri}/Split-test/*")
    found = [values(r.numpy()) for r in tf.data.TFRecordDataset(files, compression_type="GZIP")]
    assert len(found) == total
    assert all(
        len(value) == 1
        for example in found
        for name, value in example.items()
        if not name.startswith("history_")
    )
    # Each session's weights 1 / length add up to one.
    assert np.isclose(sum(1 / example["session_length"][0] for example in found), 50)
    assert out.span == 3
    assert not tf.io.gfile.exists(f"{out.uri}/Split-train")


def example_of(user, length):
    example = tf.train.Example()
    for feature in SCHEMA.feature:
        values = example.features.feature[feature.name]
        count = 1 if feature.value_count.max == 1 else length
        if feature.type == 1:
            values.bytes_list.value.extend([b"x"] * count)
        elif feature.type == 2:
            values.int64_list.value.extend([user] * count)
        else:
            values.float_list.value.extend([1.0] * count)
    return example.SerializeToString()
