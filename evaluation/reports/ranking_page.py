"""Writes the report of a run: ``report/summary.json`` for programs, ``report/index.html`` to read.

The page is one file without scripts or links to elsewhere: style and figures are inside it.
"""

from __future__ import annotations

import json
import math
import os
import pathlib
import tempfile
from collections.abc import Sequence

import jinja2

from mtfx.evaluation.ranking.summaries import SliceMetrics, TaskMetrics
from mtfx.evaluation.reports import ranking_figures as figures
from mtfx.evaluation.reports.ranking_summary import SPLITS, RunSummary, jsonable

REPORT_DIRECTORY = "report"
#: Rows of a slice table; the smallest slices beyond are left to ``summary.json``.
MAX_SLICE_ROWS = 30


def write_report(output_dir: str | os.PathLike[str], summary: RunSummary) -> pathlib.Path:
    """Writes both files below ``output_dir/report``; a reader never sees half a file.

    Returns:
      The path of ``index.html``.
    """
    directory = pathlib.Path(output_dir) / REPORT_DIRECTORY
    directory.mkdir(parents=True, exist_ok=True)
    text = json.dumps(summary.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(directory / "summary.json", text + "\n")
    page = directory / "index.html"
    write_atomically(page, render_html(summary))
    return page


def write_atomically(path: pathlib.Path, text: str) -> None:
    """Writes ``text`` to a temporary file beside ``path``, then renames it to ``path``."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files private; a report is for everybody who may see the directory.
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def render_html(summary: RunSummary) -> str:
    """The report as a self-contained HTML page."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mtfx.evaluation.reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=format_count, figure=format_figure, percent=format_percent, seconds=format_seconds
    )
    names = [task.name for task in summary.tasks]
    found = summary.evaluation
    return environment.get_template("report.html.j2").render(
        run=summary,
        splits=SPLITS,
        slice_tables=slice_tables(found.slices),
        change=change,
        base_rate_logloss=base_rate_logloss,
        curves=[
            (
                task.name,
                figures.roc_curve(task.name, found.metrics[task.name], found.plots[task.name]),
                figures.calibration_curve(task.name, found.plots[task.name]),
            )
            for task in summary.binary_tasks
            if task.name in found.plots
        ],
        training=figures.training_curves(summary.history, names),
        rates=figures.label_rates(summary.label_rates, names),
        config=json.dumps(jsonable(summary.config), indent=2, ensure_ascii=False),
        total_seconds=sum(summary.seconds.values()),
        slowest=max(summary.seconds.values(), default=0.0),
    )


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


def base_rate_logloss(metrics: TaskMetrics) -> float | None:
    """Log loss of always predicting the split's own rate, in nats; a useful model is below it."""
    rate = metrics.label_mean
    if rate is None or not 0.0 < rate < 1.0:
        return None
    return -(rate * math.log(rate) + (1.0 - rate) * math.log1p(-rate))


def change(new: float | None, old: float | None) -> str:
    """Signed difference, with a true minus sign; empty if either is undefined."""
    if new is None or old is None:
        return ""
    return f"{new - old:+.4f}".replace("-", "\N{MINUS SIGN}")


def format_count(value: float) -> str:
    """A whole number in groups of three digits."""
    return f"{value:,.0f}"


def format_figure(value: float | None, digits: int = 4) -> str:
    """A figure with fixed decimals; an en dash where it is undefined."""
    if value is None:
        return "\N{EN DASH}"
    return f"{value:,.{digits}f}" if abs(value) < 1e4 else f"{value:,.0f}"


def format_percent(value: float | None) -> str:
    """A share as a percentage of three significant digits; an en dash where it is undefined."""
    if value is None:
        return "\N{EN DASH}"
    digits = 2 if value >= 0.001 or value == 0 else 4
    return f"{value:.{digits}%}"


def format_seconds(value: float) -> str:
    """Seconds, above two minutes as minutes and seconds."""
    if value < 120:
        return f"{value:.1f} s"
    return f"{int(value // 60)} min {int(value % 60):02d} s"
