"""Texts of filled tables: as Markdown with every difference, and short on the terminal."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator

from rich import box
from rich.table import Table

from mtfx.evaluation.significance import Mean, PairedTest
from mtfx.experiments.engine.design import FIGURES, Figure
from mtfx.experiments.engine.tables import Cell, ResultTable, Row

#: Differences with a smaller p carry a star, as in RMTL's tables.
SIGNIFICANT = 0.05
_NOTHING = "-"
_PERCENT_DIGITS = 2


def markdown(table: ResultTable) -> str:
    """The table with methods as columns, the paper's figures and all paired differences."""
    titles = [column.title for column in table.design.columns]
    lines = [f"## {table.design.title}", "", _line(["", *titles])]
    lines.append(_line(["---", *("---:" for _ in titles)]))
    for row in table.rows:
        figure = FIGURES[row.figure]
        best = _best(row, figure)
        means = [
            f"**{format_mean(row.cells[title].mean, figure)}**"
            if title == best
            else format_mean(row.cells[title].mean, figure)
            for title in titles
        ]
        lines.append(_line([f"**{row.task}, {figure.title}**{figure.arrow}", *means]))
        if table.design.deviations:
            shown = [_deviation(row.cells[title], figure) for title in titles]
            lines.append(_line(["standard deviation over seeds", *shown]))
        for comparison in table.design.comparisons:
            differences = (row.cells[title].differences.get(comparison) for title in titles)
            shown = [format_test(found, figure) if found else "" for found in differences]
            lines.append(_line([_compared(comparison, figure), *shown]))
        papers = [row.cells[title].paper for title in titles]
        if any(paper is not None for paper in papers):
            changes = figure.relative and table.design.paper_changes
            shown = [_format_paper(paper, figure, changes) for paper in papers]
            lines.append(_line([f"paper, {table.design.paper_data}", *shown]))
    lines += ["", _legend(table), *(f"\n{note}" for note in table.design.notes)]
    return "\n".join(lines) + "\n"


def console_tables(table: ResultTable) -> Iterator[Table]:
    """One table per task, methods as rows; differences are with the first comparison only."""
    for task in dict.fromkeys(row.task for row in table.rows):
        rows = {row.figure: row for row in table.rows if row.task == task}
        shown = Table(
            title=f"{table.design.title}: {task}",
            title_justify="left",
            title_style="bold",
            box=box.SIMPLE_HEAD,
            pad_edge=False,
        )
        shown.add_column("method", style="bold", no_wrap=True)
        for figure in rows:
            shown.add_column(FIGURES[figure].title, justify="right")
            shown.add_column("", justify="right", no_wrap=True)
        for column in table.design.columns:
            cells = [column.title]
            for row in rows.values():
                cell = row.cells[column.title]
                figure = FIGURES[row.figure]
                cells.append(format_mean(cell.mean, figure))
                first = next(iter(cell.differences), None)
                cells.append(_short(cell.differences[first], figure) if first else "")
            shown.add_row(*cells)
        yield shown


def console_legend(table: ResultTable) -> str:
    """What the figures of :func:`console_tables` mean."""
    text = f"mean ± half of the 95% interval over {len(table.seeds)} seed(s)"
    if not _has_comparisons(table):
        return text
    return (
        f"{text}, then the difference to {_first_comparisons(table)}; * p < {SIGNIFICANT}, "
        "paired t-test"
    )


def format_mean(mean: Mean, figure: Figure) -> str:
    """Such as ``0.7339 ± 0.0012``, without the interval for a single seed."""
    if mean.mean is None:
        return _NOTHING
    digits = figure.digits
    width = "" if mean.half_width is None else f" ± {mean.half_width:.{digits}f}"
    return f"{mean.mean:.{digits}f}{width}"


def format_test(found: PairedTest, figure: Figure) -> str:
    """Such as ``+0.0031 ± 0.0012, p = 0.004*``; of a relative figure ``+2.55% ± 0.31%, ...``."""
    difference = found.difference
    if difference.mean is None:
        return _NOTHING
    digits, unit = _difference_format(figure)
    text = f"{difference.mean:+.{digits}f}{unit}"
    if difference.half_width is not None:
        text += f" ± {difference.half_width:.{digits}f}{unit}"
    if found.p is None:
        return text
    p = "p < 0.001" if found.p < 0.001 else f"p = {found.p:.3f}"
    return f"{text}, {p}{_star(found)}"


def _short(found: PairedTest, figure: Figure) -> str:
    mean = found.difference.mean
    digits, unit = _difference_format(figure)
    return _NOTHING if mean is None else f"{mean:+.{digits}f}{unit}{_star(found) or ' '}"


def _difference_format(figure: Figure) -> tuple[int, str]:
    return (_PERCENT_DIGITS, "%") if figure.relative else (figure.digits, "")


def _compared(comparison: str, figure: Figure) -> str:
    return f"change from {comparison}" if figure.relative else f"less {comparison}"


def _format_paper(paper: float | None, figure: Figure, is_change: bool) -> str:
    if paper is None:
        return ""
    if is_change:
        return f"{paper:+.3f}%"
    # As many digits as a paper prints: of seconds fewer than of losses.
    return f"{paper:.1f}" if figure.relative else f"{paper:.{max(figure.digits, 3)}f}"


def _deviation(cell: Cell, figure: Figure) -> str:
    """Standard deviation over the seeds that have a value."""
    known = [value for value in cell.values if value is not None and math.isfinite(value)]
    return _NOTHING if len(known) < 2 else f"{statistics.stdev(known):.{figure.digits}f}"


def _star(found: PairedTest) -> str:
    return "*" if found.p is not None and found.p < SIGNIFICANT else ""


def _best(row: Row, figure: Figure) -> str | None:
    """Title of the best mean, of several columns; None where no direction is better."""
    if figure.higher is None:
        return None
    means = {title: cell.mean.mean for title, cell in row.cells.items()}
    known = {title: mean for title, mean in means.items() if mean is not None}
    if len(known) < 2:
        return None
    return max(known, key=lambda title: known[title] if figure.higher else -known[title])


def _legend(table: ResultTable) -> str:
    count = len(table.seeds)
    seeds = f"{count} seeds" if count > 1 else "one seed, so there is no interval and no test"
    text = (
        f"Mean over {seeds} {table.design.measured_on}, ± half of the 95% confidence interval "
        "(Student's t)."
    )
    if _has_comparisons(table):
        text += (
            " Differences are paired by seed; p is of the two-sided paired t-test, "
            f"* p < {SIGNIFICANT}."
        )
    if any(_best(row, FIGURES[row.figure]) for row in table.rows):
        text += " Bold is the best mean."
    for comparison in table.design.comparisons:
        pairs = {
            column.title: column.against[comparison]
            for column in table.design.columns
            if comparison in column.against and column.against[comparison] != comparison
        }
        if pairs:
            listed = ", ".join(f"{title} less {other}" for title, other in pairs.items())
            text += f" *less {comparison}*: {listed}."
    return text


def _has_comparisons(table: ResultTable) -> bool:
    return any(column.against for column in table.design.columns)


def _first_comparisons(table: ResultTable) -> str:
    names = dict.fromkeys(next(iter(c.against)) for c in table.design.columns if c.against)
    return " or ".join(f"its {name}" if name == "backbone" else name for name in names)


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
