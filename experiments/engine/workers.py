"""A process that runs trials one after the other, with its own TensorFlow and its own threads.

TensorFlow takes the number of its threads from the environment when it is imported, and an imported
TensorFlow does not survive a fork. Workers are therefore spawned, and set their environment before
the trial's function, whose module imports TensorFlow, is loaded. A worker serves many trials,
because that import takes seconds, and not all of them, because its memory grows. Its death, for
example when memory runs out, fails one trial.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple

from mtfx.experiments.engine.data import TrialData
from mtfx.experiments.engine.results import LOG_FILE, TrialRecord

#: Takes the data of its kind, the trial, and the directories by key.
TrialFunction = Callable[[Any, Any, dict[str, str]], dict[str, Any]]
#: After so many a process is replaced: TensorFlow keeps some 100 MB of each trial's graphs.
TRIALS_OF_A_PROCESS = 16
_SECONDS_TO_END = 5.0


class TrialTask(NamedTuple):
    """What a worker needs to run one trial.

    Attributes:
      function: Module-level function of the data, the trial and the directories.
      data: The data.
      trial: The trial, a dataclass.
      key: Its key.
      directories: By key, the directories of the trial and of those it requires.
      fields: The trial's fields, for its record.
      code_version: Recorded with the result.
    """

    function: TrialFunction
    data: TrialData
    trial: Any
    key: str
    directories: dict[str, str]
    fields: dict[str, Any]
    code_version: str

    @property
    def directory(self) -> Path:
        """The trial's own directory."""
        return Path(self.directories[self.key])


class TrialOutcome(NamedTuple):
    """How a trial ended: after how many seconds, and with which error (empty if with none)."""

    seconds: float
    error: str


class TrialWorker:
    """The parent's side of a worker process.

    Attributes:
      task: What it is doing, or None.
      begin: When it began, in seconds of the monotonic clock.
      ended: Trials that it has run.
    """

    def __init__(self, threads: int):
        """Starts the process; ``threads`` are TensorFlow's threads within an operation."""
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, threads), daemon=True)
        self._process.start()
        theirs.close()
        self.task: TrialTask | None = None
        self.begin = 0.0
        self.ended = 0

    def start(self, task: TrialTask) -> None:
        """Hands over a trial; :meth:`outcome` is due when ``connection`` can be read."""
        self.task, self.begin = task, time.monotonic()
        # A worker that died meanwhile is noticed when its outcome is asked for.
        with contextlib.suppress(BrokenPipeError):
            self.connection.send((str(task.directory), pickle.dumps(task)))

    def outcome(self) -> tuple[TrialTask, TrialOutcome, bool]:
        """The trial that ended, how it ended, and whether the worker is still alive."""
        task = self.task
        assert task is not None
        self.task = None
        self.ended += 1
        seconds = time.monotonic() - self.begin
        try:
            return task, TrialOutcome(seconds, self.connection.recv()), True
        except (EOFError, ConnectionResetError):
            self._process.join(_SECONDS_TO_END)
            return task, TrialOutcome(seconds, _cause_of_death(self._process.exitcode)), False

    def end(self) -> None:
        """Ends the process, whatever it is doing."""
        self.connection.close()
        self._process.terminate()
        self._process.join(_SECONDS_TO_END)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _cause_of_death(exit_code: int | None) -> str:
    if exit_code == -signal.SIGKILL:
        return "its process was killed; if memory ran out, use fewer --workers"
    if exit_code is not None and exit_code < 0:
        return f"its process died of {signal.Signals(-exit_code).name}"
    return f"its process ended with exit code {exit_code}"


def _serve(connection: Connection, threads: int) -> None:
    """Main function of the worker process: runs what it is sent until the pipe is closed."""
    # Ctrl-C reaches the whole process group; the parent decides what becomes of its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(
        TF_NUM_INTRAOP_THREADS=str(threads),
        TF_NUM_INTEROP_THREADS="1",
        OMP_NUM_THREADS=str(threads),
        TF_CPP_MIN_LOG_LEVEL="1",
    )
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            directory, task = connection.recv()
        except EOFError:
            return
        connection.send(_run(Path(directory), task))


def _end_with_parent() -> None:
    """Ends this process when its parent is gone, even in the middle of a trial.

    A parent that was killed can end nobody, and the next run would find its directory in use.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _run(directory: Path, pickled: bytes) -> str:
    """Runs a pickled :class:`TrialTask`, all output to its log; returns the error, or nothing."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with _output_to(directory / LOG_FILE):
            try:
                # Here, because it imports the function's module, which may fail.
                task: TrialTask = pickle.loads(pickled)
                begin = time.monotonic()
                result = dict(task.function(task.data, task.trial, task.directories))
                result.setdefault("seconds", time.monotonic() - begin)
                TrialRecord(
                    task.key, task.fields, task.data.fingerprint, task.code_version, result
                ).write(directory)
            except BaseException:
                traceback.print_exc()
                raise
    except BaseException as error:
        return f"{type(error).__name__}: {error}".strip().splitlines()[0]
    return ""


@contextlib.contextmanager
def _output_to(path: Path) -> Iterator[None]:
    """Sends standard output and error, those of C++ included, to the end of a file."""
    with path.open("a", encoding="utf-8", errors="replace") as log:
        originals = [(descriptor, os.dup(descriptor)) for descriptor in (1, 2)]
        try:
            for descriptor, _ in originals:
                os.dup2(log.fileno(), descriptor)
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for descriptor, original in originals:
                os.dup2(original, descriptor)
                os.close(original)
