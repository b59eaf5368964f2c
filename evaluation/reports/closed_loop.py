"""What the days of a closed loop came to."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from mtfx.evaluation.reports.daily_days import Day, Status
from mtfx.evaluation.reports.ranking_page import write_atomically
from mtfx.evaluation.significance import Mean, PairedTest, mean_with_interval, paired_test

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
      values: True watch times under the ranker that served, s.
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
    table = Table(title="Watch time of a session, s", title_justify="left", box=box.SIMPLE_HEAD)
    for name in ("day", "log", "ranker of day"):
        table.add_column(name)
    for name in ("served", "true value", "against the first", "p"):
        table.add_column(name, justify="right")
    for day in days:
        table.add_row(
            str(day.span),
            day.status,
            str(day.ranker_of),
            _interval(day.served),
            _interval(day.value),
            "" if day.gain is None else _interval(day.gain.difference),
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
    write_atomically(directory / FILE, json.dumps(content, indent=1) + "\n")
    return directory / FILE


def draw_loop(directory: Path, days: Sequence[LoopDay]) -> Path:
    """Draws ``closed_loop.png`` and gives its path: true values by day, refused days marked."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 3.2), layout="constrained")
    axes: Any = figure.subplots()
    spans = [day.span for day in days]
    for name, colour, means in (
        ("true value of the ranker that served", "#0072b2", [day.value for day in days]),
        ("served, without exploration", "#8c8c8c", [day.served for day in days]),
    ):
        axes.errorbar(
            spans,
            [mean.mean for mean in means],
            [mean.half_width or 0.0 for mean in means],
            color=colour,
            capsize=3,
            marker="o",
            label=name,
        )
    refused = [day.span for day in days if day.status == "refused"]
    for number, span in enumerate(refused):
        label = "" if number else "log refused"
        axes.axvline(span, color="#d55e00", linestyle=":", label=label)
    axes.set_xlabel("day")
    axes.set_ylabel("watch time of a session, s")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(fontsize=8, frameon=False)
    path = directory / FIGURE
    figure.savefig(path, format="png", dpi=110)
    return path


def _interval(mean: Mean) -> str:
    if mean.mean is None:
        return ""
    return f"{mean.mean:.1f} ± {mean.half_width or 0.0:.1f}"
