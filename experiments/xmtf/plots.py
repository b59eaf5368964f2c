"""Which drawings belong to xMTF's experiments, from the results of their trials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mtfx.evaluation.significance import Mean
from mtfx.experiments.engine import plots
from mtfx.experiments.engine.design import Column, Design
from mtfx.experiments.engine.figures import FIGURES
from mtfx.experiments.engine.tables import fill_table
from mtfx.experiments.xmtf import drawings as xmtf_drawings
from mtfx.experiments.xmtf.drawings import Curve
from mtfx.experiments.xmtf.tables import LAMBDAS, lambda_title

Results = Mapping[str, Mapping[str, Any]]

#: Prediction of the paper's Figures 5 and 7; the first there is, where a world lacks it.
_PREDICTION = "long_view"
#: Users of Figure 5, and the one of Figure 6.
_USERS, _USER = 6, 0
#: Of the paper's best λ, and the cells that are monotone by construction.
_FAMILIES = {"mlp": lambda_title(0.4), "basis": "basis cells"}


def table_plots(design: Design, results: Results, path: str) -> list[str]:
    """Watch time by method, and watch time over training."""
    written = []
    means = _means(design, results, "watch_s")
    if any(mean.n for mean in means.values()):
        file = Path(path, "means-watch-s.png")
        title = design.tables[0].title
        plots.plot_means({title: means}, FIGURES["watch_s"].title, file)
        written.append(str(file))
    training = {}
    for column in design.tables[0].columns:
        runs = [run for run in _curves(column, results) if "step" in run]
        if runs:
            training[column.title] = (runs[0]["step"], [run["watch_s"] for run in runs])
    if training:
        file = Path(path, "training.png")
        xmtf_drawings.plot_training(training, FIGURES["watch_s"].title, file)
        written.append(str(file))
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
    file = Path(path, "lambda.png")
    xmtf_drawings.plot_over_lambda(panels, file)
    return [str(file)]


def curve_plots(design: Design, results: Results, path: str) -> list[str]:
    """Figures 5 to 7, of the first seed that has finished."""
    columns = {column.title: column for column in design.tables[0].columns}
    written = []

    def draw(name: str, panels: dict[str, list[Curve]], xlabel: str) -> None:
        if panels:
            file = Path(path, f"{name}.png")
            xmtf_drawings.plot_curves(panels, xlabel, file)
            written.append(str(file))

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
    draw("curves-by-prediction", by_prediction, "prediction")
    draw("curves-by-lambda", by_lambda, f"prediction of {_PREDICTION}")
    return written


def _means(design: Design, results: Results, figure: str) -> dict[str, Mean]:
    """Over seeds, by column."""
    [table] = design.tables
    filled = fill_table(table, range(len(table.columns[0].trials)), results)
    [row] = [row for row in filled.rows if row.figure == figure]
    return {title: cell.mean for title, cell in row.cells.items()}


def _curves(column: Column, results: Results) -> Iterator[Mapping[str, Any]]:
    for trial in column.trials:
        if trial.key in results:
            yield results[trial.key]["curves"]


def _cells(column: Column, results: Results) -> Mapping[str, Any] | None:
    return next((run["cells"] for run in _curves(column, results) if "cells" in run), None)


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
