"""Drawings of what trials recorded, as PNG files: RMTL's, and what all drawings share.

Each function takes plain numbers and writes one file. Lines are means over seeds, and thin lines
the single seeds, so that a plot shows how much they differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mtfx.evaluation.significance import Mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Okabe and Ito's palette, told apart by the colour-blind.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_DASHES = ("-", "--", "-.", ":")
_DPI = 120
#: Lines of at most so many points show them.
_MARKED = 12

#: One sequence of numbers per seed.
Runs = Sequence[Sequence[float]]


def plot_weights(weights: Mapping[str, Mapping[str, Runs]], path: Path) -> None:
    """Mean loss weights over training, a panel per method and a line per task.

    Args:
      weights: By method and task, each seed's mean weight after every epoch.
      path: The PNG file to write.
    """
    from matplotlib.ticker import MaxNLocator

    figure, panels = new_figure(len(weights))
    for axes, (method, tasks) in zip(panels, weights.items(), strict=True):
        for at, (task, runs) in enumerate(tasks.items()):
            _lines(axes, runs, None, task, at)
        axes.axhline(1.0, color="0.6", linewidth=0.8)
        axes.set(title=method, xlabel="epoch", ylabel="mean weight of the loss")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.legend(frameon=False)
    save_figure(figure, path)


def plot_td_error(errors: Mapping[str, tuple[Sequence[Sequence[float]], Runs]], path: Path) -> None:
    """Mean signed TD error (RMTL, equation 13) while critics train, a panel per backbone.

    Args:
      errors: By backbone, each seed's steps and its error at them.
      path: The PNG file to write.
    """
    figure, panels = new_figure(len(errors))
    for axes, (backbone, (steps, runs)) in zip(panels, errors.items(), strict=True):
        _lines(axes, runs, steps, None, 0)
        axes.axhline(0.0, color="0.6", linewidth=0.8)
        axes.set(title=f"critics of {backbone}", xlabel="step", ylabel="mean signed TD error")
    save_figure(figure, path)


def plot_q_against_return(
    samples: Mapping[tuple[str, str], tuple[Sequence[float], Sequence[float]]], path: Path
) -> None:
    """What the critics expect against what came, with the correlation over all points.

    Args:
      samples: By backbone and task, Q values and realised discounted returns of the same
        impressions, of all seeds together.
      path: The PNG file to write.
    """
    figure, panels = new_figure(len(samples))
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
    save_figure(figure, path)


def plot_means(panels: Mapping[str, Mapping[str, Mean]], xlabel: str, path: Path) -> None:
    """Means as points with their confidence intervals, a panel per group and a line per method.

    Points, not bars: the axis does not begin at zero, as differences are small.

    Args:
      panels: By panel and method, the mean over seeds.
      xlabel: Of all panels.
      path: The PNG file to write.
    """
    most = max(len(methods) for methods in panels.values())
    figure, all_axes = new_figure(len(panels), width=5.4, height=1.1 + 0.27 * most)
    for axes, (title, methods) in zip(all_axes, panels.items(), strict=True):
        known = {name: mean for name, mean in methods.items() if mean.mean is not None}
        means = np.array([mean.mean for mean in known.values()], np.float64)
        widths = np.array([mean.half_width or 0.0 for mean in known.values()], np.float64)
        places = range(len(known))
        axes.errorbar(means, places, xerr=widths, fmt="o", capsize=3, color=COLOURS[0])
        axes.set_yticks(places, list(known))
        axes.invert_yaxis()
        axes.grid(axis="x", color="0.9")
        axes.set_title(title, wrap=True)
        axes.set_xlabel(xlabel)
    save_figure(figure, path)


def _lines(
    axes: Axes, runs: Runs, steps: Sequence[Sequence[float]] | None, label: str | None, at: int
) -> None:
    """A thin line per seed and, over the steps that all of them took, their mean."""
    colour, dash = COLOURS[at % len(COLOURS)], _DASHES[at % len(_DASHES)]
    xs = [range(1, len(run) + 1) for run in runs] if steps is None else steps
    for x, run in zip(xs, runs, strict=True):
        axes.plot(x, np.asarray(run, np.float64), color=colour, linewidth=0.7, alpha=0.4)
    shortest = min(len(run) for run in runs)
    # A line of one point cannot be seen.
    marker = "o" if shortest <= _MARKED else ""
    mean = np.mean(np.asarray([run[:shortest] for run in runs], np.float64), axis=0)
    axes.plot(
        list(xs[0])[:shortest],
        mean,
        linestyle=dash,
        marker=marker,
        color=colour,
        linewidth=1.8,
        label=label,
    )


def _correlation(x: np.ndarray, y: np.ndarray) -> float | None:
    """Pearson's; None where one of the two does not vary."""
    if len(x) < 2 or np.std(x) == 0.0 or np.std(y) == 0.0:
        return None
    return float(np.corrcoef(x, y)[0, 1])


def new_figure(
    panels: int, *, width: float = 4.2, height: float = 3.4
) -> tuple[Figure, list[Axes]]:
    """A figure of so many panels, each of so many inches: three in a row, or two of four."""
    # Not pyplot: it chooses a display, and keeps every figure.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = 2 if panels == 4 else min(panels, 3)
    rows = -(-panels // columns)
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for unused in axes[panels:]:
        unused.remove()
    for used in axes[:panels]:
        used.spines[["top", "right"]].set_visible(False)
    return figure, axes[:panels]


def save_figure(figure: Figure, path: Path) -> None:
    """Writes a PNG file, and makes its directory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=_DPI)
