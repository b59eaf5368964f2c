"""The report of a run of the ranking pipeline: its summary as JSON, a page and on the terminal.

The pipeline fills the summary; ``summary.json``, the page and the tables are views of it.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from mtfx.datasets.spec import Task
from mtfx.evaluation.ranking.list_metrics import NDCG_K
from mtfx.evaluation.ranking.paired_comparison import TreesBeside
from mtfx.evaluation.ranking.summaries import EvaluationSummary, SliceMetrics, TaskMetrics
from mtfx.evaluation.reports import ranking_figures as figures
from mtfx.evaluation.reports.kit.pages import render_page, write_report
from mtfx.evaluation.reports.kit.tables import (
    add_figures,
    format_count,
    format_figure,
    format_percent,
    new_table,
    outcome_style,
    seconds_table,
    stacked,
    verdict,
)
from mtfx.evaluation.reports.ranking_trees import trees_lines, trees_rows, trees_table
from mtfx.files import jsonable

SPLITS = ("train", "eval", "test")
REPORT_DIRECTORY, SUMMARY_FILE = "report", "summary.json"
#: Rows of a slice table; the smallest slices beyond are left to ``summary.json``.
MAX_SLICE_ROWS = 30


@dataclasses.dataclass(frozen=True)
class Ingestion:
    """What happened to the rows of the raw log.

    Attributes:
      rows_read: Rows of all log files.
      quarantined: Rows rejected, by reason.
      examples: The first rejected rows, one sentence each with file, row and reason.
      quarantine_file: Where all of them are.
      duplicates: Exact duplicates dropped.
      sessions_split: Sessions cut in pieces because they were too long.
      implied: Impressions known only by a later event of theirs.
    """

    rows_read: int = 0
    quarantined: Mapping[str, int] = dataclasses.field(default_factory=dict)
    examples: Sequence[str] = ()
    quarantine_file: str | None = None
    duplicates: int = 0
    sessions_split: int = 0
    implied: int = 0


@dataclasses.dataclass(frozen=True)
class RunSummary:
    """A run of the ranking pipeline.

    Attributes:
      dataset: Name of the data set.
      backbone: Name of the backbone.
      seed: Seed of the run.
      tasks: The model's tasks.
      sessions: Sessions by split (``train``, ``eval``, ``test``).
      impressions: Impressions by split.
      evaluation: What the Evaluator found on the test split.
      blessed: Whether the Evaluator blessed the model.
      pushed_model: Directory of the pushed SavedModel; None if it was not pushed.
      seconds: Wall clock seconds by stage, in the order of the stages.
      ingestion: What happened to the rows of the log.
      history: One mapping per epoch: ``loss``, ``val_loss``, ``val_<task>_auc`` and so on,
        None or missing where undefined.
      label_rates: Rows of ``{day: "2022-04-10", split, impressions, <task>: mean known label}``,
        None where no label is known.
      config: The run's configuration, JSON-like.
      command: The command line that repeats the run.
      code_version: Version of the code.
      data_span: Time of the first and of the last impression, as text.
      notes: What was missing or assumed, one sentence each.
      model: Directory of the model's artifact.
      trees: The model beside boosted trees; None if they were not asked for.
      calibration: By task, how its logits were calibrated on the eval split before they are served:
        the fields of ``mtfx.models.calibration.TaskCalibration``.
    """

    dataset: str
    backbone: str
    seed: int
    tasks: Sequence[Task]
    sessions: Mapping[str, int]
    impressions: Mapping[str, int]
    evaluation: EvaluationSummary
    blessed: bool
    pushed_model: str | None
    seconds: Mapping[str, float]
    ingestion: Ingestion = Ingestion()
    history: Sequence[Mapping[str, float | None]] = ()
    label_rates: Sequence[Mapping[str, Any]] = ()
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    command: str = ""
    code_version: str = ""
    data_span: tuple[str, str] | None = None
    notes: Sequence[str] = ()
    model: str = ""
    trees: TreesBeside | None = None
    calibration: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)

    @property
    def quarantined(self) -> int:
        """Rows rejected, of all reasons."""
        return sum(self.ingestion.quarantined.values())

    @property
    def verdict(self) -> str:
        """The outcome in one sentence."""
        if self.blessed and self.pushed_model:
            return "The model was blessed and pushed."
        if self.blessed:
            return "The model was blessed, but not pushed."
        return "The model was not blessed, so it was not pushed."

    @property
    def binary_tasks(self) -> tuple[Task, ...]:
        """The tasks that predict a probability."""
        return tuple(task for task in self.tasks if task.kind == "binary")

    @property
    def regression_tasks(self) -> tuple[Task, ...]:
        """The tasks that predict a value."""
        return tuple(task for task in self.tasks if task.kind == "regression")

    def to_json(self) -> dict[str, Any]:
        """The content of ``summary.json``; undefined figures are null, never NaN."""
        found = self.evaluation
        return jsonable(
            {
                "dataset": self.dataset,
                "backbone": self.backbone,
                "seed": self.seed,
                "sessions": {split: self.sessions.get(split, 0) for split in SPLITS},
                "impressions": {split: self.impressions.get(split, 0) for split in SPLITS},
                "quarantined": self.quarantined,
                "metrics": {name: task.to_json() for name, task in found.metrics.items()},
                "calibration": self.calibration,
                "blessed": self.blessed,
                "pushed_model": self.pushed_model,
                "model": self.model,
                "seconds": self.seconds,
                "blessing_reasons": found.reasons,
                "baseline_metrics": found.baseline
                and {name: task.to_json() for name, task in found.baseline.items()},
                "slices": [
                    {
                        "column": part.column,
                        "value": part.value,
                        "metrics": {name: task.to_json() for name, task in part.metrics.items()},
                    }
                    for part in found.slices
                ],
                "history": self.history,
                "label_rates": self.label_rates,
                "ingestion": dataclasses.asdict(self.ingestion),
                "data_span": self.data_span,
                "notes": self.notes,
                "config": self.config,
                "command": self.command,
                "code_version": self.code_version,
                "trees": self.trees and self.trees.to_dict(),
            }
        )


def write_ranking_report(output_dir: str | os.PathLike[str], summary: RunSummary) -> Path:
    """Writes ``summary.json`` and ``index.html`` below ``output_dir/report``.

    Returns:
      The path of ``index.html``.
    """
    directory = Path(output_dir, REPORT_DIRECTORY)
    page = render_ranking_page(summary)
    return write_report(directory, SUMMARY_FILE, summary.to_json(), page, indent=2)


def render_ranking_page(summary: RunSummary) -> str:
    """The report as a self-contained HTML page."""
    names = [task.name for task in summary.tasks]
    found = summary.evaluation
    values = {
        "run": summary,
        "splits": SPLITS,
        "slice_tables": slice_tables(found.slices),
        "change": change,
        "trees_rows": trees_rows,
        "trees_lines": trees_lines,
        "ndcg_k": NDCG_K,
        "curves": [
            (
                task.name,
                figures.roc_curve(task.name, found.metrics[task.name], found.plots[task.name]),
                figures.calibration_curve(task.name, found.plots[task.name]),
            )
            for task in summary.binary_tasks
            if task.name in found.plots
        ],
        "training": figures.training_curves(summary.history, names),
        "rates": figures.label_rates(summary.label_rates, names),
        "total_seconds": sum(summary.seconds.values()),
        "slowest": max(summary.seconds.values(), default=0.0),
    }
    return render_page("ranking.html.j2", values)


def slice_tables(
    slices: Sequence[SliceMetrics],
) -> list[tuple[str, list[SliceMetrics], int]]:
    """Per column: its largest slices, by rising value if numeric, and how many are left out."""
    tables = []
    for column in dict.fromkeys(part.column for part in slices):
        parts = sorted(
            (part for part in slices if part.column == column),
            key=lambda part: -part.example_count,
        )
        shown = parts[:MAX_SLICE_ROWS]
        if all(part.value.lstrip("-").isdigit() for part in shown):
            shown.sort(key=lambda part: int(part.value))
        tables.append((column, shown, len(parts) - len(shown)))
    return tables


def change(new: float | None, old: float | None) -> str:
    """Signed difference, with a true minus sign; empty if either is undefined."""
    if new is None or old is None:
        return ""
    return f"{new - old:+.4f}".replace("-", "\N{MINUS SIGN}")


def render_summary(summary: RunSummary, slices_per_column: int = 3) -> RenderableType:
    """Metrics per task and slice, the time per stage, the blessing, the path pushed, and the notes.

    Args:
      summary: The run.
      slices_per_column: How many of each column's largest slices are shown.

    Returns:
      Something ``rich.console.Console.print`` can print.
    """
    parts: list[RenderableType] = []
    if summary.binary_tasks:
        parts.append(_binary_table(summary, slices_per_column))
    if summary.regression_tasks:
        parts.append(_regression_table(summary, slices_per_column))
    if summary.trees:
        parts.extend([trees_table(summary.trees), Text("\n".join(trees_lines(summary.trees)))])
    parts.extend([seconds_table(summary.seconds), _verdict(summary)])
    if summary.notes:
        # What was filled in, left out or not met must be seen without opening the report.
        parts.append(Text("\n".join(["Noted:", *(f"  {note}" for note in summary.notes)])))
    return stacked(parts)


def _binary_table(summary: RunSummary, slices_per_column: int) -> Table:
    table = _task_table("Binary tasks on the test split")
    headers = ("AUC", "GAUC", f"NDCG@{NDCG_K}", "NE", "log loss", "calibr.", "rate", "count")
    add_figures(table, headers, no_wrap=True)
    for task, slice_name, metrics in _rows(summary, "binary", slices_per_column):
        table.add_row(
            task,
            slice_name,
            format_figure(metrics.auc),
            format_figure(metrics.gauc),
            format_figure(metrics.ndcg),
            format_figure(metrics.normalized_entropy),
            format_figure(metrics.logloss),
            format_figure(metrics.calibration, 3),
            format_percent(metrics.label_mean),
            format_count(metrics.example_count),
        )
    return table


def _regression_table(summary: RunSummary, slices_per_column: int) -> Table:
    table = _task_table("Regression tasks on the test split")
    headers = ("RMSE", "MAE", "R²", "label", "predicted", "count")
    add_figures(table, headers, no_wrap=True)
    for task, slice_name, metrics in _rows(summary, "regression", slices_per_column):
        table.add_row(
            task,
            slice_name,
            format_figure(metrics.rmse, 1),
            format_figure(metrics.mae, 1),
            format_figure(metrics.r_squared),
            format_figure(metrics.label_mean, 1),
            format_figure(metrics.prediction_mean, 1),
            format_count(metrics.example_count),
        )
    return table


def _rows(
    summary: RunSummary, kind: str, slices_per_column: int
) -> list[tuple[str, str, TaskMetrics]]:
    rows = []
    for task in summary.tasks:
        if task.kind != kind:
            continue
        rows.append((task.name, "all", summary.evaluation.metrics[task.name]))
        shown: dict[str, int] = {}
        for part in summary.evaluation.slices:
            shown[part.column] = shown.get(part.column, 0) + 1
            if shown[part.column] <= slices_per_column and task.name in part.metrics:
                rows.append(("", f"{part.column}={part.value}", part.metrics[task.name]))
    return rows


def _task_table(title: str) -> Table:
    table = new_table(title, ["task"])
    # The only column that may wrap: on a narrow terminal the figures stay whole.
    table.add_column("slice", overflow="fold")
    return table


def _verdict(summary: RunSummary) -> Text:
    lines = list(summary.evaluation.reasons)
    if summary.blessed:
        found = summary.evaluation.metrics.values()
        lines = [metrics.reason for metrics in found if metrics.reason]
    if summary.pushed_model:
        lines.append(summary.pushed_model)
    return verdict(summary.verdict, outcome_style(summary.blessed), lines)
