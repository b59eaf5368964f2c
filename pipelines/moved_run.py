"""ML Metadata of a run whose folder has another name now than when it was written.

Its paths follow the folder even while the old one is still there: a copy must not read, and go on
to mix with, what its original holds.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration import metadata

from mtfx.datasets.file_names import pattern_free

_IMPORTER = "Importer"


def follow(connection: metadata_store_pb2.ConnectionConfig) -> None:
    """Lets the paths in a run's metadata follow its folder, all or none; before anything is run.

    Call it while no other process uses the database.

    Args:
      connection: Of the run; a database server's paths are left alone.
    """
    if not connection.HasField("sqlite"):
        return
    root = Path(pattern_free(Path(connection.sqlite.filename_uri).parent))
    with metadata.Metadata(connection) as handle:
        earlier = _earlier_places(handle, root)
        if not earlier:
            return
        moved = [a for a in handle.store.get_artifacts() if _follows(a, earlier, root)]
        if moved:
            handle.store.put_artifacts(moved)
            logging.getLogger(__name__).warning(
                "%s was at %s: %d artifacts follow it", root, " and ".join(earlier), len(moved)
            )


def _earlier_places(handle: metadata.Metadata, root: Path) -> list[str]:
    """Folders, other than its own, that the run was in when it made an artifact."""
    bases = set(_bases(handle))
    # A fusion's outputs are in a folder of the run's. A run may have that name too.
    places = {b for b in bases if not (b.endswith("/fusion") and os.path.dirname(b) in bases)}
    return sorted(place for place in places if not _is_same(place, root))


def _bases(handle: metadata.Metadata) -> Iterator[str]:
    """What stands before ``/pipeline/NODE/KEY/EXECUTION`` in the paths of what was made here."""
    store = handle.store
    types = {kind.id: kind.name for kind in store.get_execution_types()}
    executions = {e.id: types[e.type_id] for e in store.get_executions()}
    artifacts = {a.id: a.uri for a in store.get_artifacts()}
    for event in store.get_events_by_artifact_ids(list(artifacts)):
        if event.type != metadata_store_pb2.Event.OUTPUT:
            continue
        if executions.get(event.execution_id, _IMPORTER).endswith(_IMPORTER):
            continue
        end = rf"/pipeline/[^/]+/[^/]+/{event.execution_id}(?:/.*)?\Z"
        uri = artifacts[event.artifact_id]
        if (found := re.search(end, uri, re.DOTALL)) is not None:
            yield uri[: found.start()]


def _follows(artifact: metadata_store_pb2.Artifact, earlier: list[str], root: Path) -> bool:
    """Changes an artifact's paths that lie in an earlier place; returns whether there are any."""
    uri = _now(artifact.uri, earlier, root)
    changed = uri != artifact.uri
    artifact.uri = uri
    for values in (artifact.properties, artifact.custom_properties):
        for value in values.values():
            if (text := _now(value.string_value, earlier, root)) != value.string_value:
                value.string_value = text
                changed = True
    return changed


def _now(path: str, earlier: list[str], root: Path) -> str:
    # One of the places may lie in another.
    for place in sorted([*earlier, str(root)], key=len, reverse=True):
        if path.startswith(place + "/"):
            return os.path.join(root, path[len(place) + 1 :])
    return path


def _is_same(place: str, root: Path) -> bool:
    """Whether a path leads to the run's folder, by another name perhaps."""
    try:
        return place == str(root) or os.path.samefile(place, root)
    except OSError:
        return False
