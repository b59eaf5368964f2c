"""Artifacts of earlier runs as inputs of a pipeline."""

from __future__ import annotations

import os

from tfx.dsl.components.common.importer import Importer
from tfx.types import standard_artifacts

from components.artifacts import Simulator


def earlier_model(uri: str, name: str = "BaseModel") -> Importer | None:
    """A node that gives a model of an earlier run; None for an empty ``uri``.

    A resolver would take the latest model, and find another one when a day is run again; a URI
    names the same model each time, so that the cache holds.

    Args:
      uri: Of a Model artifact.
      name: Of the node.
    """
    return _importer(uri, standard_artifacts.Model, name)


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
    source = uri if "://" in uri else os.path.abspath(uri)
    return Importer(source_uri=source, artifact_type=kind).with_id(name)
