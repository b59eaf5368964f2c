"""The days of a daily loop on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mtfx.evaluation.reports.daily_days import Day, Model

#: Days shown; the page has them all.
_SHOWN = 14
_STYLES = {"done": "green", "checked": "", "refused": "yellow", "failed": "red"}


def render_days(days: Sequence[Day]) -> RenderableType:
    """The last days in a table, and why those that did not pass were refused.

    Args:
      days: Ascending by span.

    Returns:
      Something ``rich.console.Console.print`` can print.
    """
    shown = days[-_SHOWN:]
    table = Table(title="Days", title_justify="left", box=box.SIMPLE_HEAD)
    for name in ("day", "status"):
        table.add_column(name, no_wrap=True)
    for name in ("sessions", "trained on", "served log of", "minutes"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("ranking model", "policy"):
        table.add_column(name)
    for day in shown:
        table.add_row(
            str(day.span),
            Text(day.status, style=_STYLES[day.status]),
            f"{day.sessions:,}" if day.sessions else "",
            ", ".join(map(str, day.window)),
            ", ".join(map(str, day.served_window)),
            f"{day.seconds / 60:.1f}" if day.seconds else "",
            describe(day.ranking),
            describe(day.policy),
        )
    parts: list[RenderableType] = [table]
    for day in shown:
        if day.nearest:
            what = f"{day.impressions:,} impressions, {day.checks} comparisons"
            parts.append(Text(f"day {day.span}: {what}, nearest to its bar {day.nearest}"))
        if day.reason:
            where = f" (stage {day.stage})" if day.stage else ""
            parts.append(Text(f"day {day.span}{where}: {day.reason}"))
        for name, model in (("ranking model", day.ranking), ("policy", day.policy)):
            if model.artifact and not model.blessed and model.reason:
                parts.append(Text(f"day {day.span}, {name} not blessed: {model.reason}"))
    return Group(*(Padding(part, (0, 0, 0, 0)) for part in parts))


def describe(model: Model) -> str:
    """A model in a few words: what became of it, and its first figure."""
    if not model.artifact:
        return ""
    outcome = "not blessed"
    if model.blessed:
        outcome = "pushed" if model.pushed else "blessed, not pushed"
    for name, value in model.figures.items():
        return f"{outcome}, {name} {value:.4g}"
    return outcome
