"""The report of a simulator beside its log: as JSON, a page with figures, and on the terminal."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Group, RenderableType
from rich.text import Text

from mtfx.evaluation.reports.kit.figures import (
    COLOURS,
    GREY,
    draw_means,
    name_rows,
    new_figure,
    new_panels,
    png,
)
from mtfx.evaluation.reports.kit.pages import render_page, write_report
from mtfx.evaluation.reports.kit.tables import (
    add_figures,
    format_figure,
    format_percent,
    new_table,
    outcome_style,
    stacked,
    verdict,
)
from mtfx.evaluation.simulator.comparison import Comparison, compare_quantities, compare_rates
from mtfx.evaluation.simulator.session_sample import SessionSample
from mtfx.files import jsonable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REPORT_DIRECTORY, JSON_FILE = "report", "report.json"
_COLOURS = {"log": GREY, "simulation": COLOURS[0]}
_BINS = 30


@dataclasses.dataclass(frozen=True)
class SimulatorReport:
    """What is known of how far a simulator resembles its log.

    Attributes:
      dataset: The data set.
      response_model: What the users' response comes from, in words.
      logging_policy: How items were chosen in the simulation, in words.
      terms: What was done so that both are compared on like terms, a sentence each.
      log: The log's sessions.
      simulation: The simulated ones.
      calibration: Of the response model, as ``fit.json`` has it: by feedback ``name``, ``rows``,
        ``rate``, ``predicted``, ``error``, ``auc``, ``method``; empty where the truth is known.
      watch_s: Mean seconds of held-out impressions, logged and expected; None if unknown.
      retrieval: ``hit_rate`` and ``chance`` of retrieval, each may be None.
      notes: Whatever else a reader must know.
      config: What the simulator was fitted with.
    """

    dataset: str
    response_model: str
    logging_policy: str
    terms: Sequence[str]
    log: SessionSample
    simulation: SessionSample
    calibration: Sequence[Mapping[str, Any]]
    watch_s: Sequence[float] | None
    retrieval: Mapping[str, Any]
    notes: Sequence[str]
    config: Mapping[str, Any]

    @property
    def quantities(self) -> tuple[Comparison, ...]:
        """Session length and watch times."""
        return compare_quantities(self.log, self.simulation)

    @property
    def rates(self) -> tuple[Comparison, ...]:
        """Shares of impressions with each feedback."""
        return compare_rates(self.log, self.simulation)

    @property
    def findings(self) -> tuple[str, ...]:
        """A sentence on each figure in which the simulation is notably off."""
        return tuple(
            f"{found.title}: {abs(found.relative_difference or 0.0):.0%} "
            f"{'more' if (found.relative_difference or 0.0) > 0 else 'less'} than in the log"
            for found in (*self.quantities, *self.rates)
            if found.is_notable
        )

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values; of the samples, their sizes."""
        fields = ("dataset", "response_model", "logging_policy", "terms", "calibration", "watch_s")
        return jsonable(
            {
                **{name: getattr(self, name) for name in fields},
                "sessions": {
                    "log": len(self.log.lengths),
                    "simulation": len(self.simulation.lengths),
                },
                "quantities": [found.to_json() for found in self.quantities],
                "rates": [found.to_json() for found in self.rates],
                "findings": self.findings,
                "retrieval": self.retrieval,
                "notes": self.notes,
                "config": self.config,
            }
        )


def write_simulator_report(directory: Path, report: SimulatorReport) -> Path:
    """Writes ``report.json`` and ``index.html``; a reader never sees half a file.

    Args:
      directory: Where to; made if missing.
      report: The comparison.

    Returns:
      The page's path.
    """
    return write_report(directory, JSON_FILE, report.to_json(), render_simulator_page(report))


def render_simulator_page(report: SimulatorReport) -> str:
    """The report as one HTML page, its PNG images inside it."""
    images = {
        "distributions": distribution_figure(report.log, report.simulation),
        "rates": rate_figure(report.rates),
    }
    return render_page("simulator.html.j2", {"run": report}, images)


