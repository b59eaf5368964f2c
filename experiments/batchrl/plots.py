"""Drawings of BatchRL-MTF's experiments and of the estimators, from the results of their trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mtfx.evaluation.reports.kit.figures import COLOURS, save_png
from mtfx.experiments.engine.design import FIGURES, Design, Results, TableColumn
from mtfx.experiments.engine.plots import (
    draw_runs,
    mean_drawings,
    panels_of,
    plot_over,
)
from mtfx.experiments.engine.tables import fill_tables


def mean_plots(design: Design, results: Results, path: str) -> list[str]:
    """Means of the true figures by method.

    Args:
      design: The experiment.
      results: By trial key; what a failed trial would have shown is left out.
      path: Directory of the PNG files.

    Returns:
      Paths of the files written.
    """
    figures = ("true_return", "watch_s", "positive_rate")
    return mean_drawings(fill_tables(design, results), figures, path)


def q_curve_plots(design: Design, results: Results, path: str) -> list[str]:
    """Figure 5: mean Q, its deviation and the true return over training."""
    curves = {}
    for column in design.tables[0].columns:
        runs = column.curves(results)
        if runs:
            # All seeds take the same steps.
            values = [[run[name] for run in runs] for name in QCurve._fields[1:]]
            curves[column.title] = QCurve(runs[0]["step"], *values)
    return [plot_q_curves(curves, Path(path, "q-curves.png"))] if curves else []


#: Figure 6: agents on the mixed log. Figure 7: one agent on each log.
_HISTOGRAMS = {
    "actions-by-method": ("mixed log", "TD3", "UWAC+TD3", "CQL+SAC", "BatchRL-MTF"),
    "actions-by-exploration": ("mixed log", "random log", "BatchRL-MTF", "BatchRL-MTF-RE"),
}


def action_plots(design: Design, results: Results, path: str) -> list[str]:
    """Figures 6 and 7: histograms of the actions, means over seeds."""
    columns = {column.title: column for column in design.tables[0].columns}
    written = []
    for name, titles in _HISTOGRAMS.items():
        found = {title: _mean_histograms(columns[title], results) for title in titles}
        found = {title: histograms for title, histograms in found.items() if histograms}
        if found:
            written.append(plot_action_histograms(found, Path(path, f"{name}.png")))
    return written


def sensitivity_plots(design: Design, results: Results, path: str) -> list[str]:
    """Figure 8: estimate and truth over the values of each setting, the best marked by a star."""
    written = []
    for table in fill_tables(design, results):
        name = table.design.columns[0].title.split()[0]
        panels = {
            FIGURES[row.figure].title: {
                float(title.split()[1]): cell.mean for title, cell in row.cells.items()
            }
            for row in table.rows
            if row.figure in ("estimated_return", "true_return", "watch_s")
        }
        file = Path(path, f"sensitivity-{name.replace('_', '-')}.png")
        written.append(plot_over(panels, name, file, logarithmic=True))
    return written


def accuracy_plots(design: Design, results: Results, path: str) -> list[str]:
    """Each estimator's values against the true ones."""
    estimates = {}
    for column in design.tables[0].columns:
        runs = column.curves(results)
        if runs:
            pooled = [
                [value for run in runs for value in run[key]] for key in ("estimate", "truth")
            ]
            estimates[column.title] = (pooled[0], pooled[1])
    return [plot_estimates(estimates, Path(path, "estimates.png"))] if estimates else []


def _mean_histograms(column: TableColumn, results: Results) -> dict[str, list[float]]:
    runs = [curves["actions"] for curves in column.curves(results)]
    if not runs:
        return {}
    return {name: np.mean([run[name] for run in runs], axis=0).tolist() for name in runs[0]}


class QCurve(NamedTuple):
    """An agent's training; one sequence per seed, all over the same steps.

    Attributes:
      steps: Training steps.
      q_mean: Mean Q at the starts of sessions, `[seed][point]`.
      q_deviation: Standard deviation over states, `[seed][point]`.
      true_return: What the policy earns, `[seed][point]`.
    """

    steps: Sequence[float]
    q_mean: Sequence[Sequence[float]]
    q_deviation: Sequence[Sequence[float]]
    true_return: Sequence[Sequence[float]]


