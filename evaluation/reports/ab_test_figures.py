"""The figure of a trial, as PNG: each metric's difference from day to day."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from mtfx.evaluation.ab_test.trial import METRICS, MetricResult, TrialResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Okabe and Ito's palette, told apart by the colour-blind.
_SEQUENCE, _INTERVAL, _DAY = "#0072b2", "#56b4e9", "#8c8c8c"
_MOST_LABELS = 12


def difference_figure(result: TrialResult) -> bytes:
    """One panel per metric: the difference since the first day, with both kinds of interval.

    Args:
      result: The trial.

    Returns:
      A PNG.
    """
    # Takes a while to import, and needs no display this way.
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    figure = Figure(figsize=(7.6, 2.5 * len(METRICS) + 0.6), layout="constrained")
    panels = figure.subplots(len(METRICS), 1, sharex=True)
    for axes, (name, metric) in zip(panels, result.metrics.items(), strict=True):
        _draw(axes, metric)
        axes.set_title(METRICS[name][0], fontsize=10, loc="left")
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.grid(alpha=0.3)
    every = -(-len(result.days) // _MOST_LABELS)
    panels[-1].set_xticks(
        range(0, len(result.days), every), result.days[::every], rotation=30, ha="right"
    )
    panels[-1].set_xlim(-0.5, len(result.days) - 0.5)
    figure.supylabel(f"{result.treatment} relative to {result.control}", fontsize=9)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=4, fontsize=8, frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()


def _draw(axes: Axes, metric: MetricResult) -> None:
    days = np.arange(len(metric.looks))
    axes.axhline(0.0, color="black", linewidth=0.8)
    for field, colour, alpha, label in (
        ("sequence", _SEQUENCE, 0.18, "confidence sequence"),
        ("interval", _INTERVAL, 0.35, "interval for one look"),
    ):
        bounds = np.asarray(
            [getattr(look, field) or (np.nan, np.nan) for look in metric.looks], np.float64
        )
        axes.fill_between(days, bounds[:, 0], bounds[:, 1], color=colour, alpha=alpha, label=label)
    _limit(axes, metric)
    differences = [np.nan if k.difference is None else k.difference for k in metric.looks]
    axes.plot(days, differences, color=_SEQUENCE, linewidth=1.8, label="since the first day")
    today = [new / old - 1.0 if old and new is not None else np.nan for old, new in metric.today]
    axes.plot(days, today, "o", color=_DAY, markersize=3, label="on the day alone")
    if metric.decided_on is not None:
        axes.axvline(metric.decided_on, color=_SEQUENCE, linestyle="--", linewidth=1.0)


def _limit(axes: Axes, metric: MetricResult) -> None:
    """Cuts off the first days' sequence, which may be orders of magnitude wider than the rest."""
    late = [look.sequence for look in metric.looks[len(metric.looks) // 2 :]]
    shown = [bound for pair in late if pair for bound in pair]
    shown += [bound for look in metric.looks if look.interval for bound in look.interval]
    if shown:
        margin = 0.05 * (max(shown) - min(shown))
        axes.set_ylim(min(*shown, 0.0) - margin, max(*shown, 0.0) + margin)
