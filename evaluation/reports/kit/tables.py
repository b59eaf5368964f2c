"""Numbers as text, and the parts of a report on the terminal: tables, times, a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mtfx.evaluation.significance import Mean

#: Stands where a figure is undefined.
UNDEFINED = "\N{EN DASH}"


def format_count(value: float) -> str:
    """A whole number in groups of three digits."""
    return f"{value:,.0f}"


def format_figure(value: float | None, digits: int = 4) -> str:
    """A figure with fixed decimals; an en dash where it is undefined."""
    if value is None:
        return UNDEFINED
    return f"{value:,.{digits}f}" if abs(value) < 1e4 else f"{value:,.0f}"


def format_percent(value: float | None) -> str:
    """A share as a percentage of three significant digits; an en dash where it is undefined."""
    if value is None:
        return UNDEFINED
    digits = 2 if value >= 0.001 or value == 0 else 4
    return f"{value:.{digits}%}"


def format_seconds(value: float) -> str:
    """Seconds, above two minutes as minutes and seconds."""
    if value < 120:
        return f"{value:.1f} s"
    return f"{int(value // 60)} min {int(value % 60):02d} s"


def format_mean(mean: Mean, digits: int = 2) -> str:
    """A mean ± half its interval; an en dash where it is undefined."""
    if mean.mean is None:
        return UNDEFINED
    return f"{mean.mean:.{digits}f} ± {mean.half_width or 0.0:.{digits}f}"


def new_table(title: str, names: Sequence[str] = (), caption: str = "") -> Table:
    """A table for the terminal, as narrow as its content.

    Args:
      title: Above it.
      names: Of its rows' own columns, which come first and are not broken; figures follow with
        :func:`add_figures`.
      caption: Below it.
    """
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        caption=caption or None,
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    for name in names:
        table.add_column(name, style="bold", no_wrap=True)
    return table


def add_figures(table: Table, titles: Iterable[str], *, no_wrap: bool = False) -> None:
    """Columns of figures, to the right."""
    for title in titles:
        table.add_column(title, justify="right", no_wrap=no_wrap)


def seconds_table(seconds: Mapping[str, float]) -> Table:
    """Wall clock seconds by stage, and their sum."""
    table = new_table("Time")
    table.add_column("stage")
    add_figures(table, ["wall clock"])
    for stage, spent in seconds.items():
        table.add_row(stage, format_seconds(spent))
    table.add_section()
    table.add_row("total", format_seconds(sum(seconds.values())))
    return table


def verdict(sentence: str, style: str, lines: Iterable[str] = ()) -> Text:
    """A sentence that stands out, and what there is to say of it, a line each."""
    # Text, not markup: a path or a name with brackets must come out as it is.
    text = Text(sentence, style=style)
    for line in lines:
        text.append(f"\n  {line}", style="not bold")
    return text


def outcome_style(good: bool) -> str:
    """Of a verdict that is good or bad."""
    return "bold green" if good else "bold red"


def stacked(parts: Iterable[RenderableType]) -> Group:
    """Parts below each other, an empty line above each."""
    return Group(*(Padding(part, (1, 0, 0, 0)) for part in parts))
