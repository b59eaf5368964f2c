"""The figures of a ranking run's page, as SVG: ROC, calibration, training, label rates."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mtfx.evaluation.ranking.summaries import TaskMetrics, TaskPlots
from mtfx.evaluation.reports.kit.figures import (
    DASHES,
    MARKERS,
    MUTED,
    SERIES,
    in_page_style,
    new_panels,
    svg,
    whole_numbers,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@in_page_style
def roc_curve(task: str, metrics: TaskMetrics, plots: TaskPlots) -> str:
    """ROC curve of a binary task; the empty string where it is undefined."""
    if not plots.roc or metrics.auc is None:
        return ""
    figure, (axes,) = new_panels(1, 4.4, 4.0)
    rates = list(zip(*plots.roc, strict=True))
    axes.plot([0, 1], [0, 1], color=MUTED, linestyle=":", linewidth=1.2, label="chance (0.5)")
    axes.plot(*rates, color=SERIES[0], label=f"{task} ({metrics.auc:.4f})")
    axes.set(
        xlabel="False positive rate",
        ylabel="True positive rate",
        xlim=(-0.01, 1.01),
        ylim=(-0.01, 1.01),
        title=f"ROC of {task}",
    )
    axes.set_aspect("equal")
    axes.legend(loc="lower right", title="area under the curve", title_fontsize=9)
    return svg(
        figure,
        f"ROC curve of {task}: true positive rate against false positive rate. "
        f"The area under the curve is {metrics.auc:.4f}; 0.5 is chance.",
    )


@in_page_style
def calibration_curve(task: str, plots: TaskPlots) -> str:
    """Reliability diagram of a binary task with 95% Wilson intervals; empty without data."""
    buckets = plots.calibration
    if not buckets:
        return ""
    figure, (axes,) = new_panels(1, 4.4, 4.0)
    predicted = [bucket.prediction_mean for bucket in buckets]
    observed = [bucket.label_mean for bucket in buckets]
    intervals = [_wilson(bucket.label_mean, bucket.example_count) for bucket in buckets]
    below = [max(rate - low, 0.0) for rate, (low, _) in zip(observed, intervals, strict=True)]
    above = [max(high - rate, 0.0) for rate, (_, high) in zip(observed, intervals, strict=True)]
    top = max(*predicted, *(high for _, high in intervals), 1e-6)
    bottom = min(*predicted, *(low for low, _ in intervals))
    limits = (bottom - 0.03 * (top - bottom), top + 0.03 * (top - bottom))
    axes.plot(limits, limits, color=MUTED, linestyle=":", linewidth=1.2, label="ideal")
    axes.errorbar(
        predicted,
        observed,
        yerr=[below, above],
        color=SERIES[1],
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
    return svg(
        figure,
        f"Calibration of {task}: observed rate against mean prediction in {len(buckets)} buckets "
        f"of equally many impressions. Predictions from {predicted[0]:.3g} to {predicted[-1]:.3g}, "
        f"observed rates from {min(observed):.3g} to {max(observed):.3g}.",
    )


@in_page_style
def training_curves(history: Sequence[Mapping[str, float | None]], tasks: Sequence[str]) -> str:
    """Losses, and the tasks' validation AUC, by epoch; empty without history."""
    if not history:
        return ""
    epochs = list(range(1, len(history) + 1))
    scores = [task for task in tasks if _defined(history, f"val_{task}_auc")]
    figure, axes = new_panels(2 if scores else 1, 4.4, 3.4)
    for index, (key, label) in enumerate((("loss", "training"), ("val_loss", "validation"))):
        if _defined(history, key):
            _line(axes[0], epochs, [_number(row, key) for row in history], label, index)
    axes[0].set(xlabel="Epoch", ylabel="Loss", title="Loss")
    for index, task in enumerate(scores):
        _line(axes[1], epochs, [_number(row, f"val_{task}_auc") for row in history], task, index)
    if scores:
        axes[1].set(xlabel="Epoch", ylabel="AUC", title="AUC on the validation split")
    for panel in axes:
        whole_numbers(panel.xaxis)
        panel.set_xlim(0.5, len(epochs) + 0.5)
        if panel.has_data():
            panel.legend(loc="best")
    names = {"loss": "training loss", "val_loss": "validation loss"}
    names.update({f"val_{task}_auc": f"validation AUC of {task}" for task in scores})
    last = {name: _number(history[-1], key) for key, name in names.items()}
    figures = [f"{name} {value:.4f}" for name, value in last.items() if value is not None]
    return svg(
        figure,
        f"Training curves over {len(epochs)} epochs. After the last: {', '.join(figures)}.",
    )


@in_page_style
def label_rates(rows: Sequence[Mapping[str, Any]], tasks: Sequence[str]) -> str:
    """Mean label of each task and impressions by day and split; empty without rows."""
    if not rows:
        return ""
    import matplotlib.dates

    panels = [*(task for task in tasks if any(task in row for row in rows)), "impressions"]
    figure, axes = new_panels(len(panels), 8.8, 1.45, columns=1, margin=(0.0, 0.6), share_x=True)
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
    return svg(
        figure,
        f"Mean label of {', '.join(panels[:-1])} and number of impressions by day and split "
        f"({', '.join(splits)}), from {days[0]} to {days[-1]}.",
    )


def _count(handles_and_labels: tuple[list, list]) -> int:
    return len(handles_and_labels[0])


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
        color=SERIES[index % len(SERIES)],
        linestyle=DASHES[index % len(DASHES)],
        marker=MARKERS[index % len(MARKERS)],
        label=label,
    )


def _wilson(rate: float, count: int) -> tuple[float, float]:
    """Wilson's 95% interval of a proportion."""
    z = 1.96
    scale = 1.0 + z * z / count
    centre = (rate + z * z / (2 * count)) / scale
    half = z / scale * (rate * (1 - rate) / count + z * z / (4 * count * count)) ** 0.5
    return max(centre - half, 0.0), min(centre + half, 1.0)
