"""RankerExporter as a TFX component."""

# What TFX's decorator takes for a component's interface are no types to a type checker.
# pyright: reportInvalidTypeArguments=false, reportArgumentType=false

import json
import os
from pathlib import Path
from typing import Any

import tensorflow as tf
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import Artifact, artifact_utils, standard_artifacts
from tfx.utils import path_utils

from mtfx.components.artifacts import Simulator as SimulatorArtifact
from mtfx.components.ranker_exporter.checking import check_answers, check_transformed
from mtfx.components.ranker_exporter.warmup_requests import SIZES, read_sessions, warmup_requests
from mtfx.datasets.file_names import literal
from mtfx.environments.simulator.world import load_world
from mtfx.models.export.policy import SavedPolicy
from mtfx.models.export.ranker import METADATA_FILE
from mtfx.models.export.transformed import build_ranker
from mtfx.serving.request_fields import RequestField
from mtfx.serving.warmup import write_warmup


@component
def RankerExporter(  # noqa: N802 (TFX names a component by its function)
    ranking_model: InputArtifact[standard_artifacts.Model],
    policy: InputArtifact[standard_artifacts.Model],
    simulator: InputArtifact[SimulatorArtifact],
    examples: InputArtifact[standard_artifacts.Examples],
    model: OutputArtifact[standard_artifacts.Model],
    candidate_buckets: Parameter[str] = "[]",
    code_version: Parameter[str] = "",
):
    """Joins a ranking model and a fusion policy in one SavedModel; see ``mtfx.models.fusion``.

    Args:
      ranking_model: Predicts the feedbacks.
      policy: Chooses the weights that fuse them.
      simulator: In whose states the policy was trained; says what they are made of, and what of
        the ranking model's outputs is fused by which map.
      examples: The log's sessions, raw: the ranker is warmed up and checked with requests made of
        them.
      model: The ranker, as a Trainer writes a model.
      candidate_buckets: Numbers of candidates for which XLA compiles the ranking model, a JSON
        list; see ``mtfx.models.export.transformed``.
      code_version: Recorded with the ranker, and part of the cache key.

    Raises:
      DataError: if an input cannot be read.
      ValueError: if the models do not fit together.
    """
    ranking_dir = path_utils.serving_model_path(ranking_model.uri)
    world = load_world(simulator.uri)
    request_state = world.requests.config
    saved = SavedPolicy(path_utils.serving_model_path(policy.uri))
    ranking = tf.saved_model.load(ranking_dir)
    buckets: list[int] = json.loads(candidate_buckets)
    directory = path_utils.serving_model_dir(model.uri)
    about = _about(ranking_dir)
    build_ranker(
        ranking,
        saved,
        directory,
        predictions=world.fused,
        request_state=request_state,
        columns=about["columns"],
        request=[RequestField.from_dict(field) for field in about["request"]],
        candidate_buckets=buckets,
        code_version=code_version,
    )
    # What is compiled for a bucket is compiled before the version takes traffic.
    requests = warmup_requests(read_sessions(_patterns(examples)), sorted({*SIZES, *buckets}))
    check_answers(directory, requests, saved, ranking, request_state, world.fused)
    check_transformed(directory, requests)
    write_warmup(Path(directory), requests)


def _about(ranking_dir: str) -> dict[str, Any]:
    """What a ranking model's metadata say of it."""
    with tf.io.gfile.GFile(os.path.join(ranking_dir, "assets.extra", METADATA_FILE)) as file:
        return json.loads(file.read())


def _patterns(examples: Artifact) -> list[str]:
    """Of the split that no model has learned from."""
    splits = artifact_utils.decode_split_names(examples.split_names)
    uri = artifact_utils.get_split_uri([examples], "test" if "test" in splits else splits[-1])
    return [f"{literal(uri)}/*"]
