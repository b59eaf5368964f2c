"""Drawings that the papers' experiments share: means, figures over a setting, lines of runs.

Each function takes plain numbers and writes one PNG file. Lines are means over seeds, and thin
lines the single seeds, so that a plot shows how much they differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mtfx.evaluation.reports.kit.figures import (
    COLOURS,
    DASHES,
    draw_means,
    name_rows,
    new_panels,
    save_png,
)
from mtfx.evaluation.significance import Mean
from mtfx.experiments.engine.design import FIGURES
from mtfx.experiments.engine.tables import ResultTable, Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Lines of at most this many points show them.
_MARKED = 12

#: One sequence of numbers per seed.
Runs = Sequence[Sequence[float]]


def mean_drawings(
    tables: Iterable[ResultTable],
    figures: Iterable[str],
    path: str,
    panel: Callable[[ResultTable, Row], str] = lambda table, row: table.design.title,
) -> list[str]:
    """Means of some figures by method, a file per figure; what all trials lack is left out.

    Args:
      tables: The filled tables.
      figures: Keys of ``FIGURES``.
      path: Directory of the PNG files.
      panel: Title of a row's panel.

    Returns:
      Paths of the files written.
    """
    tables, written = list(tables), []
    for figure in figures:
        panels = {
            panel(table, row): {title: cell.mean for title, cell in row.cells.items()}
            for table in tables
            for row in table.rows
            if row.figure == figure and any(cell.mean.n for cell in row.cells.values())
        }
        if panels:
            file = Path(path, f"means-{figure.replace('_', '-')}.png")
            written.append(plot_means(panels, FIGURES[figure].title, file))
    return written


def plot_means(panels: Mapping[str, Mapping[str, Mean]], xlabel: str, path: Path) -> str:
    """Means as points with their confidence intervals, a panel per group and a line per method.

    Points, not bars: the axis does not begin at zero, as differences are small.

    Args:
      panels: By panel and method, the mean over seeds.
      xlabel: Of all panels.
      path: The PNG file to write.
    """
    most = max(len(methods) for methods in panels.values())
    figure, all_axes = panels_of(len(panels), width=5.4, height=1.1 + 0.27 * most)
    for axes, (title, methods) in zip(all_axes, panels.items(), strict=True):
        known = {name: mean for name, mean in methods.items() if mean.mean is not None}
        draw_means(axes, range(len(known)), list(known.values()), horizontal=True)
        name_rows(axes, list(known))
        axes.grid(axis="x", color="0.9")
        axes.set_title(title, wrap=True)
        axes.set_xlabel(xlabel)
    return str(save_png(figure, path))


def plot_over(
    panels: Mapping[str, Mapping[float, Mean]], xlabel: str, path: Path, *, logarithmic: bool
) -> str:
    """Figures over the values of a setting, with their confidence intervals.

    Args:
      panels: By the figure's title and the setting's value, the mean over seeds.
      xlabel: Name of the setting.
      path: The PNG file to write.
      logarithmic: Whether the setting's axis is, with a tick at each value and a star at the best.
    """
    figure, all_axes = panels_of(len(panels))
    for axes, (title, found) in zip(all_axes, panels.items(), strict=True):
        known = {value: mean.mean for value, mean in found.items() if mean.mean is not None}
        draw_means(axes, list(found), list(found.values()))
        axes.set(title=title, xlabel=xlabel)
        if logarithmic:
            if known:
                best = max(known, key=lambda value: known[value])
                axes.plot(best, known[best], marker="*", markersize=14, color=COLOURS[1])
            axes.set_xscale("log")
            axes.set_xticks(list(known), [f"{value:g}" for value in known], minor=False)
            axes.set_xticks([], minor=True)
    return str(save_png(figure, path))


def draw_runs(
    axes: Axes,
    xs: Sequence[Sequence[float]],
    runs: Runs,
    *,
    label: str | None = None,
    at: int = 0,
    marked: bool | None = None,
) -> None:
    """A thin line per seed and, over the steps that all of them took, their mean.

    Args:
      axes: Where.
      xs: Places of each seed's values.
      runs: The values.
      label: Of the mean.
      at: Which colour and dash.
      marked: Whether the mean's points are shown; None shows a few, as a line of one cannot be
        seen.
    """
    colour = COLOURS[at % len(COLOURS)]
    for x, run in zip(xs, runs, strict=True):
        axes.plot(x, np.asarray(run, np.float64), color=colour, linewidth=0.7, alpha=0.4)
    shortest = min(len(run) for run in runs)
    axes.plot(
        list(xs[0])[:shortest],
        np.mean(np.asarray([run[:shortest] for run in runs], np.float64), axis=0),
        linestyle=DASHES[at % len(DASHES)],
        marker="o" if marked or (marked is None and shortest <= _MARKED) else "",
        color=colour,
        linewidth=1.8,
        label=label,
    )


def panels_of(count: int, *, width: float = 4.2, height: float = 3.4) -> tuple[Figure, list[Axes]]:
    """A figure of panels, each of this size in inches: three in a row, or two of four."""
    figure, panels = new_panels(count, width, height, columns=2 if count == 4 else 3)
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
    return figure, panels
