"""Which drawings belong to BatchRL-MTF's experiments, from the results of their trials."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mtfx.experiments.batchrl import drawings as fusion_drawings
from mtfx.experiments.batchrl.drawings import QCurve
from mtfx.experiments.engine import plots
from mtfx.experiments.engine.design import Column, Design
from mtfx.experiments.engine.figures import FIGURES
from mtfx.experiments.engine.tables import ResultTable, fill_table

Results = Mapping[str, Mapping[str, Any]]


def mean_plots(design: Design, results: Results, path: str) -> list[str]:
    """Means of the true figures by method.

    Args:
      design: The experiment.
      results: By trial key; what a failed trial would have shown is left out.
      path: Directory of the PNG files.

    Returns:
      Paths of the files written.
    """
    written = []
    for figure in ("true_return", "watch_s", "positive_rate"):
        panels = {
            table.design.title: {title: cell.mean for title, cell in row.cells.items()}
            for table in _filled(design, results)
            for row in table.rows
            if row.figure == figure and any(cell.mean.n for cell in row.cells.values())
        }
        if panels:
            file = Path(path, f"means-{figure.replace('_', '-')}.png")
            plots.plot_means(panels, FIGURES[figure].title, file)
            written.append(str(file))
    return written


def q_curve_plots(design: Design, results: Results, path: str) -> list[str]:
    """Figure 5: mean Q, its deviation and the true return over training."""
    curves = {}
    for column in design.tables[0].columns:
        runs = list(_curves(column, results))
        if runs:
            # All seeds take the same steps.
            values = [[run[name] for run in runs] for name in QCurve._fields[1:]]
            curves[column.title] = QCurve(runs[0]["step"], *values)
    if not curves:
        return []
    file = Path(path, "q-curves.png")
    fusion_drawings.plot_q_curves(curves, file)
    return [str(file)]


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
            file = Path(path, f"{name}.png")
            fusion_drawings.plot_action_histograms(found, file)
            written.append(str(file))
    return written


def sensitivity_plots(design: Design, results: Results, path: str) -> list[str]:
    """Figure 8: estimate and truth over the values of each setting."""
    written = []
    for table in _filled(design, results):
        name = table.design.columns[0].title.split()[0]
        panels = {
            FIGURES[row.figure].title: {
                float(title.split()[1]): cell.mean for title, cell in row.cells.items()
            }
            for row in table.rows
            if row.figure in ("estimated_return", "true_return", "watch_s")
        }
        file = Path(path, f"sensitivity-{name.replace('_', '-')}.png")
        fusion_drawings.plot_along(panels, name, file)
        written.append(str(file))
    return written


def accuracy_plots(design: Design, results: Results, path: str) -> list[str]:
    """Each estimator's values against the true ones."""
    estimates = {}
    for column in design.tables[0].columns:
        runs = list(_curves(column, results))
        if runs:
            pooled = [
                [value for run in runs for value in run[key]] for key in ("estimate", "truth")
            ]
            estimates[column.title] = (pooled[0], pooled[1])
    if not estimates:
        return []
    file = Path(path, "estimates.png")
    fusion_drawings.plot_estimates(estimates, file)
    return [str(file)]


def _filled(design: Design, results: Results) -> list[ResultTable]:
    seeds = range(len(design.tables[0].columns[0].trials))
    return [fill_table(table, seeds, results) for table in design.tables]


def _curves(column: Column, results: Results) -> Iterable[Mapping[str, Any]]:
    for trial in column.trials:
        if trial.key in results:
            yield results[trial.key]["curves"]


def _mean_histograms(column: Column, results: Results) -> dict[str, list[float]]:
    runs = [curves["actions"] for curves in _curves(column, results)]
    if not runs:
        return {}
    return {name: np.mean([run[name] for run in runs], axis=0).tolist() for name in runs[0]}
