"""The report's figures: matplotlib drawings as inline SVG that follows the page's colours.

Colours are drawn as placeholders and then replaced by the page's CSS variables, so that one figure
serves a light and a dark page. The palette is Okabe and Ito's, told apart by the colour-blind;
lines also differ in dash and marker.
"""

from __future__ import annotations

import datetime
import functools
import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, ParamSpec

from mtfx.evaluation.ranking.summaries import TaskMetrics, TaskPlots

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_P = ParamSpec("_P")

_VARIABLES = {
    "#010101": "var(--ink)",
    "#020202": "var(--muted)",
    "#030303": "var(--grid)",
    "#040401": "var(--series-1)",
    "#040402": "var(--series-2)",
    "#040403": "var(--series-3)",
    "#040404": "var(--series-4)",
    "#040405": "var(--series-5)",
    "#040406": "var(--series-6)",
}
_INK, _MUTED, _GRID, *_SERIES = _VARIABLES
_DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)))
_MARKERS = "osD^vP"

_STYLE = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10.0,
    "axes.edgecolor": _MUTED,
    "axes.labelcolor": _INK,
    "axes.titlesize": 10.5,
    "axes.titlecolor": _INK,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _GRID,
    "grid.linewidth": 0.8,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "text.color": _INK,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


def _styled(draw: Callable[_P, str]) -> Callable[_P, str]:
    """Draws in the report's style. matplotlib is imported only when something is drawn."""

    @functools.wraps(draw)
    def styled(*args: _P.args, **arguments: _P.kwargs) -> str:
        import matplotlib

        with matplotlib.rc_context(_STYLE):
            return draw(*args, **arguments)

    return styled


@_styled
def roc_curve(task: str, metrics: TaskMetrics, plots: TaskPlots) -> str:
    """ROC curve of a binary task; the empty string where it is undefined."""
    if not plots.roc or metrics.auc is None:
        return ""
    figure, (axes,) = _figure(1, (4.4, 4.0))
    rates = list(zip(*plots.roc, strict=True))
    axes.plot([0, 1], [0, 1], color=_MUTED, linestyle=":", linewidth=1.2, label="chance (0.5)")
    axes.plot(*rates, color=_SERIES[0], label=f"{task} ({metrics.auc:.4f})")
    axes.set(
        xlabel="False positive rate",
        ylabel="True positive rate",
        xlim=(-0.01, 1.01),
        ylim=(-0.01, 1.01),
        title=f"ROC of {task}",
    )
    axes.set_aspect("equal")
    axes.legend(loc="lower right", title="area under the curve", title_fontsize=9)
    return _svg(
        figure,
        f"ROC curve of {task}: true positive rate against false positive rate. "
        f"The area under the curve is {metrics.auc:.4f}; 0.5 is chance.",
    )


@_styled
def calibration_curve(task: str, plots: TaskPlots) -> str:
    """Reliability diagram of a binary task with 95% Wilson intervals; empty without data."""
    buckets = plots.calibration
    if not buckets:
        return ""
    figure, (axes,) = _figure(1, (4.4, 4.0))
    predicted = [bucket.prediction_mean for bucket in buckets]
    observed = [bucket.label_mean for bucket in buckets]
    intervals = [_wilson(bucket.label_mean, bucket.example_count) for bucket in buckets]
    below = [max(rate - low, 0.0) for rate, (low, _) in zip(observed, intervals, strict=True)]
    above = [max(high - rate, 0.0) for rate, (_, high) in zip(observed, intervals, strict=True)]
    top = max(*predicted, *(high for _, high in intervals), 1e-6)
    bottom = min(*predicted, *(low for low, _ in intervals))
    limits = (bottom - 0.03 * (top - bottom), top + 0.03 * (top - bottom))
    axes.plot(limits, limits, color=_MUTED, linestyle=":", linewidth=1.2, label="ideal")
    axes.errorbar(
        predicted,
        observed,
        yerr=[below, above],
        color=_SERIES[1],
        marker="o",
        linewidth=1.2,
        elinewidth=1.0,
        capsize=2,
        label="observed, 95% interval",
    )
    axes.set(
        xlabel="Mean prediction in the bucket",
        ylabel="Observed rate in the bucket",
        xlim=limits,
        ylim=limits,
        title=f"Calibration of {task}",
    )
    axes.set_aspect("equal")
    axes.legend(loc="upper left")
    return _svg(
        figure,
        f"Calibration of {task}: observed rate against mean prediction in {len(buckets)} buckets "
        f"of equally many impressions. Predictions from {predicted[0]:.3g} to {predicted[-1]:.3g}, "
        f"observed rates from {min(observed):.3g} to {max(observed):.3g}.",
    )


