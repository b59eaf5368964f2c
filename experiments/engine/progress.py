"""Progress of an experiment: trials done, running, failed, and the time that is left."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.text import Text

from mtfx.experiments.engine.results import TrialRecord
from mtfx.experiments.engine.trial import Trial

_SHOWN = 3


@dataclasses.dataclass
class TimeLeft:
    """Mean seconds per kind of work, over what is left to do and the number of workers.

    Work that has not been seen counts as the mean of those that have. Workers that must wait
    for a required trial make it take longer than this.

    Attributes:
      works: Work of each trial that is not done, by key.
      workers: Trials run side by side.
    """

    works: Mapping[str, str] = dataclasses.field(default_factory=dict)
    workers: int = 1

    def __post_init__(self) -> None:
        self._left = dict(self.works)
        self._begun: dict[str, float] = {}
        self._seen: dict[str, list[float]] = {}

    def learn(self, work: str, seconds: float) -> None:
        """Counts a trial that an earlier run finished."""
        self._seen.setdefault(work, []).append(seconds)

    def started(self, key: str, now: float) -> None:
        """A trial begins at ``now``, in seconds."""
        self._begun[key] = now

    def finished(self, key: str, seconds: float) -> None:
        """A trial ended well after ``seconds``."""
        self.learn(self._left[key], seconds)
        self.dropped(key)

    def dropped(self, key: str) -> None:
        """A trial needs no more time, although it did not end well."""
        del self._left[key]
        self._begun.pop(key, None)

    def seconds(self, now: float) -> float | None:
        """Seconds left at ``now``; None as long as no trial has ended."""
        if not self._seen:
            return None
        means = {work: sum(values) / len(values) for work, values in self._seen.items()}
        overall = sum(means.values()) / len(means)
        longest, total = 0.0, 0.0
        for key, work in self._left.items():
            spent = now - self._begun[key] if key in self._begun else 0.0
            left = max(means.get(work, overall) - spent, 0.0)
            longest, total = max(longest, left), total + left
        return max(longest, total / self.workers)


def clock(seconds: float) -> str:
    """A duration in words, such as ``50 s``, ``12 min`` or ``3 h 05 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


class TrialProgress:
    """Notified of what happens while trials run; this one keeps the score and shows nothing.

    Use it as a context manager; leaving it restores the terminal.

    Attributes:
      total: Trials in all.
      done: Trials that are finished, failed or dropped, earlier runs' included.
      running: Keys of running trials.
    """

    def __init__(self) -> None:
        self.total = 0
        self.done = 0
        self.running: list[str] = []
        self.time_left = TimeLeft()

    def __enter__(self) -> TrialProgress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    def begin(
        self, reused: Mapping[str, TrialRecord], pending: Mapping[str, Trial], workers: int
    ) -> None:
        """A run begins; ``reused`` are finished already."""
        self.done = len(reused)
        self.total = self.done + len(pending)
        self.time_left = TimeLeft(
            works={key: trial.work for key, trial in pending.items()}, workers=workers
        )
        for record in reused.values():
            self.time_left.learn(str(record.trial.get("method")), record.result["seconds"])

    def started(self, key: str) -> None:
        """A trial begins."""
        self.running.append(key)
        self.time_left.started(key, time.monotonic())

    def finished(self, key: str, seconds: float) -> None:
        """A trial ended well."""
        self._ended(key)
        self.time_left.finished(key, seconds)

    def failed(self, key: str, error: str) -> None:
        """A trial failed."""
        self._ended(key)
        self.time_left.dropped(key)

    def dropped(self, key: str) -> None:
        """A trial will not run, because one that it needs has failed."""
        self.done += 1
        self.time_left.dropped(key)

    def tick(self) -> None:
        """Called about once per second."""

    def _ended(self, key: str) -> None:
        self.running.remove(key)
        self.done += 1

    def _left(self) -> str:
        seconds = self.time_left.seconds(time.monotonic())
        if seconds is None or seconds < 1.0 or self.done == self.total:
            return ""
        return f"about {clock(seconds)} left"


class LiveTrialProgress(TrialProgress):
    """A bar on a terminal, with the running trials beside it."""

    def __init__(self, console: Console):
        super().__init__()
        self._console = console
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("{task.completed:.0f}/{task.total:.0f} trials"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[left]}"),
            TextColumn("[dim]{task.fields[running]}[/]"),
            console=console,
            refresh_per_second=4,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._progress.add_task("trials", total=1, left="", running="")

    def __enter__(self) -> LiveTrialProgress:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def failed(self, key: str, error: str) -> None:
        """Prints the failure above the bar."""
        super().failed(key, error)
        # Text, not markup: an error with brackets must come out as it is.
        self._console.print(Text.assemble(("failed", "red"), f" {key}: {error}"))

    def tick(self) -> None:
        """Updates the bar."""
        more = len(self.running) - _SHOWN
        shown = ", ".join(self.running[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
        self._progress.update(
            self._task,
            completed=self.done,
            total=max(self.total, 1),
            left=self._left(),
            running=shown,
        )


class PlainTrialProgress(TrialProgress):
    """One line per trial, for logs and pipes."""

    def __init__(self, console: Console):
        super().__init__()
        self._console = console

    def begin(
        self, reused: Mapping[str, TrialRecord], pending: Mapping[str, Trial], workers: int
    ) -> None:
        """Prints how many trials there are."""
        super().begin(reused, pending, workers)
        self._line(f"{self.total} trials, {self.done} of them finished before")

    def finished(self, key: str, seconds: float) -> None:
        """Prints the trial's line."""
        super().finished(key, seconds)
        left = self._left()
        self._line(
            f"{self.done}/{self.total} {key} {seconds:.1f} s" + (f", {left}" if left else "")
        )

    def failed(self, key: str, error: str) -> None:
        """Prints the failure."""
        super().failed(key, error)
        self._line(f"{self.done}/{self.total} {key} failed: {error}")

    def dropped(self, key: str) -> None:
        """Prints why it does not run."""
        super().dropped(key)
        self._line(f"{self.done}/{self.total} {key} not run: it needs a trial that failed")

    def _line(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def trial_progress(console: Console) -> LiveTrialProgress | PlainTrialProgress:
    """What suits the console: a live display on a terminal, plain lines elsewhere."""
    return LiveTrialProgress(console) if console.is_terminal else PlainTrialProgress(console)
