"""The log that a service writes of every request it ranks, and of the feedback to it.

Requests and feedback are two logs of Parquet files, because they are written at different times and
often by different programs. ``mtfx.components.feedback_join`` brings them together by request id.
"""

from __future__ import annotations

import abc
import dataclasses
import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import tensorflow as tf

from mtfx.files import atomic_path
from mtfx.serving.exploration import HASH_RANGE, stable_hash
from mtfx.serving.messages import Ranking, shown_example
from mtfx.serving.plausible_time import time_fault

REQUESTS, FEEDBACK, SHOWN = "requests", "feedback", "shown"
_FLOATS = pa.list_(pa.float32())
#: Of a request of 100 candidates and 50 earlier impressions, 2.8 kB, zstd leaves 1.6 kB and snappy,
#: Parquet's default, 2.0 kB, in the same time.
_COMPRESSION = "zstd"
_LOG = logging.getLogger(__name__)

REQUEST_SCHEMA = pa.schema(
    [
        ("request_id", pa.string()),
        ("session_id", pa.string()),
        ("user_id", pa.string()),
        ("step", pa.int64()),
        ("timestamp_ms", pa.int64()),
        ("request", pa.binary()),
        ("state", _FLOATS),
        ("predictions", _FLOATS),
        ("scores", _FLOATS),
        ("candidate_count", pa.int64()),
        ("chosen", pa.int64()),
        ("action", _FLOATS),
        ("log_density", pa.float32()),
        ("behaviour_policy", pa.string()),
        ("policy_version", pa.int64()),
        ("duration_s", pa.float32()),
    ]
)
FEEDBACK_SCHEMA = pa.schema(
    [
        ("request_id", pa.string()),
        ("timestamp_ms", pa.int64()),
        ("name", pa.string()),
        ("value", pa.float32()),
    ]
)
#: Name of the feedback that is the watch time, in seconds; any other is 0 or 1.
WATCH_S = "watch_s"


@dataclasses.dataclass(frozen=True)
class RequestContext:
    """Of a request, what the service knows and the ranker does not.

    Attributes:
      request_id: Unique; feedback names it.
      session_id: Of the user's session.
      user_id: The user.
      step: Number of the request in its session, from 0.
      arm: See ``mtfx.serving.exploration``.
    """

    request_id: str
    session_id: str
    user_id: str
    step: int
    arm: str


class _Rotating(abc.ABC):
    """Rows in memory that become a file once they are many, or old."""

    def __init__(self, directory: Path, name: str, suffix: str, rows: int, age_s: float):
        self._directory, self._name, self._suffix = directory, name, suffix
        self._limit, self._age_s = rows, age_s
        self._rows: list[Any] = []
        self._since = time.monotonic()
        self._lock = threading.Lock()

    def add(self, row: Any) -> None:
        with self._lock:
            if not self._rows:
                self._since = time.monotonic()
            self._rows.append(row)
            full = len(self._rows) >= self._limit
            if not full and time.monotonic() - self._since < self._age_s:
                return
            rows, self._rows = self._rows, []
        self._put(rows)

    def flush(self) -> None:
        with self._lock:
            rows, self._rows = self._rows, []
        if rows:
            self._put(rows)

    def _put(self, rows: list[Any]) -> None:
        # Names are in order of time, and those of two processes never meet.
        unique = f"{time.time_ns() // 1_000_000}-{uuid.uuid4().hex[:8]}"
        name = f"{self._name}-{unique}{self._suffix}"
        with atomic_path(self._directory / name) as partial:
            self._write(rows, partial)

    @abc.abstractmethod
    def _write(self, rows: list[Any], path: Path) -> None:
        """Writes a file."""


class _RotatingTable(_Rotating):
    def __init__(self, directory: Path, name: str, schema: pa.Schema, rows: int, age_s: float):
        super().__init__(directory, name, ".parquet", rows, age_s)
        self._schema = schema

    def _write(self, rows: list[Any], path: Path) -> None:
        table = pa.Table.from_pylist(rows, schema=self._schema)
        pyarrow.parquet.write_table(table, path, compression=_COMPRESSION)


class _RotatingRecords(_Rotating):
    def __init__(self, directory: Path, name: str, rows: int, age_s: float):
        super().__init__(directory, name, ".gz", rows, age_s)

    def _write(self, rows: list[Any], path: Path) -> None:
        with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
            for record in rows:
                writer.write(record)


