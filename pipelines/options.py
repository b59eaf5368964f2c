"""Configuration of a pipeline's input: which log is read, and how it becomes sessions."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path

from mtfx.config import Config
from mtfx.datasets.history import DEFAULT_LENGTH, LONGEST
from mtfx.datasets.registry import load_dataset, resolve_name
from mtfx.datasets.spec import DatasetSpec, Task
from mtfx.errors import UserError, require
from mtfx.pipelines.spans import check_spans

_DATASET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*\Z|[a-z][a-z0-9-]*\Z")


@dataclasses.dataclass(frozen=True)
class DataOptions(Config):
    """Which log is read, and how it becomes sessions.

    Attributes:
      dataset: Name of the data set, which `mtfx datasets` lists, or your own as module:ATTRIBUTE;
        synthetic is the one that the directory holds.
      data_dir: Directory of the log's files.
      tasks: Feedback to predict, by name; by default the data set's.
      pattern: Files of the directory to read; {SPAN} in a folder's name stands for the number of a
        delivery, such as 'day-{SPAN}/*', and {SPAN:8} for one of eight digits.
      span: Number for {SPAN}: the delivery to read.
      earlier_spans: Deliveries that are read together with it, in order: a rolling window.
      history_spans: Deliveries before those, in order, that sessions only look back on: for the
        user's earlier impressions, and counts by day.
      split_fractions: Shares of sessions in train, eval and test, by start time (RMTL, section
        3.1.1).
      gap_minutes: Away for longer than this: a new session. By default the data set's.
      max_session_length: Longer sessions are split in several. By default the data set's.
      history_length: Earlier impressions of the user that a session has, at most; 0: none.
      max_bad_rows: Share of a file's rows that may be quarantined before the run fails.
      schema_file: A curated TFX schema in text form, instead of the one made from the data set's
        description.
    """

    dataset: str
    data_dir: str
    tasks: tuple[str, ...] = ()
    pattern: str = "*"
    span: int = 1
    earlier_spans: tuple[int, ...] = ()
    history_spans: tuple[int, ...] = ()
    split_fractions: tuple[float, float, float] = (0.6, 0.2, 0.2)
    gap_minutes: float | None = None
    max_session_length: int | None = None
    # Until SessionFlattener leaves out the lists of earlier impressions.
    history_length: int = DEFAULT_LENGTH
    max_bad_rows: float = 0.01
    schema_file: str | None = None

    def __post_init__(self) -> None:
        try:
            name = resolve_name(self.dataset, self.data_dir)
        except ValueError as error:
            raise UserError(
                f"--dataset: {error}", "make one: mtfx synthesize --output-dir DATA_DIR"
            ) from error
        object.__setattr__(self, "dataset", name)
        require(
            _DATASET.match(self.dataset) is not None,
            f"--dataset {self.dataset!r} is neither a name nor module:ATTRIBUTE",
            "`mtfx datasets` lists the names",
        )
        require(
            len(set(self.tasks)) == len(self.tasks),
            f"--tasks names a task twice: {', '.join(self.tasks)}",
        )
        require(
            not os.path.isabs(self.pattern) and ".." not in self.pattern.split("/"),
            f"--pattern {self.pattern!r} leads out of --data-dir",
            "it names files below that directory, such as 'day-{SPAN}/*'",
        )
        others = (*self.history_spans, *self.earlier_spans)
        check_spans(self.pattern, self.span, others, "day-{SPAN}/*")
        shares = self.split_fractions
        require(
            len(shares) == 3
            and all(0 < share < 1 for share in shares)
            and abs(sum(shares) - 1) < 1e-6,
            "--split must be three shares between 0 and 1 that sum to 1, got "
            + ",".join(f"{share:g}" for share in shares),
            "for example --split 0.6,0.2,0.2 (train, eval, test)",
        )
        require(
            self.gap_minutes is None or self.gap_minutes > 0,
            f"--gap-minutes must be positive, got {self.gap_minutes}",
        )
        require(
            self.max_session_length is None or self.max_session_length >= 1,
            f"--max-session-length must be at least 1, got {self.max_session_length}",
        )
        require(
            0 <= self.history_length <= LONGEST,
            f"--history-length is a number from 0 to {LONGEST}, got {self.history_length}",
            "0 does without the user's earlier impressions",
        )
        require(
            0 <= self.max_bad_rows <= 1,
            f"--max-bad-rows is a share from 0 to 1, got {self.max_bad_rows:g}",
            "0.01 allows one row in a hundred to be quarantined",
        )

    def spec(self) -> DatasetSpec:
        """The data set's description, without the overrides.

        Raises:
          UserError: if there is no such data set.
        """
        try:
            return load_dataset(self.dataset)
        except ValueError as error:
            hint = (
                "a module is looked for in the current directory too; `mtfx datasets` lists names"
            )
            raise UserError(f"--dataset: {error}", hint) from error

    def selected_tasks(self) -> tuple[Task, ...]:
        """The tasks to train.

        Raises:
          UserError: if the data set lacks one of them.
        """
        try:
            return self.spec().select_tasks(self.tasks)
        except ValueError as error:
            raise UserError(f"--tasks: {error}") from error

    def with_binary_tasks(self) -> DataOptions:
        """The same; where no task is named, with those of the default tasks that are binary.

        Raises:
          UserError: if there is no such data set.
        """
        if self.tasks:
            return self
        binary = tuple(task.name for task in self.selected_tasks() if task.kind == "binary")
        return dataclasses.replace(self, tasks=binary)

    def check_files(self) -> None:
        """Checks that the directory holds a log of the data set.

        Raises:
          UserError: naming the flag and the directory.
        """
        require(
            self.schema_file is None or Path(self.schema_file).is_file(),
            f"--schema {self.schema_file} is not a file",
        )
        if "://" in self.data_dir:  # Beam reads it; a look from here could take long.
            return
        directory = Path(self.data_dir)
        require(
            directory.is_dir(),
            f"--data-dir {directory} is not a directory",
            "`mtfx synthesize` makes a data set to start with",
        )
        folder = os.path.dirname(self.pattern).replace("{SPAN}", "*").replace("{VERSION}", "*")
        logs = [os.path.join(folder, name) for name in self.spec().log_files]
        require(
            any(True for log in logs for _ in directory.glob(log)),
            f"--data-dir {directory} has no log of data set {self.dataset}, "
            f"which reads {', '.join(logs)}",
            "check --dataset, unpack the files there, or name their folder with --pattern",
        )
