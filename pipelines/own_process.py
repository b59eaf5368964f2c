"""A job in a process of its own, whose observers stay in this one.

TensorFlow and Beam keep what they have traced for as long as a process lives: a daily loop grew by
about 0.8 GB a day. ``concurrent.futures`` has no way to call back while a job runs, and its pool
reports a killed worker without the signal; so the few lines are written here.
"""

from __future__ import annotations

import copy
import dataclasses
import multiprocessing
import pickle
import signal
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, TypeVar

from mtfx.errors import StageError

if TYPE_CHECKING:
    from mtfx.pipelines.local_runner import StageObserver, StageResult

T = TypeVar("T")
#: Called with a number and what is done with it.
Told = Callable[[int, str], None]
Job = Callable[["StageObserver", Told], T]


def run_in_own_process(job: Job[T], observer: StageObserver, told: Told) -> T:
    """Runs a job in a fresh process and waits for it.

    Args:
      job: Takes an observer and a function to tell; it and its result are pickled.
      observer: Notified, in this process, of each stage that the job runs.
      told: Called, in this process, whenever the job calls its own.

    Returns:
      The job's result.

    Raises:
      StageError: if the process was ended from outside, as for want of memory.
      Exception: what the job raised.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(job, there))
    process.start()
    there.close()
    try:
        while True:
            kind, arguments = here.recv()
            if kind == "returned":
                return arguments[0]
            if kind == "raised":
                error, trace = arguments
                raise error from _ChildError(trace)
            (told if kind == "told" else getattr(observer, kind))(*arguments)
    except EOFError:
        process.join()
        raise StageError("", _ending(process.exitcode)) from None
    finally:
        if process.is_alive():
            process.join(timeout=5)
            process.terminate()
        process.join()
        here.close()


def _ending(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        name = signal.Signals(-exit_code).name
        memory = ", as the kernel does when memory is short" if name == "SIGKILL" else ""
        return f"the process of this day was ended by {name}{memory}"
    return f"the process of this day ended with code {exit_code}"


def _work(job: Job[Any], connection: Connection) -> None:
    sender = _Sender(connection)
    try:
        sender.send("returned", job(sender, sender.told))
    except BaseException as error:
        sender.send("raised", _portable(error), "".join(traceback.format_exception(error)))


class _Sender:
    """A stage observer that sends all it is told to the other process."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._lock = connection, threading.Lock()

    def send(self, kind: str, *arguments: Any) -> None:
        # Rows are counted in other threads than the stage's.
        with self._lock:
            self._connection.send((kind, arguments))

    def told(self, number: int, what: str) -> None:
        self.send("told", number, what)

    def run_started(self, stages: tuple[str, ...]) -> None:
        self.send("run_started", stages)

    def started(self, stage: str) -> None:
        self.send("started", stage)

    def progressed(self, stage: str, rows: int) -> None:
        self.send("progressed", stage, rows)

    def finished(self, result: StageResult) -> None:
        # Observers show a stage's name, status and rows; artifacts hold what cannot be sent.
        self.send("finished", dataclasses.replace(result, outputs={}))

    def failed(self, stage: str, seconds: float, error: BaseException) -> None:
        self.send("failed", stage, seconds, _portable(error))


def _portable(error: BaseException) -> BaseException:
    """The error, or its text where it does not survive pickling."""
    try:
        # Copied as it will be when it is received, and pickled as it will be sent.
        pickle.dumps(copy.deepcopy(error))
        return error
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")


class _ChildError(Exception):
    """Where the error was raised, as text: a traceback cannot be sent."""