class InteractionLogger:
    """Writes both logs; may be used from many threads. A context manager: leaving it flushes.

    A clock that says a time before 2000 or after 2100 is warned of once: its rows are written, so
    that no request fails for it, and the join leaves them out.
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        rows_per_file: int = 10_000,
        seconds_per_file: float = 60.0,
        example_share: float = 0.0,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """Makes the directories.

        Args:
          directory: Gets ``requests/`` and ``feedback/``, and ``shown/`` where features are logged.
          rows_per_file: A file is written when it has so many rows,
          seconds_per_file: or when its first row is so old and another comes. A process that dies
            loses what it had not written.
          example_share: Share of the requests of which the features of what was shown are logged
            too, so that they can be compared with those that are trained on; chosen by a hash of
            their ids.
          now_ms: Unix time in ms.

        Raises:
          ValueError: if a limit is not positive, or the share none.
        """
        if not 0.0 <= example_share <= 1.0:
            raise ValueError(f"example_share is a share from 0 to 1, got {example_share}")
        if rows_per_file < 1 or not seconds_per_file > 0:
            raise ValueError(
                f"files need a positive size and age, got {rows_per_file} and {seconds_per_file}"
            )
        self._clock_ms, self._warned = now_ms, False
        files = {}
        for name, schema in ((REQUESTS, REQUEST_SCHEMA), (FEEDBACK, FEEDBACK_SCHEMA)):
            folder = Path(directory, name)
            folder.mkdir(parents=True, exist_ok=True)
            files[name] = _RotatingTable(folder, name, schema, rows_per_file, seconds_per_file)
        self._requests, self._feedback = files[REQUESTS], files[FEEDBACK]
        self._example_share = example_share
        self._shown = None
        if example_share:
            folder = Path(directory, SHOWN)
            folder.mkdir(parents=True, exist_ok=True)
            self._shown = _RotatingRecords(folder, SHOWN, rows_per_file, seconds_per_file)

    def _now_ms(self) -> int:
        now = self._clock_ms()
        if not self._warned and (fault := time_fault(now)):
            self._warned = True
            _LOG.warning("the clock of the interaction log says %d: %s", now, fault)
        return now

    def __enter__(self) -> InteractionLogger:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()

    def log_request(
        self,
        context: RequestContext,
        request: bytes,
        ranking: Ranking,
        shown: int,
        duration_s: float,
        log_density: float = float("nan"),
    ) -> None:
        """Writes a request down when its top item is shown.

        Args:
          context: Who asked.
          request: As it was sent; the answer can be computed again from it.
          ranking: The ranker's answer.
          shown: Place of the shown candidate in the request, usually the first ranked index.
          duration_s: Length of what is shown, seconds; 0 if it has none.
          log_density: The ranker's ``log_density`` where it explored; NaN otherwise.

        Raises:
          ValueError: if the shown candidate is none of the request's, or the step is negative.
        """
        count = len(ranking.scores)
        if not 0 <= shown < count:
            raise ValueError(f"candidate {shown} was not among the request's {count}")
        if context.step < 0:
            raise ValueError(f"a session's steps count from 0, got {context.step}")
        self._requests.add(
            {
                "request_id": context.request_id,
                "session_id": context.session_id,
                "user_id": context.user_id,
                "step": context.step,
                "timestamp_ms": self._now_ms(),
                "request": request,
                "state": ranking.state,
                "predictions": np.ravel(ranking.predictions),
                "scores": ranking.scores,
                "candidate_count": count,
                "chosen": shown,
                "action": ranking.action,
                "log_density": log_density,
                "behaviour_policy": context.arm,
                "policy_version": ranking.version,
                "duration_s": duration_s,
            }
        )

        if self._shown is not None:
            place = stable_hash(f"shown/{context.request_id}") / HASH_RANGE
            if place < self._example_share:
                self._shown.add(shown_example(request, shown, count))

    def log_feedback(self, request_id: str, values: Mapping[str, float]) -> None:
        """Writes down what a user did with the shown item; may be called again for more.

        Args:
          request_id: Of the request.
          values: By name: 1 (or 0) for a feedback, seconds for ``watch_s``.

        Raises:
          ValueError: if a value is negative or no number.
        """
        for name, value in values.items():
            if not 0.0 <= value < float("inf"):
                raise ValueError(f"feedback {name} of request {request_id} is {value}")
        now = self._now_ms()
        for name, value in values.items():
            self._feedback.add(
                {"request_id": request_id, "timestamp_ms": now, "name": name, "value": value}
            )

    def flush(self) -> None:
        """Writes what is in memory, in files of its own."""
        self._requests.flush()
        self._feedback.flush()
        if self._shown is not None:
            self._shown.flush()


def read_log(directory: str | Path, columns: Sequence[str] | None = None) -> pa.Table:
    """All files of one log, in order of their names; for looking at, not for large logs."""
    files = sorted(Path(directory).glob("*.parquet"))
    return pa.concat_tables([pyarrow.parquet.read_table(file, columns=columns) for file in files])