def distribution_figure(log: SessionSample, simulation: SessionSample) -> bytes:
    """Distributions of session length and of watch times, log and simulation in one panel each.

    Args:
      log: Sessions of the log.
      simulation: Simulated ones.

    Returns:
      A PNG.
    """
    panels = [("session length, views", log.lengths, simulation.lengths)]
    if log.has_watch_time and simulation.has_watch_time:
        panels += [
            ("watch time of a session, s", log.watch_s, simulation.watch_s),
            ("watch time of a view, s", log.view_watch_s, simulation.view_watch_s),
        ]
    figure, all_axes = new_panels(len(panels), 3.6, 3.0)
    for number, (axes, panel) in enumerate(zip(all_axes, panels, strict=True)):
        _shares(axes, *panel, whole=number == 0)
        axes.set_ylabel(("share of sessions", "share of sessions", "share of views")[number])
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.axes[0].legend(handles, labels, fontsize=9, frameon=False)
    return png(figure)


def rate_figure(rates: Sequence[Comparison]) -> bytes:
    """Rates of the feedbacks with their intervals, log and simulation side by side.

    Args:
      rates: One per feedback.

    Returns:
      A PNG.
    """
    figure = new_figure(7.2, 0.45 * len(rates) + 1.0)
    axes = figure.subplots()
    for kind, offset in (("log", -0.13), ("simulation", 0.13)):
        means = [getattr(rate, kind) for rate in rates]
        places = [place + offset for place in range(len(rates))]
        draw_means(axes, places, means, colour=_COLOURS[kind], label=kind, horizontal=True)
    name_rows(axes, [rate.name for rate in rates])
    # Feedbacks differ by orders of magnitude, and a rare one may not have come at all.
    least = min((m for r in rates for m in (r.log.mean, r.simulation.mean) if m), default=1e-3)
    axes.set_xscale("symlog", linthresh=least)
    axes.set_xlim(left=0.0)
    axes.set_xlabel("share of views, 95% interval")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(fontsize=9, frameon=False)
    return png(figure)


def _shares(
    axes: Axes, title: str, log: np.ndarray, simulation: np.ndarray, *, whole: bool
) -> None:
    most = max(float(log.max()), float(simulation.max()), 1.0)
    if whole:
        width = np.ceil(most / _BINS)
        bins = 0.5 + width * np.arange(np.ceil(most / width) + 1)
    else:
        # Watch times span orders of magnitude: equal steps of log(1 + seconds).
        bins = np.expm1(np.linspace(0.0, np.log1p(most) * 1.0001, _BINS + 1))
        axes.set_xscale("symlog", linthresh=1.0)
    for kind, values in (("log", log), ("simulation", simulation)):
        heights, _ = np.histogram(values, bins)
        filled = kind == "log"
        axes.stairs(
            heights / max(len(values), 1),
            bins,
            fill=filled,
            color=_COLOURS[kind],
            alpha=0.55 if filled else 1.0,
            linewidth=1.6,
            label=kind,
        )
    axes.set_xlim(left=0.0)
    axes.set_xlabel(title, fontsize=9)
    axes.tick_params(labelsize=8)


def render_simulator_report(report: Mapping[str, Any]) -> RenderableType:
    """The figures of a simulator's report, and where the simulation is off.

    Args:
      report: What ``SimulatorReport.to_json`` gives.

    Returns:
      Something ``rich.console.Console.print`` can print.
    """
    sessions = report["sessions"]
    table = new_table(
        f"{sessions['log']:,} sessions of the log, {sessions['simulation']:,} simulated: "
        "mean ± 95% interval",
        [""],
        "KS: largest distance of the distributions; in brackets: of two halves of the log",
    )
    add_figures(table, ("log", "simulation", "difference", "KS"))
    for row in report["quantities"]:
        halves = f"{format_figure(row['ks'], 3)} ({format_figure(row['ks_of_log'], 3)})"
        table.add_row(*_cells(row, lambda value: format_figure(value, 2)), halves)
    table.add_section()
    for row in report["rates"]:
        table.add_row(*_cells(row, format_percent), "")
    off = bool(report["findings"])
    sentence = (
        "* off by more than a tenth and by more than chance"
        if off
        else "no mean is off by more than a tenth and by more than chance"
    )
    found = verdict(sentence, outcome_style(not off), report["notes"])
    return Group(Text(f"response model: {report['response_model']}"), stacked([table, found]))


def _cells(row: Mapping[str, Any], write: Callable[[float | None], str]) -> list[str]:
    means = [
        f"{write(row[side]['mean'])} ± {write(row[side]['half_width'])}"
        for side in ("log", "simulation")
    ]
    relative = row["relative_difference"]
    gap = "" if relative is None else f"{relative:+.0%}" + ("*" if row["is_notable"] else "")
    return [row["title"], *means, gap]
