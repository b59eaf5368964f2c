"""Artifacts of earlier runs as inputs of a pipeline."""

from __future__ import annotations

import os

from tfx.dsl.components.common.importer import Importer
from tfx.types import standard_artifacts

from mtfx.components.artifacts import Simulator
from mtfx.datasets.fingerprint import directory_fingerprint


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
