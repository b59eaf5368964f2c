"""Which drawings belong to RMTL's experiments, from the results of their trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtfx.experiments.engine import plots
from mtfx.experiments.engine.design import Design
from mtfx.experiments.engine.figures import FIGURES
from mtfx.experiments.engine.tables import fill_table
from mtfx.experiments.rmtl.trials import RmtlTrial

Results = Mapping[str, Mapping[str, Any]]


def learning_plots(design: Design, results: Mapping[str, dict[str, Any]], path: str) -> list[str]:
    """Weights over training, TD error over steps, and Q against the realised return.

    Args:
      design: The experiment.
      results: By trial key; what a failed trial would have shown is left out.
      path: Directory of the PNG files.

    Returns:
      Paths of the files written.
    """
    directory, written = Path(path), []
    weights = _weights(design, results)
    if weights:
        plots.plot_weights(weights, directory / "weights.png")
        written.append(str(directory / "weights.png"))
    critics = _critics(design, results)
    errors = {
        backbone: (
            [_steps(curves) for curves in runs],
            [curves["td_error"] for curves in runs],
        )
        for backbone, runs in critics.items()
        if all(curves.get("td_error") for curves in runs)
    }
    if errors:
        plots.plot_td_error(errors, directory / "td-error.png")
        written.append(str(directory / "td-error.png"))
    samples = {
        (backbone, task): (
            [q for curves in runs for q in curves["q"][task]],
            [value for curves in runs for value in curves["realised_return"][task]],
        )
        for backbone, runs in critics.items()
        for task in runs[0].get("q", {})
    }
    if samples:
        plots.plot_q_against_return(samples, directory / "q-against-return.png")
        written.append(str(directory / "q-against-return.png"))
    return written


def mean_plots(design: Design, results: Mapping[str, dict[str, Any]], path: str) -> list[str]:
    """As :func:`learning_plots`, and as RMTL's Figure 4 AUC and log loss by column."""
    written = learning_plots(design, results, path)
    seeds = range(len(design.tables[0].columns[0].trials))
    tables = [fill_table(table, seeds, results) for table in design.tables]
    for figure in ("auc", "logloss"):
        panels = {
            f"{table.design.columns[0].title}, {row.task}": {
                title: cell.mean for title, cell in row.cells.items()
            }
            for table in tables
            for row in table.rows
            if row.figure == figure
        }
        if panels:
            file = Path(path, f"means-{figure}.png")
            plots.plot_means(panels, FIGURES[figure].title, file)
            written.append(str(file))
    return written


def _weights(design: Design, results: Results) -> dict[str, dict[str, list[Sequence[float]]]]:
    """By method and task, each seed's weights; a method of several tables is named with each."""
    found: dict[str, dict[str, list[Sequence[float]]]] = {}
    for table in design.tables:
        for column in table.columns:
            runs = [
                results[trial.key]["curves"]["weights"]
                for trial in column.trials
                if results.get(trial.key, {}).get("curves", {}).get("weights")
            ]
            runs = [tasks for tasks in runs if all(tasks.values())]
            if runs:
                plain = table.columns[0].title
                title = column.title if len(design.tables) == 1 else f"{plain}, {column.title}"
                found[title] = {task: [run[task] for run in runs] for task in runs[0]}
    return found


def _critics(design: Design, results: Results) -> dict[str, list[Mapping[str, Any]]]:
    """By backbone, the curves of each seed's critics."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for trial in design.trials:
        if isinstance(trial, RmtlTrial) and trial.method == "critics" and trial.key in results:
            found.setdefault(trial.backbone, []).append(results[trial.key]["curves"])
    return found


def _steps(curves: Mapping[str, Any]) -> Sequence[float]:
    return curves.get("steps") or range(1, len(curves["td_error"]) + 1)
