"""A ranker's curves as files and on the terminal."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mtfx.evaluation.reports.fusion_curves import FusionCurves, falling_share
from mtfx.evaluation.reports.ranking_page import format_percent, write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

JSON_FILE, FIGURE_FILE = "curves.json", "curves.png"
#: Okabe and Ito's palette, told apart by the colour-blind.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_COLUMNS = 3


def write_curves(directory: Path, curves: FusionCurves) -> list[Path]:
    """Writes ``curves.json``, with all points, and ``curves.png``.

    Args:
      directory: Where to; made if missing.
      curves: At most as many users as there are colours are drawn, the first.

    Returns:
      Both paths.
    """
    directory.mkdir(parents=True, exist_ok=True)
    image = _draw(curves)
    write_atomically(directory / JSON_FILE, json.dumps(curves.to_json(), allow_nan=False) + "\n")
    temporary = directory / f".{FIGURE_FILE}.partial"
    temporary.write_bytes(image)
    temporary.replace(directory / FIGURE_FILE)
    return [directory / JSON_FILE, directory / FIGURE_FILE]


def render_curves(curves: FusionCurves) -> RenderableType:
    """A table: by prediction, how much it moves a score, and how often its curves fall."""
    kind = "xMTF's cells" if curves.has_cells else str(curves.fusion.get("formula"))
    table = Table(
        title=f"{curves.method}, {kind}: contributions to a score, {len(curves.users)} users",
        box=box.SIMPLE_HEAD,
        title_justify="left",
    )
    table.add_column("prediction", style="bold", no_wrap=True)
    table.add_column(f"rise from {curves.grid[0]:g} to {curves.grid[-1]:g}", justify="right")
    table.add_column("least to most", justify="right")
    for title in ("falls: inner stage", "both stages"):
        table.add_column(title, justify="right")
    inner, both = falling_share(curves.inner), falling_share(curves.contribution)
    rise = curves.rise
    for k, name in enumerate(curves.prediction_names):
        table.add_row(
            name,
            f"{rise[:, k].mean():.3f}",
            f"{rise[:, k].min():.3f} to {rise[:, k].max():.3f}",
            format_percent(inner[k]),
            format_percent(both[k]),
        )
    about = "falls: share of the pairs of points at which the larger prediction contributes less"
    if not curves.has_cells:
        about += "; inner stage: what the formula weighs, both stages: times its weight"
    return Group(table, Text(about, style="dim"))


def _draw(curves: FusionCurves) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    count = len(curves.prediction_names)
    rows, columns = -(-count // _COLUMNS), min(_COLUMNS, count)
    figure = Figure(figsize=(3.6 * columns + 0.6, 2.8 * rows + 0.8), layout="constrained", dpi=120)
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False).flat
    inner, both = falling_share(curves.inner), falling_share(curves.contribution)
    for k, axes in enumerate(panels):
        if k >= count:
            axes.set_visible(False)
            continue
        for user, colour in zip(range(len(curves.users)), _COLOURS, strict=False):
            axes.plot(curves.grid, curves.contribution[user, k], color=colour, linewidth=1.6)
            axes.plot(curves.grid, curves.inner[user, k], color=colour, linewidth=1, linestyle="--")
        axes.set_xscale("log")
        falls = f"falls {inner[k]:.1%} inner, {both[k]:.1%} both"
        axes.set_title(f"{curves.prediction_names[k]}\n{falls}", fontsize=9, loc="left")
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3)
    _legend(figure, curves)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _legend(figure: Figure, curves: FusionCurves) -> None:
    from matplotlib.lines import Line2D

    shown = curves.users[: len(_COLOURS)]
    handles = [
        Line2D([], [], color=colour, label=f"user {user}")
        for user, colour in zip(shown, _COLOURS, strict=False)
    ]
    handles += [
        Line2D([], [], color="#444444", linestyle="-", label="both stages"),
        Line2D([], [], color="#444444", linestyle="--", linewidth=1, label="inner stage"),
    ]
    figure.legend(
        handles=handles, loc="outside upper center", ncols=min(len(handles), 6), frameon=False
    )
    figure.supxlabel("prediction o", fontsize=9)
    figure.supylabel("contribution to the score", fontsize=9)