@_styled
def training_curves(history: Sequence[Mapping[str, float | None]], tasks: Sequence[str]) -> str:
    """Losses, and the tasks' validation AUC, by epoch; empty without history."""
    if not history:
        return ""
    from matplotlib.ticker import MaxNLocator

    epochs = list(range(1, len(history) + 1))
    scores = [task for task in tasks if _defined(history, f"val_{task}_auc")]
    figure, axes = _figure(2 if scores else 1, (8.8 if scores else 4.4, 3.4))
    for index, (key, label) in enumerate((("loss", "training"), ("val_loss", "validation"))):
        if _defined(history, key):
            _line(axes[0], epochs, [_number(row, key) for row in history], label, index)
    axes[0].set(xlabel="Epoch", ylabel="Loss", title="Loss")
    for index, task in enumerate(scores):
        _line(axes[1], epochs, [_number(row, f"val_{task}_auc") for row in history], task, index)
    if scores:
        axes[1].set(xlabel="Epoch", ylabel="AUC", title="AUC on the validation split")
    for panel in axes:
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.set_xlim(0.5, len(epochs) + 0.5)
        if panel.has_data():
            panel.legend(loc="best")
    names = {"loss": "training loss", "val_loss": "validation loss"}
    names.update({f"val_{task}_auc": f"validation AUC of {task}" for task in scores})
    last = {name: _number(history[-1], key) for key, name in names.items()}
    figures = [f"{name} {value:.4f}" for name, value in last.items() if value is not None]
    return _svg(
        figure,
        f"Training curves over {len(epochs)} epochs. After the last: {', '.join(figures)}.",
    )


@_styled
def label_rates(rows: Sequence[Mapping[str, Any]], tasks: Sequence[str]) -> str:
    """Mean label of each task and impressions by day and split; empty without rows."""
    if not rows:
        return ""
    import matplotlib.dates

    panels = [*(task for task in tasks if any(task in row for row in rows)), "impressions"]
    figure, axes = _figure(len(panels), (8.8, 0.6 + 1.45 * len(panels)), stacked=True)
    splits = list(dict.fromkeys(str(row["split"]) for row in rows))
    splits.sort(key=lambda split: min(str(r["day"]) for r in rows if r["split"] == split))
    for panel, column in zip(axes, panels, strict=True):
        for index, split in enumerate(splits):
            points = sorted(
                (datetime.date.fromisoformat(str(row["day"])), float(row[column]))
                for row in rows
                if row["split"] == split and row.get(column) is not None
            )
            if points:
                days, values = zip(*points, strict=True)
                _line(panel, days, values, split, index)
        panel.set_title("Impressions" if column == "impressions" else f"Mean of {column}")
        panel.set_ylim(0, 1.12 * max(panel.dataLim.y1, 1e-9))
    locator = matplotlib.dates.AutoDateLocator(minticks=3, maxticks=10)
    axes[-1].xaxis.set_major_locator(locator)
    axes[-1].xaxis.set_major_formatter(matplotlib.dates.ConciseDateFormatter(locator))
    axes[-1].set_xlabel("Day")
    handles, labels = max((panel.get_legend_handles_labels() for panel in axes), key=_count)
    axes[0].legend(
        handles, labels, loc="lower right", bbox_to_anchor=(1, 1), ncols=len(labels), borderpad=0
    )
    days = sorted(str(row["day"]) for row in rows)
    return _svg(
        figure,
        f"Mean label of {', '.join(panels[:-1])} and number of impressions by day and split "
        f"({', '.join(splits)}), from {days[0]} to {days[-1]}.",
    )


def _count(handles_and_labels: tuple[list, list]) -> int:
    return len(handles_and_labels[0])


def _figure(
    panels: int, size: tuple[float, float], stacked: bool = False
) -> tuple[Figure, Sequence[Axes]]:
    # The Figure class, unlike pyplot, needs no display and keeps no global state.
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    rows, columns = (panels, 1) if stacked else (1, panels)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=stacked)
    return figure, list(grid.flat)


def _number(row: Mapping[str, float | None], key: str) -> float | None:
    """The row's value, None where it is missing or undefined (an AUC of one class)."""
    value = row.get(key)
    return value if value is not None and math.isfinite(value) else None


def _defined(history: Sequence[Mapping[str, float | None]], key: str) -> bool:
    return any(_number(row, key) is not None for row in history)


def _line(axes: Axes, x: Sequence, y: Sequence, label: str, index: int) -> None:
    axes.plot(
        x,
        [float("nan") if value is None else value for value in y],
        color=_SERIES[index % len(_SERIES)],
        linestyle=_DASHES[index % len(_DASHES)],
        marker=_MARKERS[index % len(_MARKERS)],
        label=label,
    )


def _wilson(rate: float, count: int) -> tuple[float, float]:
    """Wilson's 95% interval of a proportion."""
    z = 1.96
    scale = 1.0 + z * z / count
    centre = (rate + z * z / (2 * count)) / scale
    half = z / scale * (rate * (1 - rate) / count + z * z / (4 * count * count)) ** 0.5
    return max(centre - half, 0.0), min(centre + half, 1.0)


def _svg(figure: Figure, description: str) -> str:
    """The figure as an SVG element with a description for those who cannot see it."""
    import matplotlib

    buffer = io.StringIO()
    # The salt makes ids reproducible, and different from those of the page's other figures.
    with matplotlib.rc_context({"svg.hashsalt": description}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # Groups are named alike in every figure and nothing refers to them.
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    for placeholder, variable in _VARIABLES.items():
        svg = svg.replace(placeholder, variable)
    text = escape(description, quote=True)
    head = f'<svg role="img" aria-label="{text}"'
    svg = re.sub(r'^<svg ([^>]*?)height="[^"]*"([^>]*?)width="([\d.]+)pt"', r"<svg \1\2", svg)
    return svg.replace("<svg", head, 1).replace(">", f"><title>{escape(description)}</title>", 1)
