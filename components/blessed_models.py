"""Resolver strategies: the blessed model that a pipeline starts from, or compares with."""

from __future__ import annotations

import logging
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
from tfx.dsl.io import fileio
from tfx.types import Artifact, artifact_utils
from tfx.utils import path_utils

from mtfx.errors import why_unreadable
from mtfx.files import UNREADABLE, read_json
from mtfx.models.export.ranker import METADATA_FILE

MODEL, BLESSING = "model", "model_blessing"
CANDIDATE = "candidate"
TRANSFORM_GRAPH, EXAMPLES = "transform_graph", "examples"
#: Prefix of the names of ranking pipelines, by which their models are found.
RANKING_PIPELINE_PREFIX = "ranking-"
_OLD = (
    "does not tell the columns of transformed features: an earlier version of MTFX wrote it, whose "
    "models cannot be joined with a policy any more"
)


class EarlierBlessedModelStrategy(LatestBlessedModelStrategy):
    """Resolves the baseline of an evaluation from ``model``, ``model_blessing``, ``candidate``.

    TFX's own strategy takes the latest blessed model of all. Run again with nothing changed, that
    is the candidate itself: the Evaluator would compare it with itself and the Pusher push it a
    second time. Taking only models that existed before the candidate gives a second run the inputs
    of the first, so that the cache holds. One whose files were removed is none; the log says so.
    """

    def resolve_artifacts(
        self, store: MetadataStore, input_dict: dict[str, list[Artifact]]
    ) -> dict[str, list[Artifact]]:
        """Returns at most one model with its blessing, and no candidate.

        Raises:
          ValueError: if the channels have other names than the class says.
        """
        if set(input_dict) != {MODEL, BLESSING, CANDIDATE}:
            raise ValueError(f"expected the channels {MODEL}, {BLESSING}, {CANDIDATE}")
        before = min((artifact.id for artifact in input_dict[CANDIDATE]), default=0)
        earlier = [
            artifact
            for artifact in input_dict[MODEL]
            if artifact.id < before and _is_there(artifact)
        ]
        found = super().resolve_artifacts(
            store, {MODEL: earlier, BLESSING: list(input_dict[BLESSING])}
        )
        return {CANDIDATE: [], **(found or {MODEL: [], BLESSING: []})}


def _is_there(model: Artifact) -> bool:
    found = fileio.exists(model.uri)
    if not found:
        logging.getLogger(__name__).warning(
            "%s is not there any more: no candidate is compared with it", model.uri
        )
    return found


class LatestBlessedRankingStrategy(ResolverStrategy):
    """Finds, in ML Metadata, what the fusion pipeline starts from.

    The channels of a pipeline see only its own artifacts, and TFX resolves those of another one
    only inside Google. So this strategy asks the store itself: among all models of pipelines whose
    names begin with ``ranking-``, the latest blessed one; by its lineage, the transform graph it
    was trained with and the sessions that this was fitted to.
    """

    def __init__(self, dataset: str = "", description_version: str = ""):
        """Makes the strategy.

        Args:
          dataset: That the pipeline takes the model to be of; empty takes any.
          description_version: Of the user's own description of it: a simulator of the model's users
            reads the sessions by today's.
        """
        self._described = (dataset, description_version)

    def resolve_artifacts(
        self, store: MetadataStore, input_dict: dict[str, list[Artifact]]
    ) -> dict[str, list[Artifact]]:
        """Returns one artifact for each of ``model``, ``transform_graph`` and ``examples``.

        The lists given are of the fusion pipeline itself and are not looked at.

        Raises:
          LookupError: if no blessed ranking model is in the store, or the latest cannot be used;
            the message says whether it is not there, damaged, of a version of MTFX whose models
            cannot be joined with a policy any more, or of another description of the data set.
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
        _check_model(model)
        graph = _input(store, model.id, TRANSFORM_GRAPH)
        examples = _input(store, graph.id, EXAMPLES)
        for artifact in (graph, examples):
            _check_there(artifact)
        self._check_description(examples)
        return {MODEL: [model], TRANSFORM_GRAPH: [graph], EXAMPLES: [examples]}

    def _check_description(self, examples: Artifact) -> None:
        dataset, version = self._described
        if not dataset or not examples.has_custom_property("dataset"):
            return
        trained_on = examples.get_string_custom_property("dataset")
        if trained_on != dataset:
            raise LookupError(
                f"the latest blessed ranking model is of the data set {trained_on}, and the last "
                f"run of `mtfx ranking` of {dataset}: run it again until its model is blessed, or "
                "with another --output-dir"
            )
        if examples.get_string_custom_property("description_version") != version:
            raise LookupError(
                f"the description of {dataset} was changed since the latest blessed ranking model "
                "was trained: run `mtfx ranking` with the same --output-dir again until a model is "
                "blessed, or take the change back"
            )


def _check_there(artifact: Artifact) -> None:
    if not tf.io.gfile.exists(artifact.uri):
        raise LookupError(
            f"{artifact.uri}, of the latest blessed ranking model, is not there: bring it back, or "
            "train anew with `mtfx ranking` and the same --output-dir"
        )


def _check_model(model: Artifact) -> None:
    """What RankerExporter would find out at the end of a run, found out at its beginning."""
    _check_there(model)
    directory = path_utils.serving_model_path(model.uri)
    path = os.path.join(directory, "assets.extra", METADATA_FILE)
    try:
        about = read_json(path)
        wrong = "" if isinstance(about, dict) and "columns" in about else _OLD
    except FileNotFoundError:
        wrong = "is not there, though the model is: files of it were removed, or it was not MTFX's"
    except UNREADABLE as error:
        wrong = why_unreadable(error)
    if wrong:
        raise LookupError(
            f"{path}, of the latest blessed ranking model, {wrong}. Train it anew with "
            "`mtfx ranking` and the same --output-dir"
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
