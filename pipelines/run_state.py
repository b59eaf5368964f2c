"""State of an interrupted run: what it leaves behind, and how the next run copes with it.

A run that was killed leaves executions marked as running and directories half written. Neither is
ever taken for a result (only published outputs are), but the directories take up space: the next
run removes them. A lock of the operating system keeps two living runs apart; it goes with its
process, so a killed run blocks nobody.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration import metadata
from tfx.orchestration.portable.mlmd import execution_lib
from tfx.proto.orchestration import pipeline_pb2

from mtfx.errors import UserError


@contextlib.contextmanager
def exclusive(connection: metadata_store_pb2.ConnectionConfig) -> Iterator[None]:
    """Keeps the metadata database to this process; does nothing for a database server.

    Raises:
      UserError: if another process has it.
    """
    if not connection.HasField("sqlite"):
        yield
        return
    path = Path(connection.sqlite.filename_uri + ".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise UserError(
                f"another run (process {lock.read().strip() or 'unknown'}) is using {path.parent}",
                "wait until it ends, or give this run another --output-dir",
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def discard_unfinished(
    connection: metadata_store_pb2.ConnectionConfig,
    runtime: pipeline_pb2.PipelineRuntimeSpec,
) -> None:
    """Cancels executions that a dead run left as running and removes their output directories.

    Call it with :func:`exclusive` held: then nothing marked as running can be alive.

    Raises:
      UserError: if the database cannot be read. One that another program has locked is waited for.
    """
    if not connection.HasField("sqlite"):
        return
    _check(connection)
    root = Path(runtime.pipeline_root.field_value.string_value)
    with metadata.Metadata(connection) as handle:
        executions = handle.store.get_executions()
        unfinished = [e for e in executions if execution_lib.is_execution_active(e)]
        for execution in unfinished:
            execution.last_known_state = metadata_store_pb2.Execution.CANCELED
            for directory in root.glob(f"*/*/{execution.id}"):
                shutil.rmtree(directory, ignore_errors=True)
        if unfinished:
            handle.store.put_executions(unfinished)


def _check(connection: metadata_store_pb2.ConnectionConfig) -> None:
    """Raises UserError if there is a file, and it is no database of ML Metadata."""
    try:
        with metadata.Metadata(connection):
            return
    except RuntimeError as error:
        raise UserError(
            f"{connection.sqlite.filename_uri} cannot be read as a metadata database: "
            f"{str(error).splitlines()[0][:300]}",
            "put its backup back, or move it away: all stages run anew then",
        ) from error
