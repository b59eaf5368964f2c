"""Files of finished sessions that a stream is trained on: which there are, and what they hold."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator

import tensorflow as tf

from mtfx.datasets.file_names import literal
from mtfx.datasets.fingerprint import fingerprint
from mtfx.datasets.transitions.spec import TransitionSpec
from mtfx.datasets.transitions.table import TransitionTable, load_transitions
from mtfx.errors import DataError

_QUARANTINE = "quarantine"
_ENDS = (".gz", ".tfrecord", ".parquet")


class StreamFiles:
    """A directory into which files of transitions come, each of them whole."""

    def __init__(
        self, interactions: str, directory: str, spec: TransitionSpec, candidates: int | None
    ) -> None:
        """Keeps the settings.

        Args:
          interactions: The files' directory, as ``InteractionGen`` writes them.
          directory: The stream's own, for the quarantine.
          spec: What the files hold.
          candidates: Of each request, as many at most; None: an agent needs none.
        """
        self._interactions, self._directory = interactions, directory
        self._spec, self._candidates = spec, candidates

    def names(self, known: Collection[str]) -> list[str]:
        """Names of the files that have arrived and are not among the known ones, in order."""
        found = tf.io.gfile.glob(os.path.join(literal(self._interactions), "*"))
        names = sorted(os.path.basename(path) for path in found)
        return [name for name in names if name.endswith(_ENDS) and name not in known]

    def load(self, name: str) -> TransitionTable:
        """The transitions of a file, its bad records in quarantine.

        Raises:
          DataError: if it cannot be read.
        """
        return load_transitions(
            literal(os.path.join(self._interactions, name)),
            self._spec,
            max_transitions=2**62,
            quarantine_path=os.path.join(self._directory, _QUARANTINE, name + ".csv"),
            candidates=self._candidates,
        )

    def digest(self, name: str) -> str:
        """What changes with a file's content."""
        return fingerprint([os.path.join(self._interactions, name)], self._interactions)

    def check_unchanged(self, name: str, digest: str) -> None:
        """Raises DataError if a file is not what it was; older streams have no digest.

        Args:
          name: The file.
          digest: Of :meth:`digest` when it was trained on, or empty.
        """
        if digest not in ("", self.digest(name)):
            raise DataError(
                f"{os.path.join(self._interactions, name)} was changed since this stream was "
                "trained on it: put the earlier file back and what is new under another name, or "
                "begin anew in another directory"
            )


def session_rows(table: TransitionTable, skip: int) -> Iterator[tuple[int, int]]:
    """First row of each session and the row after its last, without the first ``skip`` sessions."""
    counts = tf.math.bincount(table.session_index).numpy()
    ends = counts.cumsum()
    for session in range(skip, len(counts)):
        yield int(ends[session] - counts[session]), int(ends[session])
