"""Drawings of what the trials of fusion policies recorded, as PNG files.

Each function takes plain numbers and writes one file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mtfx.evaluation.significance import Mean
from mtfx.experiments.engine.plots import COLOURS, new_figure, save_figure


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


def plot_q_curves(curves: Mapping[str, QCurve], path: Path) -> None:
    """BatchRL-MTF's Figure 5: mean Q with a band of one standard deviation, and the truth.

    Every panel has its own axis, as a Q that runs away would hide all others.

    Args:
      curves: By method.
      path: The PNG file to write.
    """
    from matplotlib.ticker import MaxNLocator

    figure, panels = new_figure(len(curves))
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
        for run in curve.q_mean:
            axes.plot(curve.steps, run, color=COLOURS[0], linewidth=0.7, alpha=0.4)
        axes.plot(curve.steps, mean, color=COLOURS[0], linewidth=1.8, label="mean Q")
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
    save_figure(figure, path)


def plot_action_histograms(
    histograms: Mapping[str, Mapping[str, Sequence[float]]], path: Path
) -> None:
    """BatchRL-MTF's Figures 6 and 7: share of the actions by bin, a panel per coordinate.

    Args:
      histograms: By method and coordinate, the share in each of equal bins over [-1, 1].
      path: The PNG file to write.
    """
    names = list(next(iter(histograms.values())))
    figure, panels = new_figure(len(names))
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
    save_figure(figure, path)


def plot_along(panels: Mapping[str, Mapping[float, Mean]], xlabel: str, path: Path) -> None:
    """BatchRL-MTF's Figure 8: a figure over the values of a setting, the best marked by a star.

    Args:
      panels: By the figure's title and the setting's value, the mean over seeds.
      xlabel: Name of the setting.
      path: The PNG file to write.
    """
    figure, all_axes = new_figure(len(panels))
    for axes, (title, found) in zip(all_axes, panels.items(), strict=True):
        known = {value: mean for value, mean in found.items() if mean.mean is not None}
        x = list(known)
        y = np.array([mean.mean for mean in known.values()], np.float64)
        width = np.array([mean.half_width or 0.0 for mean in known.values()], np.float64)
        axes.errorbar(x, y, yerr=width, capsize=4, marker="o", color=COLOURS[0])
        if len(y):
            best = int(np.argmax(y))
            axes.plot(x[best], y[best], marker="*", markersize=14, color=COLOURS[1])
        axes.set(title=title, xlabel=xlabel, xscale="log")
        axes.set_xticks(x, [f"{value:g}" for value in x], minor=False)
        axes.set_xticks([], minor=True)
    save_figure(figure, path)


def plot_estimates(
    estimates: Mapping[str, tuple[Sequence[float | None], Sequence[float | None]]], path: Path
) -> None:
    """Estimated against true values, a panel per estimator and a point per policy and seed.

    The estimates' axis is the same for all, and logarithmic beyond twice the largest true value, as
    a fit that diverged would hide all others.

    Args:
      estimates: By estimator, estimates and true values in the same order.
      path: The PNG file to write.
    """
    figure, panels = new_figure(len(estimates))
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
    save_figure(figure, path)
