"""Figures of a simulator beside its log, as PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mtfx.evaluation.significance import Mean
from mtfx.evaluation.simulator.session_sample import SessionSample

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Okabe and Ito's palette, told apart by the colour-blind.
_COLOURS = {"log": "#8c8c8c", "simulation": "#0072b2"}
_BINS = 30


class Rate(Protocol):
    """What :func:`rate_figure` needs of a comparison."""

    @property
    def name(self) -> str:
        """The feedback."""
        ...

    @property
    def log(self) -> Mean:
        """The log's rate."""
        ...

    @property
    def simulation(self) -> Mean:
        """The simulation's rate."""
        ...


def distribution_figure(log: SessionSample, simulation: SessionSample) -> bytes:
    """Distributions of session length and of watch times, log and simulation in one panel each.

    Args:
      log: Sessions of the log.
      simulation: Simulated ones.

    Returns:
      A PNG.
    """
    # Takes a while to import, and needs no display this way.
    from matplotlib.figure import Figure

    panels = [("session length, views", log.lengths, simulation.lengths)]
    if log.has_watch_time and simulation.has_watch_time:
        panels += [
            ("watch time of a session, s", log.watch_s, simulation.watch_s),
            ("watch time of a view, s", log.view_watch_s, simulation.view_watch_s),
        ]
    figure = Figure(figsize=(3.6 * len(panels), 3.0), layout="constrained")
    for number, (axes, panel) in enumerate(
        zip(figure.subplots(1, len(panels), squeeze=False).flat, panels, strict=True)
    ):
        _shares(axes, *panel, whole=number == 0)
        axes.set_ylabel(("share of sessions", "share of sessions", "share of views")[number])
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.axes[0].legend(handles, labels, fontsize=9, frameon=False)
    return _png(figure)


def rate_figure(rates: Sequence[Rate]) -> bytes:
    """Rates of the feedbacks with their intervals, log and simulation side by side.

    Args:
      rates: One per feedback.

    Returns:
      A PNG.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 0.45 * len(rates) + 1.0), layout="constrained")
    axes = figure.subplots()
    for kind, offset in (("log", -0.13), ("simulation", 0.13)):
        for place, rate in enumerate(rates):
            mean: Mean = getattr(rate, kind)
            axes.errorbar(
                mean.mean or 0.0,
                place + offset,
                xerr=mean.half_width or 0.0,
                fmt="o",
                capsize=3,
                color=_COLOURS[kind],
                label=kind if place == 0 else None,
            )
    axes.set_yticks(range(len(rates)), [rate.name for rate in rates])
    axes.set_ylim(len(rates) - 0.5, -0.5)
    # Feedbacks differ by orders of magnitude, and a rare one may not have come at all.
    least = min((m for r in rates for m in (r.log.mean, r.simulation.mean) if m), default=1e-3)
    axes.set_xscale("symlog", linthresh=least)
    axes.set_xlim(left=0.0)
    axes.set_xlabel("share of views, 95% interval")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(fontsize=9, frameon=False)
    return _png(figure)


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


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()
