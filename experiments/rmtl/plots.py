"""Drawings of RMTL's experiments, from the results of their trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mtfx.evaluation.reports.kit.figures import COLOURS, save_png, whole_numbers
from mtfx.experiments.engine.design import Design, Results
from mtfx.experiments.engine.plots import (
    Runs,
    draw_runs,
    mean_drawings,
    panels_of,
)
from mtfx.experiments.engine.tables import fill_tables
from mtfx.experiments.rmtl.trial import RmtlTrial


def learning_plots(design: Design, results: Results, path: str) -> list[str]:
    """Weights over training, TD error over steps, and Q against the realised return.

    Args:
      design: The experiment.
      results: By trial key; what a failed trial would have shown is left out.
      path: Directory of the PNG files.

    Returns:
      Paths of the files written.
    """
    written = []
    weights = _weights(design, results)
    if weights:
        written.append(plot_weights(weights, Path(path, "weights.png")))
    critics = _critics(design, results)
    errors = {
        backbone: ([_steps(curves) for curves in runs], [curves["td_error"] for curves in runs])
        for backbone, runs in critics.items()
        if all(curves.get("td_error") for curves in runs)
    }
    if errors:
        written.append(plot_td_error(errors, Path(path, "td-error.png")))
    samples = {
        (backbone, task): (
            [q for curves in runs for q in curves["q"][task]],
            [value for curves in runs for value in curves["realised_return"][task]],
        )
        for backbone, runs in critics.items()
        for task in runs[0].get("q", {})
    }
    if samples:
        written.append(plot_q_against_return(samples, Path(path, "q-against-return.png")))
    return written


def mean_plots(design: Design, results: Results, path: str) -> list[str]:
    """As :func:`learning_plots`, and as RMTL's Figure 4 AUC and log loss by column."""
    means = mean_drawings(
        fill_tables(design, results),
        ("auc", "logloss"),
        path,
        lambda table, row: f"{table.design.columns[0].title}, {row.task}",
    )
    return [*learning_plots(design, results, path), *means]


def plot_weights(weights: Mapping[str, Mapping[str, Runs]], path: Path) -> str:
    """Mean loss weights over training, a panel per method and a line per task.

    Args:
      weights: By method and task, each seed's mean weight after every epoch.
      path: The PNG file to write.
    """
    figure, panels = panels_of(len(weights))
    for axes, (method, tasks) in zip(panels, weights.items(), strict=True):
        for at, (task, runs) in enumerate(tasks.items()):
            epochs = [range(1, len(run) + 1) for run in runs]
            draw_runs(axes, epochs, runs, label=task, at=at)
        axes.axhline(1.0, color="0.6", linewidth=0.8)
        axes.set(title=method, xlabel="epoch", ylabel="mean weight of the loss")
        whole_numbers(axes.xaxis)
        axes.legend(frameon=False)
    return str(save_png(figure, path))


def plot_td_error(errors: Mapping[str, tuple[Runs, Runs]], path: Path) -> str:
    """Mean signed TD error (RMTL, equation 13) while critics train, a panel per backbone.

    Args:
      errors: By backbone, each seed's steps and its error at them.
      path: The PNG file to write.
    """
    figure, panels = panels_of(len(errors))
    for axes, (backbone, (steps, runs)) in zip(panels, errors.items(), strict=True):
        draw_runs(axes, steps, runs)
        axes.axhline(0.0, color="0.6", linewidth=0.8)
        axes.set(title=f"critics of {backbone}", xlabel="step", ylabel="mean signed TD error")
    return str(save_png(figure, path))


def plot_q_against_return(
    samples: Mapping[tuple[str, str], tuple[Sequence[float], Sequence[float]]], path: Path
) -> str:
    """What the critics expect against what came, with the correlation over all points.

    Args:
      samples: By backbone and task, Q values and realised discounted returns of the same
        impressions, of all seeds together.
      path: The PNG file to write.
    """
    figure, panels = panels_of(len(samples))
    for axes, ((backbone, task), (q, returns)) in zip(panels, samples.items(), strict=True):
        x, y = np.asarray(returns, np.float64), np.asarray(q, np.float64)
        defined = np.isfinite(x) & np.isfinite(y)
        x, y = x[defined], y[defined]
        axes.scatter(x, y, s=6, alpha=0.3, color=COLOURS[0], edgecolors="none")
        ends = [min([*x, *y, -1e-3]), max([*x, *y, 0.0])]
        axes.plot(ends, ends, color="0.6", linewidth=0.8)
        title = f"{backbone}, {task}"
        correlation = _correlation(x, y)
        if correlation is not None:
            title += f": correlation {correlation:.2f}"
        axes.set(title=title, xlabel="realised return", ylabel="Q")
    return str(save_png(figure, path))


def _correlation(x: np.ndarray, y: np.ndarray) -> float | None:
    """Pearson's; None where one of the two does not vary."""
    if len(x) < 2 or np.std(x) == 0.0 or np.std(y) == 0.0:
        return None
    return float(np.corrcoef(x, y)[0, 1])


def _weights(design: Design, results: Results) -> dict[str, dict[str, Runs]]:
    """By method and task, each seed's weights; a method of several tables is named with each."""
    found: dict[str, dict[str, Runs]] = {}
    for table in design.tables:
        for column in table.columns:
            runs = [curves.get("weights") or {} for curves in column.curves(results)]
            runs = [tasks for tasks in runs if tasks and all(tasks.values())]
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
