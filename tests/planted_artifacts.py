"""The planted log as the ranking pipeline leaves it: examples, Transform, a ranking model."""

from __future__ import annotations

import dataclasses
import os
import sys
import types

import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io
from tfx_bsl.public import tfxio

from mtfx.components.preprocessing import preprocessing_fn
from mtfx.components.session_example_gen.encoding import encode_sessions, write_examples
from mtfx.components.session_schema import build_schema
from tests.beam_runners import local_pipeline
from tests.planted_log import CLICKS, GOOD_FROM, SPEC, draw_events, split_sessions

#: What ``load_dataset`` takes.
DATASET = "planted_log_of_tests:SPEC"


@dataclasses.dataclass(frozen=True)
class PlantedArtifacts:
    """Where everything is.

    Attributes:
      data_dir: With the random exposures; nothing reads the log itself.
      examples: As SessionExampleGen's artifact.
      transform_graph: As Transform's.
      model: A SavedModel with ``serving_default``.
    """

    data_dir: str
    examples: str
    transform_graph: str
    model: str


def write_artifacts(directory: str, sessions: int, random_sessions: int) -> PlantedArtifacts:
    """Writes all that ``build_world`` reads below an empty directory."""
    module = types.ModuleType(DATASET.partition(":")[0])
    module.SPEC = SPEC  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    names = ("data", "examples", "graph", "model")
    made = PlantedArtifacts(*(os.path.join(directory, name) for name in names))
    for name, frame in split_sessions(sessions).items():
        path = os.path.join(made.examples, f"Split-{name}", "examples.gz")
        write_examples(encode_sessions(frame, SPEC), path, path + ".part")
    _write_transform(made, directory)
    os.makedirs(made.data_dir)
    draw_events(random_sessions, seed=9).rename({c.name: c.source for c in SPEC.columns}).write_csv(
        os.path.join(made.data_dir, "random.csv")
    )
    _write_model(made.model)
    return made


def _write_transform(made: PlantedArtifacts, directory: str) -> None:
    schema = build_schema(SPEC)
    source = tfxio.TFExampleRecord(os.path.join(made.examples, "Split-train", "*"), schema=schema)
    config = {"dataset": DATASET, "tasks": ["click", "like"]}
    with local_pipeline() as pipeline, tft_beam.Context(temp_dir=f"{directory}/tmp"):
        data = pipeline | source.BeamSource()
        function = (data, source.TensorAdapterConfig()) | tft_beam.AnalyzeDataset(
            lambda inputs: preprocessing_fn(inputs, config)
        )
        _ = function | tft_beam.WriteTransformFn(made.transform_graph)
    raw = os.path.join(made.transform_graph, tft.TFTransformOutput.RAW_METADATA_DIR)
    metadata_io.write_metadata(dataset_metadata.DatasetMetadata(schema), raw)


def _write_model(directory: str) -> None:
    """A ranking model that knows the planted probabilities, and a play time of their order."""
    module = tf.Module()
    features = {
        "user_id": tf.io.FixedLenFeature([1], tf.int64),
        "item_id": tf.io.RaggedFeature(tf.int64),
    }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def serve(examples):
        raw = tf.io.parse_example(examples, features)
        user_id, item_id = raw["user_id"], raw["item_id"].to_tensor()
        taste = tf.cast(tf.equal(user_id % 2, item_id % 2), tf.int32)
        quality = tf.cast(item_id >= GOOD_FROM, tf.int32)
        chances = tf.constant(CLICKS, tf.float32)
        click = tf.gather_nd(chances, tf.stack([taste, quality], axis=2))
        return {"click": click, "like": 0.1 * click, "play_ms": 10_000.0 * click}

    tf.saved_model.save(module, directory, signatures={"serving_default": serve})
