"""A model whose predictions are columns of the data, impressions, and TFX's Evaluator to run."""

import dataclasses
import json
import os
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from tfx.components.evaluator import executor
from tfx.components.util import examples_utils
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import io_utils, proto_utils


@dataclasses.dataclass(frozen=True)
class Impressions:
    """Columns ``[impression]``; predictions of task t are in ``score_t`` and ``old_score_t``."""

    columns: dict[str, np.ndarray]

    def write(self, directory: pathlib.Path) -> None:
        directory.mkdir(parents=True)
        path = str(directory / "data_tfrecord-00000-of-00001.gz")
        options = tf.io.TFRecordOptions(compression_type="GZIP")
        with tf.io.TFRecordWriter(path, options) as writer:
            for row in range(len(self.columns["session_id"])):
                feature = {name: _feature(values[row]) for name, values in self.columns.items()}
                example = tf.train.Example(features=tf.train.Features(feature=feature))
                writer.write(example.SerializeToString())

    def replaced(self, **columns: np.ndarray) -> "Impressions":
        return Impressions({**self.columns, **columns})


def _feature(value) -> tf.train.Feature:
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    if np.issubdtype(type(value), np.integer):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
    return tf.train.Feature(float_list=tf.train.FloatList(value=[value]))


def save_model(path: pathlib.Path, tasks, prefix: str) -> None:
    spec = {prefix + task.name: tf.io.FixedLenFeature([1], tf.float32) for task in tasks}

    class Scores(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
        def serve(self, examples):
            parsed = tf.io.parse_example(examples, spec)
            return {task.name: parsed[prefix + task.name] for task in tasks}

    module = Scores()
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.serve})


@pytest.fixture(scope="session")
def impressions() -> Impressions:
    rng = np.random.default_rng(7)
    lengths = rng.integers(1, 9, 90)
    session = np.repeat(np.arange(90), lengths)
    count = session.size
    click = rng.beta(2, 4, count).astype(np.float32)
    pay = (click * rng.beta(2, 6, count)).astype(np.float32)
    watch = rng.gamma(2, 4000, count).astype(np.float32)
    clicked = rng.random(count) < click
    noise = rng.normal(0, 0.3, count)
    return Impressions(
        {
            "user_id": session // 2,
            "session_id": np.array([b"s%d" % s for s in session], object),
            "session_length": lengths[session].astype(np.int64),
            "activity": np.array([[b"high", b"low"][s % 2] for s in session], object),
            "tab": rng.integers(0, 3, count),
            "click": clicked.astype(np.int64),
            "pay": (clicked & (rng.random(count) < pay / click)).astype(np.int64),
            "watch_time_ms": (watch * rng.uniform(0.6, 1.4, count)).astype(np.float32),
            "score_click": click,
            "score_pay": pay,
            "score_watch_time_ms": watch,
            "old_score_click": np.clip(click + noise, 0.01, 0.99).astype(np.float32),
            "old_score_pay": np.clip(pay + noise, 0.01, 0.99).astype(np.float32),
            "old_score_watch_time_ms": (watch * 1.2).astype(np.float32),
        }
    )


@dataclasses.dataclass(frozen=True)
class Outcome:
    evaluation_uri: str
    blessed: bool


@pytest.fixture
def evaluate(tmp_path):
    """Runs the executor of TFX's Evaluator as the component would; returns an Outcome."""

    def run(impressions, tasks, config, model="score_", baseline=None, schema=None):
        impressions.write(tmp_path / "examples" / "Split-test")
        examples = standard_artifacts.Examples()
        examples.uri = str(tmp_path / "examples")
        examples.split_names = artifact_utils.encode_split_names(["test"])
        examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)
        inputs = {"examples": [examples]}
        for key, prefix in (("model", model), ("baseline_model", baseline)):
            if prefix is not None:
                artifact = standard_artifacts.Model()
                artifact.uri = str(tmp_path / key)
                save_model(tmp_path / key / "Format-Serving", tasks, prefix)
                inputs[key] = [artifact]
        if schema is not None:
            artifact = standard_artifacts.Schema()
            artifact.uri = str(tmp_path / "schema")
            path = os.path.join(artifact.uri, "schema.pbtxt")
            io_utils.write_pbtxt_file(path, schema)
            inputs["schema"] = [artifact]
        outputs = {
            "evaluation": [standard_artifacts.ModelEvaluation()],
            "blessing": [standard_artifacts.ModelBlessing()],
        }
        for key, artifacts in outputs.items():
            artifacts[0].uri = str(tmp_path / key)
        properties = {
            "eval_config": proto_utils.proto_to_json(config),
            "example_splits": json.dumps(["test"]),
        }
        executor.Executor().Do(inputs, outputs, properties)
        blessed = outputs["blessing"][0].get_int_custom_property("blessed") == 1
        return Outcome(str(tmp_path / "evaluation"), blessed)

    return run
