"""Figures: the palette, panels, means with intervals, PNG, and SVG in the page's colours.

The palette is Okabe and Ito's, distinguishable by the colour-blind. matplotlib is slow to import
and is imported only when something is drawn, without pyplot, which chooses a display and keeps
every figure.
"""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

import numpy as np

from mtfx.evaluation.significance import Mean
from mtfx.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

_P = ParamSpec("_P")

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
#: Of what is compared with: a log, a baseline, the present.
GREY = "#8c8c8c"
#: Lines also differ in dash and marker.
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)))
MARKERS = "osD^vP"

# An SVG's colours are drawn as placeholders and then replaced by the page's CSS variables, so that
# one figure serves a light and a dark page.
_VARIABLES = {
    "#010101": "var(--ink)",
    "#020202": "var(--muted)",
    "#030303": "var(--grid)",
    "#040401": "var(--series-1)",
    "#040402": "var(--series-2)",
    "#040403": "var(--series-3)",
    "#040404": "var(--series-4)",
    "#040405": "var(--series-5)",
    "#040406": "var(--series-6)",
}
INK, MUTED, _GRID, *SERIES = _VARIABLES
_STYLE = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10.0,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlesize": 10.5,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of a size in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def new_panels(
    count: int,
    width: float,
    height: float,
    *,
    columns: int = 3,
    margin: tuple[float, float] = (0.0, 0.0),
    share_x: bool = False,
) -> tuple[Figure, list[Axes]]:
    """A figure of panels, row by row.

    Args:
      count: Of the panels.
      width: Of a panel, in inches.
      height: Of a panel.
      columns: Greatest number in a row.
      margin: Inches of the figure beyond its panels: width, height.
      share_x: Whether all have the same x axis, which only the lowest shows.
    """
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = new_figure(width * columns + margin[0], height * rows + margin[1])
    panels = list(figure.subplots(rows, columns, squeeze=False, sharex=share_x).flat)
    for unused in panels[count:]:
        unused.remove()
    return figure, panels[:count]


def draw_means(
    axes: Axes,
    places: Sequence[float],
    means: Sequence[Mean],
    *,
    colour: str = COLOURS[0],
    label: str | None = None,
    horizontal: bool = False,
) -> None:
    """Means as points with their confidence intervals; undefined ones are left out.

    Args:
      axes: Where to.
      places: Of the means on the other axis.
      means: As many.
      colour: Of points and intervals.
      label: For a legend.
      horizontal: Whether values go to the right, a line each, instead of up along a line.
    """
    known = [
        (place, mean) for place, mean in zip(places, means, strict=True) if mean.mean is not None
    ]
    at = [place for place, _ in known]
    values = np.array([mean.mean for _, mean in known], np.float64)
    widths = np.array([mean.half_width or 0.0 for _, mean in known], np.float64)
    style: dict[str, Any] = {"capsize": 3, "marker": "o", "color": colour, "label": label}
    if horizontal:
        axes.errorbar(values, at, xerr=widths, linestyle="none", **style)
    else:
        axes.errorbar(at, values, yerr=widths, **style)


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Names on the y axis, from the top; the first is at 0."""
    axes.set_yticks(range(len(names)), list(names))
    axes.set_ylim(len(names) - 0.5, -0.5)


def whole_numbers(axis: Axis) -> None:
    """Ticks at whole numbers only: days, epochs."""
    # The base class of locators, which matplotlib declares here, has no such parameter.
    locator: Any = axis.get_major_locator()
    locator.set_params(integer=True)


def png(figure: Figure, dpi: int = 130) -> bytes:
    """The figure as a PNG file's content."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def save_png(figure: Figure, path: Path, dpi: int = 120) -> Path:
    """Writes a PNG file, whole or not at all, makes its directory, and gives its path."""
    write_atomically(path, png(figure, dpi))
    return path


def in_page_style(draw: Callable[_P, str]) -> Callable[_P, str]:
    """Lets a function that gives :func:`svg` draw in the page's style."""

    @functools.wraps(draw)
    def styled(*args: _P.args, **arguments: _P.kwargs) -> str:
        import matplotlib

        with matplotlib.rc_context(_STYLE):
            return draw(*args, **arguments)

    return styled


def svg(figure: Figure, description: str) -> str:
    """The figure as an SVG element with a description for those who cannot see it.

    Args:
      figure: Drawn :func:`in_page_style`, with ``INK``, ``MUTED`` and ``SERIES`` for colours.
      description: Another one than that of the page's other figures.
    """
    import matplotlib

    buffer = io.StringIO()
    # The salt makes ids reproducible, and different from those of the page's other figures.
    with matplotlib.rc_context({"svg.hashsalt": description}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # Groups are named alike in every figure and nothing refers to them.
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    for placeholder, variable in _VARIABLES.items():
        text = text.replace(placeholder, variable)
    head = f'<svg role="img" aria-label="{escape(description, quote=True)}"'
    return text.replace("<svg", head, 1).replace(">", f"><title>{escape(description)}</title>", 1)
