"""Position in a stream of sessions that is trained on, in a file beside the checkpoints."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any

import tensorflow as tf

from mtfx.errors import DataError, why_unreadable
from mtfx.files import UNREADABLE, read_json, write_json

_FILE = "stream.json"


@dataclasses.dataclass
class StreamState:
    """How far a stream has come; written beside each checkpoint.

    Attributes:
      done: Names of the files that are trained on whole, in the order in which they were.
      file: The file of which a part is trained on; empty for none.
      file_sessions: Sessions of that part.
      sessions: Sessions trained on.
      transitions: Transitions trained on.
      owed_steps: Part of a training step that is due.
      skipped: Files that could not be read, and why.
      bad_records: Records left out of the files that could be read.
      digests: Of the content of files that were trained on: a stream that goes on reads them again.
    """

    done: list[str] = dataclasses.field(default_factory=list)
    file: str = ""
    file_sessions: int = 0
    sessions: int = 0
    transitions: int = 0
    owed_steps: float = 0.0
    skipped: dict[str, str] = dataclasses.field(default_factory=dict)
    bad_records: int = 0
    digests: dict[str, str] = dataclasses.field(default_factory=dict)

    def write(self, directory: str, config: dict[str, Any], checkpoint: str) -> None:
        """Writes ``stream.json``, whole or not at all.

        Args:
          directory: Made if missing.
          config: Of the stream, as JSON values.
          checkpoint: Name of the checkpoint that was saved at this point.
        """
        content = {"config": config, "checkpoint": checkpoint, "state": dataclasses.asdict(self)}
        write_json(os.path.join(directory, _FILE), content)


def read_state(directory: str, config: dict[str, Any]) -> tuple[StreamState, str] | None:
    """Where a stream stopped.

    Args:
      directory: Of the stream.
      config: Of the stream that wants to go on, as JSON values.

    Returns:
      The state and the name of its checkpoint; None for a new stream.

    Raises:
      DataError: if the stream had another configuration, or the file is damaged.
    """
    path = os.path.join(directory, _FILE)
    if not tf.io.gfile.exists(path):
        return None
    try:
        content = read_json(path)
        before, name = content["config"], content["checkpoint"]
        state = StreamState(**content["state"])
    except UNREADABLE as error:
        raise DataError(
            f"{path}, the record of the stream, {why_unreadable(error)}; begin anew in another "
            "directory"
        ) from error
    now = json.loads(json.dumps(config))
    if changed := sorted(key for key in {*before, *now} if before.get(key) != now.get(key)):
        raise DataError(
            f"{directory} holds a stream with another {', '.join(changed)}: give the same settings "
            "to resume it, or another directory to begin anew"
        )
    return state, name
