"""Pipelines of one machine, what earlier runs give them as inputs, and where they push models.

Their artifacts are in a folder, their metadata in a SQLite file.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.common.importer import Importer
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline
from tfx.proto.pusher_pb2 import PushDestination
from tfx.types import standard_artifacts

from mtfx.components.artifacts import Simulator
from mtfx.datasets.file_names import pattern_free
from mtfx.datasets.fingerprint import directory_fingerprint
from mtfx.pipelines.local_runner import RunResult


def local_pipeline(
    name: str,
    components: Sequence[BaseNode],
    *,
    output: str | os.PathLike[str],
    metadata: str | os.PathLike[str] | None = None,
    beam_pipeline_args: Sequence[str],
    enable_cache: bool = True,
) -> Pipeline:
    """A pipeline whose runs are found in one SQLite file.

    Args:
      name: Resolvers and caches look among the runs of one name.
      components: Its nodes.
      output: Its folder ``pipeline`` takes the artifacts; see ``mtfx.datasets.file_names`` on the
        names that it may have.
      metadata: The file; pipelines that share it see each other's artifacts. By default
        ``metadata.db`` of ``output``.
      beam_pipeline_args: Passed to Beam.
      enable_cache: Whether a stage with unchanged inputs takes its earlier outputs.
    """
    file = os.path.join(output, "metadata.db") if metadata is None else metadata
    return Pipeline(
        pipeline_name=name,
        pipeline_root=pattern_free(os.path.join(output, "pipeline")),
        components=list(components),
        enable_cache=enable_cache,
        metadata_connection_config=sqlite_metadata_connection_config(os.path.abspath(file)),
        beam_pipeline_args=list(beam_pipeline_args),
    )


def earlier_model(uri: str, name: str = "BaseModel") -> Importer | None:
    """A node that gives a model of an earlier run; None for an empty ``uri``.

    A resolver would take the latest model, and find another one when a day is run again; a URI
    names the same model each time, so that the cache holds. Its content is part of the key too:
    another model may have been put in its place.

    Args:
      uri: Of a Model artifact.
      name: Of the node.
    """
    if not uri:
        return None
    content: dict[str, str | int] = {"content": directory_fingerprint(uri)}
    return Importer(
        source_uri=_absolute(uri), artifact_type=standard_artifacts.Model, custom_properties=content
    ).with_id(name)


def earlier_simulator(uri: str) -> Importer | None:
    """A node that gives a simulator of an earlier run; None for an empty ``uri``."""
    return _importer(uri, Simulator, "EarlierSimulator")


def earlier_statistics(uri: str) -> Importer | None:
    """A node that gives statistics of an earlier run; None for an empty ``uri``."""
    kind = standard_artifacts.ExampleStatistics
    return _importer(uri, kind, "EarlierStatistics")


def _importer(uri: str, kind: type, name: str) -> Importer | None:
    if not uri:
        return None
    return Importer(source_uri=_absolute(uri), artifact_type=kind).with_id(name)


def _absolute(uri: str) -> str:
    return uri if "://" in uri else os.path.abspath(uri)


def destination(push_dir: str | os.PathLike[str]) -> PushDestination:
    """A Pusher's directory, which gets a folder for each model."""
    return PushDestination(
        filesystem=PushDestination.Filesystem(base_directory=os.fspath(push_dir))
    )


def pushed_model(result: RunResult) -> str | None:
    """Folder of the model that a run pushed, its version included; None if it pushed none."""
    for pushed in result.stages["Pusher"].outputs.get("pushed_model", ()):
        if pushed.properties.get("pushed"):
            return str(pushed.properties["pushed_destination"])
    return None
