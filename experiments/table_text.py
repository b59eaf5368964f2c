"""Shows filled tables: as Markdown with every difference, and short on the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.table import Table

from evaluation.significance import Mean, PairedTest
from experiments.tables import FIGURES, ResultTable, Row

#: Differences with a smaller p carry a star, as in RMTL's tables.
SIGNIFICANT = 0.05
_NOTHING = "-"


def markdown(table: ResultTable) -> str:
    """The table with methods as columns, the paper's figures and all paired differences."""
    titles = [column.title for column in table.design.columns]
    lines = [f"## {table.design.title}", "", _line(["", *titles])]
    lines.append(_line(["---", *("---:" for _ in titles)]))
    for row in table.rows:
        name, higher = FIGURES[row.figure]
        best = _best(row, higher)
        means = [
            f"**{format_mean(row.cells[title].mean)}**"
            if title == best
            else format_mean(row.cells[title].mean)
            for title in titles
        ]
        lines.append(_line([f"**{row.task}, {name}** {'↑' if higher else '↓'}", *means]))
        for comparison in table.design.comparisons:
            differences = (row.cells[title].differences.get(comparison) for title in titles)
            shown = [format_test(found) if found else "" for found in differences]
            lines.append(_line([f"less {comparison}", *shown]))
        if table.design.paper_data:
            papers = (row.cells[title].paper for title in titles)
            shown = ["" if paper is None else f"{paper:.4f}" for paper in papers]
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
            shown.add_column(FIGURES[figure][0], justify="right", no_wrap=True)
            shown.add_column("", justify="right", no_wrap=True)
        for column in table.design.columns:
            cells = [column.title]
            for row in rows.values():
                cell = row.cells[column.title]
                cells.append(format_mean(cell.mean))
                first = next(iter(cell.differences), None)
                cells.append(_short(cell.differences[first]) if first else "")
            shown.add_row(*cells)
        yield shown


def console_legend(table: ResultTable) -> str:
    """What the figures of :func:`console_tables` mean."""
    return (
        f"mean ± half of the 95% interval over {len(table.seeds)} seed(s), then the difference "
        f"to {_first_comparisons(table)}; * p < {SIGNIFICANT}, paired t-test"
    )


def format_mean(mean: Mean) -> str:
    """Such as ``0.7339 ± 0.0012``, without the interval for a single seed."""
    if mean.mean is None:
        return _NOTHING
    return f"{mean.mean:.4f}" + ("" if mean.half_width is None else f" ± {mean.half_width:.4f}")


def format_test(found: PairedTest) -> str:
    """Such as ``+0.0031 ± 0.0012, p = 0.004*``."""
    difference = found.difference
    if difference.mean is None:
        return _NOTHING
    text = f"{difference.mean:+.4f}"
    if difference.half_width is not None:
        text += f" ± {difference.half_width:.4f}"
    if found.p is None:
        return text
    p = "p < 0.001" if found.p < 0.001 else f"p = {found.p:.3f}"
    return f"{text}, {p}{_star(found)}"


def _short(found: PairedTest) -> str:
    mean = found.difference.mean
    return _NOTHING if mean is None else f"{mean:+.4f}{_star(found) or ' '}"


def _star(found: PairedTest) -> str:
    return "*" if found.p is not None and found.p < SIGNIFICANT else ""


def _best(row: Row, higher: bool) -> str | None:
    """Title of the best mean, of several columns."""
    means = {title: cell.mean.mean for title, cell in row.cells.items()}
    known = {title: mean for title, mean in means.items() if mean is not None}
    if len(known) < 2:
        return None
    return max(known, key=lambda title: known[title] if higher else -known[title])


def _legend(table: ResultTable) -> str:
    count = len(table.seeds)
    seeds = f"{count} seeds" if count > 1 else "one seed, so there is no interval and no test"
    text = (
        f"Mean over {seeds} on the test split, ± half of the 95% confidence interval (Student's "
        f"t). Differences are paired by seed; p is of the two-sided paired t-test, * p < "
        f"{SIGNIFICANT}. Bold is the best mean."
    )
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


def _first_comparisons(table: ResultTable) -> str:
    names = dict.fromkeys(next(iter(c.against)) for c in table.design.columns if c.against)
    return " or ".join(f"its {name}" if name == "backbone" else name for name in names)


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
