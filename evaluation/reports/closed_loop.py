"""The report of a closed loop: watch time by day as JSON, a figure and on the terminal."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.table import Table

from mtfx.evaluation.reports.daily import Day, Status
from mtfx.evaluation.reports.kit.figures import (
    COLOURS,
    GREY,
    draw_means,
    new_figure,
    save_png,
    whole_numbers,
)
from mtfx.evaluation.reports.kit.tables import add_figures, format_mean, new_table
from mtfx.evaluation.significance import Mean, PairedTest, mean_with_interval, paired_test
from mtfx.files import write_json

FILE, FIGURE = "closed_loop.json", "closed_loop.png"


@dataclasses.dataclass(frozen=True)
class LoopDay:
    """A day of service.

    Attributes:
      span: Its number.
      status: What became of its log.
      reason: Why it was refused or failed.
      ranker_of: The day whose ranker served.
      served: Watch time of a session of users who were not explored with, s.
      value: True watch time of a session under the ranker that served, s.
      gain: Its difference from the first day's ranker, paired by session; None on the first day,
        and while that ranker serves.
      values: True watch times, float64 `[session]`; not written down.
    """

    span: int
    status: Status
    reason: str
    ranker_of: int
    served: Mean
    value: Mean
    gain: PairedTest | None
    values: np.ndarray = dataclasses.field(repr=False, compare=False)


def loop_day(
    day: Day, ranker_of: int, served: np.ndarray, values: np.ndarray, earlier: Sequence[LoopDay]
) -> LoopDay:
    """A row of the table.

    Args:
      day: What became of the day's log.
      ranker_of: The day whose ranker served.
      served: Watch times of sessions that were served without exploration, s.
      values: True watch times under the ranker that served, s, of users that were never served.
      earlier: The days before.
    """
    same = not earlier or ranker_of == earlier[0].ranker_of
    return LoopDay(
        span=day.span,
        status=day.status,
        reason=day.reason,
        ranker_of=ranker_of,
        served=mean_with_interval(served.tolist()),
        value=mean_with_interval(values.tolist()),
        gain=None if same else paired_test(values.tolist(), earlier[0].values.tolist()),
        values=values,
    )


def render_loop(days: Sequence[LoopDay]) -> Table:
    """The days as a table for the terminal."""
    title = "Watch time of a session, s; the true value is of users that were never served"
    table = new_table(title)
    for name in ("day", "log", "ranker of day"):
        table.add_column(name)
    add_figures(table, ("served", "true value", "against the first", "p"))
    for day in days:
        table.add_row(
            str(day.span),
            day.status,
            str(day.ranker_of),
            format_mean(day.served, 1),
            format_mean(day.value, 1),
            "" if day.gain is None else format_mean(day.gain.difference, 1),
            "" if day.gain is None or day.gain.p is None else f"{day.gain.p:.3g}",
        )
    return table


def write_loop(directory: Path, days: Sequence[LoopDay]) -> Path:
    """Writes ``closed_loop.json`` and gives its path."""
    content = [
        {
            "day": day.span,
            "status": day.status,
            "reason": day.reason,
            "ranker_of": day.ranker_of,
            "served": dataclasses.asdict(day.served),
            "value": dataclasses.asdict(day.value),
            "gain": None if day.gain is None else dataclasses.asdict(day.gain),
        }
        for day in days
    ]
    write_json(directory / FILE, content)
    return directory / FILE


def draw_loop(directory: Path, days: Sequence[LoopDay]) -> Path:
    """Draws ``closed_loop.png`` and gives its path: true values by day, refused days marked."""
    figure = new_figure(5.5, 3.2)
    axes = figure.subplots()
    spans = [day.span for day in days]
    for name, colour, means in (
        ("true value of the ranker that served", COLOURS[0], [day.value for day in days]),
        ("served, without exploration", GREY, [day.served for day in days]),
    ):
        draw_means(axes, spans, means, colour=colour, label=name)
    refused = [day.span for day in days if day.status == "refused"]
    for number, span in enumerate(refused):
        label = "" if number else "log refused"
        axes.axvline(span, color=COLOURS[1], linestyle=":", label=label)
    axes.set_xlabel("day")
    axes.set_ylabel("watch time of a session, s")
    whole_numbers(axes.xaxis)
    axes.legend(fontsize=8, frameon=False)
    return save_png(figure, directory / FIGURE, dpi=110)