def plot_q_curves(curves: Mapping[str, QCurve], path: Path) -> str:
    """BatchRL-MTF's Figure 5: mean Q with a band of one standard deviation, and the truth.

    Every panel has its own axis, as a Q that runs away would hide all others.

    Args:
      curves: By method.
      path: The PNG file to write.
    """
    from matplotlib.ticker import MaxNLocator

    figure, panels = panels_of(len(curves))
    for axes, (method, curve) in zip(panels, curves.items(), strict=True):
        mean = np.mean(curve.q_mean, axis=0)
        deviation = np.mean(curve.q_deviation, axis=0)
        axes.fill_between(
            curve.steps,
            mean - deviation,
            mean + deviation,
            color=COLOURS[0],
            alpha=0.2,
            linewidth=0,
            label="one deviation over states",
        )
        steps = [curve.steps] * len(curve.q_mean)
        draw_runs(axes, steps, curve.q_mean, label="mean Q", marked=False)
        axes.plot(
            curve.steps,
            np.mean(curve.true_return, axis=0),
            color=COLOURS[1],
            linestyle="--",
            linewidth=1.8,
            label="true return",
        )
        axes.set(title=method, xlabel="training step", ylabel="value of a session")
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.legend(frameon=False)
    return str(save_png(figure, path))


def plot_action_histograms(
    histograms: Mapping[str, Mapping[str, Sequence[float]]], path: Path
) -> str:
    """BatchRL-MTF's Figures 6 and 7: share of the actions by bin, a panel per coordinate.

    Args:
      histograms: By method and coordinate, the share in each of equal bins over [-1, 1].
      path: The PNG file to write.
    """
    names = list(next(iter(histograms.values())))
    figure, panels = panels_of(len(names))
    for axes, name in zip(panels, names, strict=True):
        for at, (method, shares) in enumerate(histograms.items()):
            edges = np.linspace(-1.0, 1.0, len(shares[name]) + 1)
            axes.stairs(
                shares[name],
                edges,
                color=COLOURS[at % len(COLOURS)],
                linewidth=1.8,
                fill=at == 0,
                alpha=0.35 if at == 0 else 1.0,
                label=method,
            )
        axes.set(title=f"weight of {name}", xlabel="action", ylabel="share")
        axes.legend(frameon=False, fontsize="small")
    return str(save_png(figure, path))


def plot_estimates(
    estimates: Mapping[str, tuple[Sequence[float | None], Sequence[float | None]]], path: Path
) -> str:
    """Estimated against true values, a panel per estimator and a point per policy and seed.

    The estimates' axis is the same for all, and logarithmic beyond twice the largest true value, as
    a fit that diverged would hide all others.

    Args:
      estimates: By estimator, estimates and true values in the same order.
      path: The PNG file to write.
    """
    figure, panels = panels_of(len(estimates))
    points = {}
    for name, (values, truth) in estimates.items():
        x, y = np.asarray(truth, np.float64), np.asarray(values, np.float64)
        known = np.isfinite(x) & np.isfinite(y)
        points[name] = x[known], y[known]
    truths, values = (np.concatenate(parts) for parts in zip(*points.values(), strict=True))
    linear = 2 * np.abs(truths).max(initial=0.0) or 1.0
    for axes, (name, (x, y)) in zip(panels, points.items(), strict=True):
        axes.scatter(x, y, s=14, alpha=0.6, color=COLOURS[0], edgecolors="none")
        if len(truths):
            ends = np.linspace(truths.min(), truths.max(), 2)
            axes.plot(ends, ends, color="0.6", linewidth=0.8)
            low, high = min(values.min(), truths.min()), max(values.max(), truths.max())
            if max(-low, high) > linear:
                axes.set_yscale("symlog", linthresh=linear)
            axes.set_ylim(low - 0.3 * max(abs(low), linear), high + 0.3 * max(abs(high), linear))
        axes.set(title=name.replace("_", " "), xlabel="true return", ylabel="estimate")
    return str(save_png(figure, path))
