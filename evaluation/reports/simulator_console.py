"""A simulator beside its log on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mtfx.evaluation.reports.ranking_page import format_figure, format_percent


def render_simulator_report(report: Mapping[str, Any]) -> RenderableType:
    """The figures of a simulator's report, and where the simulation is off.

    Args:
      report: What ``SimulatorReport.to_json`` gives.

    Returns:
      Something ``rich.console.Console.print`` can print.
    """
    sessions = report["sessions"]
    table = Table(
        title=f"{sessions['log']:,} sessions of the log, {sessions['simulation']:,} simulated: "
        "mean ± 95% interval",
        title_justify="left",
        title_style="bold",
        caption="KS: largest distance of the distributions; in brackets: of two halves of the log",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("", style="bold", no_wrap=True)
    for title in ("log", "simulation", "difference", "KS"):
        table.add_column(title, justify="right")
    for row in report["quantities"]:
        halves = f"{format_figure(row['ks'], 3)} ({format_figure(row['ks_of_log'], 3)})"
        table.add_row(*_cells(row, lambda value: format_figure(value, 2)), halves)
    table.add_section()
    for row in report["rates"]:
        table.add_row(*_cells(row, format_percent), "")
    parts = [table, _verdict(report["findings"], report["notes"])]
    return Group(
        Text(f"response model: {report['response_model']}"),
        *(Padding(part, (1, 0, 0, 0)) for part in parts),
    )


def _cells(row: Mapping[str, Any], write: Any) -> list[str]:
    means = [
        f"{write(row[side]['mean'])} ± {write(row[side]['half_width'])}"
        for side in ("log", "simulation")
    ]
    relative = row["relative_difference"]
    gap = "" if relative is None else f"{relative:+.0%}" + ("*" if row["is_notable"] else "")
    return [row["title"], *means, gap]


def _verdict(findings: Sequence[str], notes: Sequence[str]) -> Text:
    if not findings:
        text = Text("no mean is off by more than a tenth and by more than chance", "bold green")
    else:
        text = Text("* off by more than a tenth and by more than chance", "bold red")
    for note in notes:
        text.append(f"\n  {note}", style="not bold")
    return text
