"""The page of a daily loop: every day, what was pushed, and how the figures move."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from mtfx.evaluation.reports.daily_console import describe
from mtfx.evaluation.reports.daily_days import Day
from mtfx.evaluation.reports.pages import render_policy_page
from mtfx.evaluation.reports.ranking_page import write_atomically

_FOLDER, _PAGE = "daily", "index.html"
#: Okabe and Ito's palette.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")


def write_daily_report(output_dir: str | Path, days: Sequence[Day]) -> Path:
    """Writes ``daily/index.html``.

    Args:
      output_dir: Of the daily loop.
      days: Ascending by span.

    Returns:
      The page's path.
    """
    target = Path(output_dir, _FOLDER, _PAGE)
    target.parent.mkdir(parents=True, exist_ok=True)
    page = render_policy_page(
        "daily.html.j2",
        {"figures": draw_figures(days)},
        {},
        {"days": days, "describe": describe, "serving": _serving(days)},
    )
    write_atomically(target, page)
    return target


def draw_figures(days: Sequence[Day]) -> bytes:
    """AUC by task and value by estimator over the days, as PNG; empty before the first models."""
    from matplotlib.figure import Figure

    panels = [
        (title, kind, found)
        for title, kind in (
            ("AUC of the ranking model on its window's last sessions", "ranking"),
            ("Estimated value of the policy", "policy"),
        )
        if (found := [day for day in days if getattr(day, kind).figures])
    ]
    if not panels:
        return b""
    figure = Figure(figsize=(5.0 * len(panels), 3.2), layout="constrained")
    for axes, (title, kind, found) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
    ):
        names = dict.fromkeys(name for day in found for name in getattr(day, kind).figures)
        for number, name in enumerate(names):
            rows = [
                (day.span, model.figures[name], model.blessed)
                for day in found
                if name in (model := getattr(day, kind)).figures
            ]
            colour = _COLOURS[number % len(_COLOURS)]
            axes.plot([r[0] for r in rows], [r[1] for r in rows], color=colour, label=name)
            for span, value, blessed in rows:
                face = colour if blessed else "white"
                axes.plot(span, value, "o", color=colour, markerfacecolor=face)
        axes.set_title(title, fontsize=9, loc="left")
        axes.set_xlabel("day; hollow: not blessed", fontsize=9)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(fontsize=8, frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _serving(days: Sequence[Day]) -> Day | None:
    """The day whose ranker serves."""
    return next((day for day in reversed(days) if day.ranker), None)
