"""Pipelines of one machine: their artifacts in a folder, their metadata in a SQLite file."""

from __future__ import annotations

import os
from collections.abc import Sequence

from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline

from mtfx.datasets.file_names import pattern_free


def local_pipeline(
    name: str,
    components: Sequence[BaseNode],
    *,
    root: str | os.PathLike[str],
    metadata: str | os.PathLike[str],
    beam_pipeline_args: Sequence[str],
    enable_cache: bool = True,
) -> Pipeline:
    """A pipeline whose runs are found in one SQLite file.

    Args:
      name: Resolvers and caches look among the runs of one name.
      components: Its nodes.
      root: Folder of the artifacts; see ``mtfx.datasets.file_names`` on the names that it may have.
      metadata: The file; pipelines that share it see each other's artifacts.
      beam_pipeline_args: Passed to Beam.
      enable_cache: Whether a stage with unchanged inputs takes its earlier outputs.
    """
    return Pipeline(
        pipeline_name=name,
        pipeline_root=pattern_free(root),
        components=list(components),
        enable_cache=enable_cache,
        metadata_connection_config=sqlite_metadata_connection_config(os.path.abspath(metadata)),
        beam_pipeline_args=list(beam_pipeline_args),
    )
