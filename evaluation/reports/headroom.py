"""Headroom as a table and a figure: how much any fusion could gain, and where a policy stands."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from mtfx.evaluation.reports.kit.figures import (
    COLOURS,
    GREY,
    draw_means,
    name_rows,
    new_panels,
    png,
)
from mtfx.evaluation.reports.kit.tables import add_figures, format_mean, new_table
from mtfx.evaluation.significance import PairedTest
from mtfx.evaluation.simulator.headroom import FUNCTIONS, HeadroomRow

_SIGNIFICANT = 0.05


def gain_factor(row: HeadroomRow, first: HeadroomRow, figure: str) -> float | None:
    """How many times what equal weights are worth.

    Args:
      row: Of which.
      first: Equal weights.
      figure: ``greedy`` or ``sessions``.

    Returns:
      None where equal weights are worth nothing or less, and no multiple says anything.
    """
    mean, base = getattr(row, figure).mean, getattr(first, figure).mean
    return None if mean is None or base is None or base <= 0 else mean / base


def headroom_table(rows: Sequence[HeadroomRow], caveat: str = "") -> Table:
    """The table for the terminal.

    Args:
      rows: By way to rank, equal weights first.
      caveat: What must stand beside them; empty if nothing.
    """
    terms = (
        f"of users that nothing was fitted to; * p < {_SIGNIFICANT} against equal weights, paired"
    )
    table = new_table(
        "Headroom: what the same candidates are worth, ranked by what is fitted to the truth",
        ["ranked by"],
        f"{terms}; {caveat}" if caveat else terms,
    )
    add_figures(
        table,
        ["reward of the top item", "times", "return of a session", "times", "watch time, s"],
        no_wrap=True,
    )
    for row in rows:
        table.add_row(
            FUNCTIONS[row.name],
            format_mean(row.greedy, 3),
            _times(row, rows[0], "greedy", row.greedy_gain),
            format_mean(row.sessions, 3),
            _times(row, rows[0], "sessions", row.sessions_gain),
            format_mean(row.watch_s, 1),
        )
    return table


def headroom_bars(rows: Sequence[HeadroomRow]) -> bytes:
    """Both values of each way to rank, with their intervals, side by side; a PNG."""
    figure, panels = new_panels(2, 3.9, 0.42 * len(rows) + 1.1)
    for axes, key, title in zip(
        panels,
        ("greedy", "sessions"),
        ("reward of the top item", "return of a session"),
        strict=True,
    ):
        for place, row in enumerate(rows):
            colour = GREY if row.greedy_gain is None else COLOURS[0]
            draw_means(axes, [place], [getattr(row, key)], colour=colour, horizontal=True)
        name_rows(axes, [row.name for row in rows])
        axes.set_xlabel(title, fontsize=9)
        axes.tick_params(labelsize=8)
        axes.grid(axis="x", alpha=0.3)
    return png(figure)


def _times(row: HeadroomRow, first: HeadroomRow, figure: str, test: PairedTest | None) -> str:
    factor = gain_factor(row, first, figure)
    star = "*" if test is not None and test.p is not None and test.p < _SIGNIFICANT else ""
    return "" if factor is None else f"{factor:.3f}{star}"
