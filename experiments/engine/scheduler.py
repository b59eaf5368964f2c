"""Scheduler of trials: each is run once, side by side, after those whose results it reads."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
from collections.abc import Iterator, Sequence
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from mtfx.experiments.engine.data import TrialData
from mtfx.experiments.engine.progress import TrialProgress
from mtfx.experiments.engine.results import LOG_FILE, TrialRecord, plain, trials_root
from mtfx.experiments.engine.trial import Trial
from mtfx.experiments.engine.workers import (
    TRIALS_OF_A_PROCESS,
    TrialFunction,
    TrialOutcome,
    TrialTask,
    TrialWorker,
)

_SECONDS_PER_TICK = 1.0


@dataclasses.dataclass(frozen=True)
class TrialFailure:
    """A trial that failed: its key, the error in one line, and the log with the traceback."""

    key: str
    error: str
    log_file: str


@dataclasses.dataclass(frozen=True)
class TrialOutcomes:
    """What became of all trials.

    Attributes:
      records: The finished ones by key, in the order asked for.
      failures: Those that failed.
      not_run: Keys of those that need a failed one.
      reused: Keys of those that an earlier run had finished.
    """

    records: dict[str, TrialRecord]
    failures: tuple[TrialFailure, ...]
    not_run: tuple[str, ...]
    reused: tuple[str, ...]


def run_trials(
    trials: Sequence[Trial],
    function: TrialFunction,
    data: TrialData,
    output_dir: str,
    workers: int,
    threads: int,
    progress: TrialProgress,
    code_version: str = "",
) -> TrialOutcomes:
    """Runs the trials that are not finished yet.

    Experiments that share an output directory share trials. A run that was stopped, however, goes
    on where it was: a trial counts as finished when its result is on disk. A trial's directory may
    hold what a killed attempt of it left.

    Args:
      trials: The trials, with all those they require.
      function: Module-level function of ``(data, trial, directories)``, where directories maps the
        keys of the trial and of those it requires to their directories; returns the result, of JSON
        types and NumPy arrays: ``{"metrics": {task: {figure: value}}, ...}``. It is called in a
        worker process.
      data: What the trials learn from.
      output_dir: Results go to ``output_dir/trials/<data>/<key>``.
      workers: Processes.
      threads: TensorFlow's threads within an operation, of each process.
      progress: Notified of each trial.
      code_version: Recorded with each result.

    Returns:
      What became of all trials. A failed one stops only those that require it.

    Raises:
      ValueError: if two trials have one key, a required trial is missing or comes later, or another
        process is running trials in the same directory.
    """
    by_key = _checked(trials)
    root = trials_root(output_dir, data)
    with _exclusive(root):
        run = _Run(by_key, function, data, root, progress, code_version)
        run.take_finished()
        progress.begin(run.reused, run.pending, workers)
        with contextlib.ExitStack() as alive:
            pool: list[TrialWorker] = []
            while run.pending or any(worker.task for worker in pool):
                pool = _assign(run, pool, workers, threads, alive)
                busy = {worker.connection: worker for worker in pool if worker.task}
                for connection in wait(list(busy), _SECONDS_PER_TICK):
                    worker = busy[connection]  # type: ignore[index]
                    task, outcome, lives = worker.outcome()
                    if not lives or worker.ended >= TRIALS_OF_A_PROCESS:
                        pool.remove(worker)
                        worker.end()
                    run.take(task, outcome)
                progress.tick()
    return run.outcomes()


class _Run:
    """The state of a run: which trials wait, and what became of the others."""

    def __init__(
        self,
        by_key: dict[str, Trial],
        function: TrialFunction,
        data: TrialData,
        root: Path,
        progress: TrialProgress,
        code_version: str,
    ):
        self._by_key = by_key
        self._function = function
        self._data = data
        self._root = root
        self._progress = progress
        self._code_version = code_version
        self._records: dict[str, TrialRecord] = {}
        self._failures: list[TrialFailure] = []
        self._not_run: list[str] = []
        self.reused: dict[str, TrialRecord] = {}
        self.pending: dict[str, Trial] = {}

    def take_finished(self) -> None:
        for key, trial in self._by_key.items():
            record = TrialRecord.read(self._root / key, self._data.fingerprint)
            if record is None or record.trial != _fields(trial):
                self.pending[key] = trial
            else:
                self.reused[key] = record
        self._records.update(self.reused)

    def next_task(self) -> TrialTask | None:
        """The first waiting trial that has all it requires; it waits no longer."""
        for key, trial in self.pending.items():
            if all(required in self._records for required in trial.requires):
                del self.pending[key]
                self._progress.started(key)
                directories = {k: str(self._root / k) for k in (key, *trial.requires)}
                return TrialTask(
                    self._function,
                    self._data,
                    trial,
                    key,
                    directories,
                    _fields(trial),
                    self._code_version,
                )
        return None

    def take(self, task: TrialTask, outcome: TrialOutcome) -> None:
        error = outcome.error
        record = None if error else TrialRecord.read(task.directory, self._data.fingerprint)
        if record is not None:
            self._records[task.key] = record
            self._progress.finished(task.key, outcome.seconds)
            return
        log_file = str(task.directory / LOG_FILE)
        failure = TrialFailure(task.key, error or "its result cannot be read", log_file)
        self._failures.append(failure)
        self._progress.failed(task.key, failure.error)
        self._drop_those_that_need({task.key})

    def _drop_those_that_need(self, lost: set[str]) -> None:
        for key, trial in list(self.pending.items()):
            # Required trials come first, so one pass follows a chain to its end.
            if lost & set(trial.requires):
                lost.add(key)
                del self.pending[key]
                self._not_run.append(key)
                self._progress.dropped(key)

    def outcomes(self) -> TrialOutcomes:
        return TrialOutcomes(
            records={key: self._records[key] for key in self._by_key if key in self._records},
            failures=tuple(self._failures),
            not_run=tuple(self._not_run),
            reused=tuple(self.reused),
        )


def _assign(
    run: _Run, pool: list[TrialWorker], workers: int, threads: int, alive: contextlib.ExitStack
) -> list[TrialWorker]:
    """Gives idle workers something to do, and starts more where trials are ready."""
    pool = list(pool)
    idle = [worker for worker in pool if worker.task is None]
    while idle or len(pool) < workers:
        task = run.next_task()
        if task is None:
            break
        if not idle:
            worker = TrialWorker(threads)
            alive.callback(worker.end)
            pool.append(worker)
            idle.append(worker)
        idle.pop().start(task)
    return pool


def _checked(trials: Sequence[Trial]) -> dict[str, Trial]:
    by_key: dict[str, Trial] = {}
    for trial in trials:
        missing = [key for key in trial.requires if key not in by_key]
        if missing:
            raise ValueError(f"trial {trial.key} needs {', '.join(missing)} before it")
        if trial.key in by_key:
            raise ValueError(f"two trials have the key {trial.key}")
        by_key[trial.key] = trial
    return by_key


def _fields(trial: Trial) -> dict[str, Any]:
    """The trial's fields as they come back from JSON."""
    return json.loads(json.dumps(plain(dataclasses.asdict(trial))))


@contextlib.contextmanager
def _exclusive(root: Path) -> Iterator[None]:
    """Keeps the trials' directory to this process; the lock goes with the process."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"another process is running trials in {root}; wait until it ends, or give this "
                "run another --output-dir"
            ) from None
        yield
