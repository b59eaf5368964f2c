"""The comparison of a ranking model with boosted trees, in the report and on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from mtfx.evaluation.ranking.paired_comparison import (
    PairedComparison,
    RankerFigures,
    TreesBeside,
)
from mtfx.evaluation.reports.kit.tables import (
    add_figures,
    format_figure,
    format_seconds,
    new_table,
)

#: Title and field of the figures that are shown of each kind of task, and their decimals.
_FIGURES = {
    "binary": (("AUC", "auc", 4), ("log loss", "logloss", 5)),
    "regression": (("RMSE", "rmse", 1), ("R²", "r_squared", 4)),
}


def trees_sentence(compared: PairedComparison) -> str:
    """Which of the two is better on a task, in one sentence."""
    measure, digits = ("AUC", 4) if compared.kind == "binary" else ("RMSE", 1)
    model, other = (_measure(compared, figures) for figures in (compared.model, compared.other))
    if model is None or other is None or compared.difference is None:
        return f"{compared.task}: the {measure} is undefined, so there is nothing to compare."
    figures = f"{measure} {format_figure(model, digits)} against {format_figure(other, digits)}"
    difference = f"a difference of {_signed(compared.difference, digits)}"
    if compared.low is not None and compared.high is not None:
        low, high = _signed(compared.low, digits), _signed(compared.high, digits)
        difference += f" (95% interval {low} to {high})"
    found = {
        "model": "the model is better than the trees",
        "other": "the trees are better than the model",
        None: "neither is better by more than chance",
    }[compared.winner]
    return f"{compared.task}: {found}, {figures}, {difference}."


def trees_lines(beside: TreesBeside) -> list[str]:
    """A sentence for each task, and one on what the trees cost."""
    return [
        *map(trees_sentence, beside.tasks),
        f"The trees read {beside.columns} columns and took {format_seconds(beside.seconds)}; users "
        "are drawn for the intervals.",
    ]


def trees_rows(beside: TreesBeside) -> list[Mapping[str, Any]]:
    """A row for each task and figure: ``task``, ``figure``, ``model`` and ``trees`` as text."""
    return [
        {
            "task": task.task if not place else "",
            "figure": title,
            "model": format_figure(getattr(task.model, name), digits),
            "trees": format_figure(getattr(task.other, name), digits),
        }
        for task in beside.tasks
        for place, (title, name, digits) in enumerate(_FIGURES[task.kind])
    ]


def trees_table(beside: TreesBeside) -> Table:
    """The figures for the terminal."""
    table = new_table(f"Beside boosted trees, on the {beside.split} split", ["task"])
    table.add_column("figure")
    add_figures(table, ("model", "trees"), no_wrap=True)
    for row in trees_rows(beside):
        table.add_row(row["task"], row["figure"], row["model"], row["trees"])
    return table


def _measure(compared: PairedComparison, figures: RankerFigures) -> float | None:
    return figures.auc if compared.kind == "binary" else figures.rmse


def _signed(value: float, digits: int) -> str:
    """With its sign, a true minus sign if it is negative."""
    return f"{value:+,.{digits}f}".replace("-", "\N{MINUS SIGN}")
