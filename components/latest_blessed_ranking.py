"""Resolver strategy: the ranking pipeline's latest blessed model, with the data it came from."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any

import tensorflow as tf
from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2
from tfx.dsl.components.common.resolver import ResolverStrategy
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import (
    LatestBlessedModelStrategy,
)
from tfx.types import Artifact, artifact_utils
from tfx.utils import path_utils

from models.fusion.ranker import METADATA_FILE

MODEL, BLESSING = "model", "model_blessing"
TRANSFORM_GRAPH, EXAMPLES = "transform_graph", "examples"
#: Prefix of the names of ranking pipelines, by which their models are found.
RANKING_PIPELINE_PREFIX = "ranking-"


class LatestBlessedRankingStrategy(ResolverStrategy):
    """Finds, in ML Metadata, what the fusion pipeline starts from.

    The channels of a pipeline see only its own artifacts, and TFX resolves those of another one
    only inside Google. So this strategy asks the store itself: among all models of pipelines whose
    names begin with ``ranking-``, the latest blessed one; by its lineage, the transform graph it
    was trained with and the sessions that this was fitted to.
    """

    def resolve_artifacts(
        self, store: MetadataStore, input_dict: dict[str, list[Artifact]]
    ) -> dict[str, list[Artifact]]:
        """Returns one artifact for each of ``model``, ``transform_graph`` and ``examples``.

        The lists given are of the fusion pipeline itself and are not looked at.

        Raises:
          LookupError: if no blessed ranking model is in the store, or the latest is damaged or
            of a version of MTFX whose models cannot be joined with a policy any more.
        """
        del input_dict
        models, blessings = [], []
        for context in store.get_contexts_by_type("pipeline"):
            if context.name.startswith(RANKING_PIPELINE_PREFIX):
                found = _by_type(store, store.get_artifacts_by_context(context.id))
                models += found.get("Model", [])
                blessings += found.get("ModelBlessing", [])
        latest = LatestBlessedModelStrategy().resolve_artifacts(
            store, {MODEL: models, BLESSING: blessings}
        )
        if not latest or not latest[MODEL]:
            raise LookupError(
                f"ML Metadata has {len(models)} ranking models, but none is blessed: run "
                "`mtfx ranking` with the same --output-dir until a model is blessed"
            )
        model = latest[MODEL][0]
        _check_version(model)
        graph = _input(store, model.id, TRANSFORM_GRAPH)
        return {
            MODEL: [model],
            TRANSFORM_GRAPH: [graph],
            EXAMPLES: [_input(store, graph.id, EXAMPLES)],
        }


def _check_version(model: Artifact) -> None:
    """What RankerExporter would find out at the end of a run, found out at its beginning."""
    directory = path_utils.serving_model_path(model.uri)
    path = os.path.join(directory, "assets.extra", METADATA_FILE)
    try:
        with tf.io.gfile.GFile(path) as file:
            about = json.loads(file.read())
    except (tf.errors.NotFoundError, ValueError):
        about = {}
    if not isinstance(about, dict) or "columns" not in about:
        raise LookupError(
            f"the latest blessed ranking model, {directory}, is of an older version or damaged: "
            f"its {METADATA_FILE} does not tell the columns of transformed features. Train it anew "
            "with `mtfx ranking` and the same --output-dir"
        )


def _input(store: MetadataStore, artifact_id: int, key: str) -> Artifact:
    """What the execution that made an artifact took in under ``key``."""
    event = metadata_store_pb2.Event
    # A later run may have imported the artifact: that is no execution that made it.
    made = [
        e.execution_id
        for e in store.get_events_by_artifact_ids([artifact_id])
        if e.type == event.OUTPUT
    ]
    ids = [
        e.artifact_id
        for e in store.get_events_by_execution_ids(made)
        if e.type == event.INPUT and e.path.steps[0].key == key
    ]
    if not ids:
        raise LookupError(f"artifact {artifact_id} was made without an input {key!r}")
    (artifacts,) = _by_type(store, store.get_artifacts_by_id(ids[:1])).values()
    return artifacts[0]


def _by_type(store: MetadataStore, artifacts: Iterable[Any]) -> dict[str, list[Artifact]]:
    """Live artifacts as TFX has them, by the name of their type."""
    live = [a for a in artifacts if a.state == metadata_store_pb2.Artifact.LIVE]
    types = {t.id: t for t in store.get_artifact_types_by_id([a.type_id for a in live])}
    found: dict[str, list[Artifact]] = {}
    for artifact in live:
        proto = types[artifact.type_id]
        found.setdefault(proto.name, []).append(
            artifact_utils.deserialize_artifact(proto, artifact)
        )
    return found
