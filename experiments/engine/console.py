"""The closing words of an experiment on the terminal."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from mtfx.experiments.engine.report import ExperimentReport
from mtfx.experiments.engine.table_text import console_legend, console_tables


def print_report(console: Console, report: ExperimentReport, directory: Path) -> None:
    """Prints tables, warnings, failed trials with their logs, and where the report is."""
    for table in report.tables:
        for shown in console_tables(table):
            console.print()
            console.print(shown)
        console.print(console_legend(table), style="dim", markup=False, highlight=False)
    for warning in report.warnings:
        console.print(f"\nwarning: {warning}", style="yellow", markup=False, highlight=False)
    for failure in report.outcomes.failures:
        console.print(f"failed: {failure.key}: {failure.error}", style="red", markup=False)
        console.print(f"  log: {failure.log_file}", markup=False, soft_wrap=True)
    for key in report.outcomes.not_run:
        console.print(f"not run: {key}, which needs a trial that failed", markup=False)
    console.print(f"\nreport: {directory / 'report.md'}", markup=False, soft_wrap=True)
