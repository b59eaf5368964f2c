"""Drawings of xMTF's experiments, from the results of their trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mtfx.evaluation.reports.kit.figures import COLOURS, save_png
from mtfx.evaluation.significance import Mean
from mtfx.experiments.engine.design import FIGURES, Design, Results, TableColumn
from mtfx.experiments.engine.plots import (
    draw_runs,
    mean_drawings,
    panels_of,
    plot_over,
)
from mtfx.experiments.engine.tables import fill_tables
from mtfx.experiments.xmtf.tables import LAMBDAS, lambda_title

#: Prediction of the paper's Figures 5 and 7; the first there is, where a world lacks it.
_PREDICTION = "long_view"
#: Users of Figure 5, and the one of Figure 6.
_USERS, _USER = 6, 0
#: Of the paper's best λ, and the cells that are monotone by construction.
_FAMILIES = {"mlp": lambda_title(0.4), "basis": "basis cells"}


class Curve(NamedTuple):
    """A line: its label, and the same number of places and values."""

    label: str
    x: Sequence[float]
    y: Sequence[float]


def table_plots(design: Design, results: Results, path: str) -> list[str]:
    """Watch time by method, and watch time over training."""
    written = mean_drawings(fill_tables(design, results), ("watch_s",), path)
    training = {}
    for column in design.tables[0].columns:
        runs = [run for run in column.curves(results) if "step" in run]
        if runs:
            training[column.title] = (runs[0]["step"], [run["watch_s"] for run in runs])
    if training:
        file = Path(path, "training.png")
        written.append(plot_training(training, FIGURES["watch_s"].title, file))
    return written


def sweep_plots(design: Design, results: Results, path: str) -> list[str]:
    """Table 4 as a drawing: watch time and violations over λ."""
    panels = {
        FIGURES[figure].title: dict(
            zip(LAMBDAS, _means(design, results, figure).values(), strict=True)
        )
        for figure in ("watch_s", "inner_violations", "violations")
    }
    if not any(mean.n for panel in panels.values() for mean in panel.values()):
        return []
    return [plot_over(panels, "λ", Path(path, "lambda.png"), logarithmic=False)]


def curve_plots(design: Design, results: Results, path: str) -> list[str]:
    """Figures 5 to 7, of the first seed that has finished."""
    columns = {column.title: column for column in design.tables[0].columns}
    written = []

    def draw(name: str, panels: dict[str, list[Curve]], xlabel: str) -> None:
        if panels:
            written.append(plot_curves(panels, xlabel, Path(path, f"{name}.png")))

    by_user, by_prediction = {}, {}
    for family, title in _FAMILIES.items():
        cells = _cells(columns[title], results)
        if cells is not None:
            at = _number(cells)
            by_user[f"{family} cells"] = [
                _curve(cells, user, at, f"user {user + 1}") for user in range(_USERS)
            ]
            by_prediction[f"{family} cells"] = [
                _curve(cells, _USER, number, name) for number, name in enumerate(cells["names"])
            ]
    by_lambda = {}
    for value in LAMBDAS:
        cells = _cells(columns[lambda_title(value)], results)
        if cells is not None:
            at = _number(cells)
            by_lambda[lambda_title(value)] = [
                _curve(cells, user, at, f"user {user + 1}") for user in range(_USERS)
            ]
    draw("curves-by-user", by_user, f"prediction of {_PREDICTION}")
    draw("curves-by-prediction", by_prediction, "prediction, as it is fused")
    draw("curves-by-lambda", by_lambda, f"prediction of {_PREDICTION}")
    return written


def _means(design: Design, results: Results, figure: str) -> dict[str, Mean]:
    """Over seeds, by column."""
    [filled] = fill_tables(design, results)
    [row] = [row for row in filled.rows if row.figure == figure]
    return {title: cell.mean for title, cell in row.cells.items()}


def _cells(column: TableColumn, results: Results) -> Mapping[str, Any] | None:
    return next((run["cells"] for run in column.curves(results) if "cells" in run), None)


def _number(cells: Mapping[str, Any]) -> int:
    names: Sequence[str] = cells["names"]
    return names.index(_PREDICTION) if _PREDICTION in names else 0


def _curve(cells: Mapping[str, Any], user: int, prediction: int, label: str) -> Curve:
    """Both stages, where predictions lie."""
    grid = np.asarray(cells["grid"])
    low, high = cells["ranges"][prediction]
    within = (grid >= low) & (grid <= high)
    values = np.asarray(cells["both"])[user, prediction]
    return Curve(label, grid[within].tolist(), values[within].tolist())


def plot_curves(panels: Mapping[str, Sequence[Curve]], xlabel: str, path: Path) -> str:
    """Cells' values over their prediction, a panel per model: xMTF's Figures 5 to 7.

    The axis of predictions is logarithmic, as those of rare feedbacks are small.

    Args:
      panels: By title.
      xlabel: What the predictions are of.
      path: The PNG file to write.
    """
    figure, all_axes = panels_of(len(panels))
    for axes, (title, curves) in zip(all_axes, panels.items(), strict=True):
        for at, curve in enumerate(curves):
            colour = COLOURS[at % len(COLOURS)]
            axes.plot(curve.x, curve.y, color=colour, linewidth=1.6, label=curve.label)
        axes.set(title=title, xlabel=xlabel, ylabel="value of the cell q̃", xscale="log")
        axes.legend(frameon=False, fontsize="small")
    return str(save_png(figure, path))


def plot_training(
    curves: Mapping[str, tuple[Sequence[float], Sequence[Sequence[float]]]],
    ylabel: str,
    path: Path,
) -> str:
    """A figure over training, a panel per method: the mean over seeds, and thin lines for each.

    All panels have one axis, so that methods can be compared.

    Args:
      curves: By method, its steps and each seed's values at them.
      ylabel: Of all panels.
      path: The PNG file to write.
    """
    figure, all_axes = panels_of(len(curves))
    values = np.concatenate([np.ravel(runs) for _, runs in curves.values()])
    low, high = float(values.min()), float(values.max())
    margin = max(high - low, 1e-3) * 0.05
    for axes, (method, (steps, runs)) in zip(all_axes, curves.items(), strict=True):
        draw_runs(axes, [steps] * len(runs), runs, marked=True)
        axes.set(title=method, xlabel="training step", ylabel=ylabel)
        axes.set_ylim(low - margin, high + margin)
    return str(save_png(figure, path))
