"""The closing words of a run of the fusion pipeline on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mtfx.evaluation.policies.comparison import FIGURES, PolicyRow
from mtfx.evaluation.reports.fusion_summary import FusionSummary
from mtfx.evaluation.reports.ranking_page import format_percent, format_seconds
from mtfx.evaluation.significance import Mean

#: Differences with a p-value below this are marked.
_SIGNIFICANT = 0.05


def render_fusion_summary(summary: FusionSummary) -> RenderableType:
    """Policies side by side, estimates, time per stage, verdict.

    Args:
      summary: The run.

    Returns:
      Something ``rich.console.Console.print`` can print.
    """
    parts = [_policies(summary), _estimates(summary), _seconds(summary), _verdict(summary)]
    return Group(*(Padding(part, (1, 0, 0, 0)) for part in parts))


def _policies(summary: FusionSummary) -> Table:
    table = _table(
        f"Policies on the same {summary.sessions:,} simulated sessions: mean ± 95% interval"
    )
    table.add_column("policy", style="bold", no_wrap=True)
    for title in FIGURES.values():
        table.add_column(title, justify="right")
    first = summary.comparison[0].policy
    table.add_column(f"watch time against {first}", justify="right")
    for row in summary.comparison:
        table.add_row(row.policy, *(_figure(key, row.figures[key]) for key in FIGURES), _gain(row))
    table.caption = f"* p < {_SIGNIFICANT}, paired by session"
    table.caption_justify = "left"
    return table


def _figure(key: str, mean: Mean) -> str:
    if mean.mean is None:
        return "\N{EN DASH}"
    if key == "positive_rate":
        return f"{format_percent(mean.mean)} ± {format_percent(mean.half_width)}"
    return f"{mean.mean:.2f} ± {mean.half_width or 0.0:.2f}"


def _gain(row: PolicyRow) -> str:
    test = row.differences.get("watch_s")
    if test is None or test.difference.mean is None:
        return ""
    star = "*" if test.p is not None and test.p < _SIGNIFICANT else ""
    return f"{test.difference.mean:+.2f} s{star}"


def _estimates(summary: FusionSummary) -> Table:
    table = _table(
        f"Return of a session, estimated from held-out interactions (discount {summary.gamma:g} "
        "per request)"
    )
    table.add_column("estimator", style="bold", no_wrap=True)
    table.add_column(summary.method, justify="right")
    table.add_column("current policy", justify="right")
    for name, estimate in summary.estimates.items():
        current = summary.current.get(name)
        table.add_row(name, _interval(estimate), _interval(current) if current else "")
    table.add_section()
    table.add_row("earned in the log", _interval(summary.logged), "")
    if summary.bar is not None:
        table.caption = f"the bar: {summary.bar:.3f}, {summary.bar_source}"
        table.caption_justify = "left"
    return table


def _interval(estimate: Mapping[str, Any]) -> str:
    value, low, high = (
        "\N{EN DASH}" if estimate[name] is None else f"{estimate[name]:.3f}"
        for name in ("value", "low", "high")
    )
    return f"{value} [{low}, {high}]"


def _seconds(summary: FusionSummary) -> Table:
    table = _table("Time")
    table.add_column("stage")
    table.add_column("wall clock", justify="right")
    for stage, seconds in summary.seconds.items():
        table.add_row(stage, format_seconds(seconds))
    table.add_section()
    table.add_row("total", format_seconds(sum(summary.seconds.values())))
    return table


def _table(title: str) -> Table:
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )


def _verdict(summary: FusionSummary) -> Text:
    text = Text(summary.verdict, style="bold green" if summary.blessed else "bold red")
    for line in summary.reasons:
        text.append(f"\n  {line}", style="not bold")
    if summary.pushed_model:
        text.append(f"\n  {summary.pushed_model}", style="not bold")
    return text
