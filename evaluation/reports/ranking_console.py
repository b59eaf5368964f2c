"""The closing words of a run on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mtfx.evaluation.ranking.summaries import TaskMetrics
from mtfx.evaluation.reports.ranking_page import (
    format_count,
    format_figure,
    format_percent,
    format_seconds,
)
from mtfx.evaluation.reports.ranking_summary import RunSummary


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
    parts.extend([_seconds(summary), _verdict(summary)])
    if summary.notes:
        # What was filled in, left out or not met must be seen without opening the report.
        parts.append(Text("\n".join(["Noted:", *(f"  {note}" for note in summary.notes)])))
    return Group(*(Padding(part, (1, 0, 0, 0)) for part in parts))


def _binary_table(summary: RunSummary, slices_per_column: int) -> Table:
    table = _table("Binary tasks on the test split")
    for header in ("AUC", "log loss", "s-logloss", "calibr.", "rate", "count"):
        table.add_column(header, justify="right", no_wrap=True)
    for task, slice_name, metrics in _rows(summary, "binary", slices_per_column):
        table.add_row(
            task,
            slice_name,
            format_figure(metrics.auc),
            format_figure(metrics.logloss, 5),
            format_figure(metrics.s_logloss, 5),
            format_figure(metrics.calibration, 3),
            format_percent(metrics.label_mean),
            format_count(metrics.example_count),
        )
    return table


def _regression_table(summary: RunSummary, slices_per_column: int) -> Table:
    table = _table("Regression tasks on the test split")
    for header in ("RMSE", "MAE", "R²", "label", "predicted", "count"):
        table.add_column(header, justify="right", no_wrap=True)
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


def _table(title: str) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("task", style="bold", no_wrap=True)
    # The only column that may wrap: on a narrow terminal the figures stay whole.
    table.add_column("slice", overflow="fold")
    return table


def _seconds(summary: RunSummary) -> Table:
    table = Table(title="Time", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.add_column("stage")
    table.add_column("wall clock", justify="right")
    for stage, seconds in summary.seconds.items():
        table.add_row(stage, format_seconds(seconds))
    table.add_section()
    table.add_row("total", format_seconds(sum(summary.seconds.values())))
    return table


def _verdict(summary: RunSummary) -> Text:
    # Text, not markup: a path or a name with brackets must come out as it is.
    text = Text(summary.verdict, style="bold green" if summary.blessed else "bold red")
    lines: Sequence[str] = summary.evaluation.reasons
    if summary.blessed:
        lines = [
            metrics.reason for metrics in summary.evaluation.metrics.values() if metrics.reason
        ]
    for line in lines:
        text.append(f"\n  {line}", style="not bold")
    if summary.pushed_model:
        text.append(f"\n  {summary.pushed_model}", style="not bold")
    return text
