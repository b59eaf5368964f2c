"""Drawings of xMTF's experiments, as PNG files.

Each function takes plain numbers and writes one file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mtfx.evaluation.significance import Mean
from mtfx.experiments.engine.plots import COLOURS, new_figure, save_figure


class Curve(NamedTuple):
    """A line: its label, and the same number of places and values."""

    label: str
    x: Sequence[float]
    y: Sequence[float]


def plot_curves(panels: Mapping[str, Sequence[Curve]], xlabel: str, path: Path) -> None:
    """Cells' values over their prediction, a panel per model: xMTF's Figures 5 to 7.

    The axis of predictions is logarithmic, as those of rare feedbacks are small.

    Args:
      panels: By title.
      xlabel: What the predictions are of.
      path: The PNG file to write.
    """
    figure, all_axes = new_figure(len(panels))
    for axes, (title, curves) in zip(all_axes, panels.items(), strict=True):
        for at, curve in enumerate(curves):
            colour = COLOURS[at % len(COLOURS)]
            axes.plot(curve.x, curve.y, color=colour, linewidth=1.6, label=curve.label)
        axes.set(title=title, xlabel=xlabel, ylabel="value of the cell q̃", xscale="log")
        axes.legend(frameon=False, fontsize="small")
    save_figure(figure, path)


def plot_over_lambda(panels: Mapping[str, Mapping[float, Mean]], path: Path) -> None:
    """Figures over λ, with their confidence intervals (xMTF, Table 4).

    Args:
      panels: By the figure's title and λ, the mean over seeds.
      path: The PNG file to write.
    """
    figure, all_axes = new_figure(len(panels))
    for axes, (title, found) in zip(all_axes, panels.items(), strict=True):
        known = {value: mean for value, mean in found.items() if mean.mean is not None}
        means = np.array([mean.mean for mean in known.values()], np.float64)
        widths = np.array([mean.half_width or 0.0 for mean in known.values()], np.float64)
        axes.errorbar(list(known), means, yerr=widths, capsize=4, marker="o", color=COLOURS[0])
        axes.set(title=title, xlabel="λ")
    save_figure(figure, path)


def plot_training(
    curves: Mapping[str, tuple[Sequence[float], Sequence[Sequence[float]]]],
    ylabel: str,
    path: Path,
) -> None:
    """A figure over training, a panel per method: the mean over seeds, and thin lines for each.

    All panels have one axis, so that methods can be compared.

    Args:
      curves: By method, its steps and each seed's values at them.
      ylabel: Of all panels.
      path: The PNG file to write.
    """
    figure, all_axes = new_figure(len(curves))
    values = np.concatenate([np.ravel(runs) for _, runs in curves.values()])
    low, high = float(values.min()), float(values.max())
    margin = max(high - low, 1e-3) * 0.05
    for axes, (method, (steps, runs)) in zip(all_axes, curves.items(), strict=True):
        for run in runs:
            axes.plot(steps, run, color=COLOURS[0], linewidth=0.7, alpha=0.4)
        axes.plot(steps, np.mean(runs, axis=0), color=COLOURS[0], linewidth=1.8, marker="o")
        axes.set(title=method, xlabel="training step", ylabel=ylabel)
        axes.set_ylim(low - margin, high + margin)
    save_figure(figure, path)
