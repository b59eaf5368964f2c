"""Progress of a run on the terminal: one line per stage, alive while the stage runs."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, Task, TaskID, TextColumn
from rich.text import Text

if TYPE_CHECKING:
    from mtfx.pipelines.local_runner import StageResult


def describe_rows(rows: int, seconds: float) -> str:
    """Rows and their rate, such as ``84,579 rows, 12,345 rows/s``."""
    if not seconds:
        return f"{rows:,} rows"
    return f"{rows:,} rows, {rows / seconds:,.0f} rows/s"


class _ElapsedColumn(TextColumn):
    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Task) -> Text:
        seconds = task.finished_time if task.finished else task.elapsed
        return Text(f"{seconds or 0.0:7.1f} s", style="progress.elapsed")


class LiveProgress:
    """A stage observer for a terminal: spinner, bar, seconds and row rate per stage.

    Use it as a context manager; leaving it restores the terminal.
    """

    def __init__(self, console: Console):
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            _ElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            refresh_per_second=4,
            # What libraries print belongs in the log file, not between the stages' lines.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._tasks: dict[str, TaskID] = {}
        self._rows: dict[str, int] = {}
        self._width = 0
        self._lock = threading.Lock()

    def __enter__(self) -> LiveProgress:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def run_started(self, stages: tuple[str, ...]) -> None:
        """Aligns the stages' names."""
        self._width = max(map(len, stages), default=0)

    def started(self, stage: str) -> None:
        """Adds the stage's line."""
        self._tasks[stage] = self._progress.add_task(stage.ljust(self._width), total=None, note="")

    def progressed(self, stage: str, rows: int) -> None:
        """Shows the rows handled so far and their rate."""
        with self._lock:
            total = self._rows[stage] = self._rows.get(stage, 0) + rows
        task = self._tasks[stage]
        elapsed = self._progress.tasks[task].elapsed or 0.0
        self._progress.update(task, note=f"[dim]{describe_rows(total, elapsed)}[/]")

    def finished(self, result: StageResult) -> None:
        """Closes the stage's line."""
        self._progress.update(
            self._tasks[result.name],
            total=1,
            completed=1,
            note=_note(result, self._rows.get(result.name)),
        )

    def failed(self, stage: str, seconds: float, error: BaseException) -> None:
        """Marks the stage's line."""
        self._progress.update(self._tasks[stage], note="[red]failed[/]")
        self._progress.stop_task(self._tasks[stage])


class PlainProgress:
    """A stage observer for logs and pipes: one line of text per stage."""

    def __init__(self, console: Console):
        self._console = console
        self._rows: dict[str, int] = {}
        self._width = 0
        self._lock = threading.Lock()

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    def run_started(self, stages: tuple[str, ...]) -> None:
        """Aligns the stages' names."""
        self._width = max(map(len, stages), default=0)

    def started(self, stage: str) -> None:
        """Prints nothing: a stage has one line."""

    def progressed(self, stage: str, rows: int) -> None:
        """Adds up the rows for the stage's line."""
        with self._lock:
            self._rows[stage] = self._rows.get(stage, 0) + rows

    def finished(self, result: StageResult) -> None:
        """Prints the stage's line."""
        note = Text.from_markup(_note(result, self._rows.get(result.name))).plain
        self._line(result.name, result.seconds, note)

    def failed(self, stage: str, seconds: float, error: BaseException) -> None:
        """Prints that the stage failed."""
        self._line(stage, seconds, "failed")

    def _line(self, stage: str, seconds: float, note: str) -> None:
        line = f"{stage.ljust(self._width)} {seconds:7.1f} s  {note}".rstrip()
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def stage_progress(console: Console) -> LiveProgress | PlainProgress:
    """The observer that suits the console: a live display on a terminal, plain lines elsewhere."""
    return LiveProgress(console) if console.is_terminal else PlainProgress(console)


class RowProgress:
    """Progress of a single job over rows, whose number may be known.

    Attributes:
      rows: Rows that are done.
    """

    def __init__(self, console: Console, label: str, total: int | None):
        self._console = console
        self._label = label
        self._begin = time.monotonic()
        self.rows = 0
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            _ElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task(label, total=total, note="")

    def __enter__(self) -> RowProgress:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()
        if error is None and self.rows and not self._console.is_terminal:
            seconds = time.monotonic() - self._begin
            note = describe_rows(self.rows, seconds)
            self._console.print(f"{self._label}  {seconds:.1f} s  {note}", highlight=False)

    def advance(self, rows: int) -> None:
        """Adds ``rows`` rows that are done."""
        self.rows += rows
        note = describe_rows(self.rows, time.monotonic() - self._begin)
        self._progress.update(self._task, completed=self.rows, note=note)


def _note(result: StageResult, reported_rows: int | None) -> str:
    if result.status != "finished":
        return f"[dim]{result.status}[/]"
    rows = result.rows if result.rows is not None else reported_rows
    return describe_rows(rows, result.seconds) if rows is not None else ""
