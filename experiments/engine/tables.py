"""Filled tables of an experiment: means over seeds, intervals, and paired differences."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from mtfx.evaluation.significance import Mean, PairedTest, mean_with_interval, paired_test
from mtfx.experiments.engine.design import FIGURES, Design, Results, TableColumn, TableDesign

_Values = Sequence[float | None]


@dataclasses.dataclass(frozen=True)
class Cell:
    """One method's figure of one task.

    Attributes:
      values: By seed, in order; None where the trial failed or the figure is undefined.
      mean: Over seeds, with its 95% interval.
      differences: By comparison, this column less the other, paired by seed; for a relative
        figure, by how many percent of the other it is higher.
      paper: What the paper reports, if anything.
    """

    values: tuple[float | None, ...]
    mean: Mean
    differences: dict[str, PairedTest]
    paper: float | None


@dataclasses.dataclass(frozen=True)
class Row:
    """A figure of a task, for all methods.

    Attributes:
      task: The task's name, or another heading.
      figure: Key of ``FIGURES``.
      cells: By the column's title.
    """

    task: str
    figure: str
    cells: dict[str, Cell]


@dataclasses.dataclass(frozen=True)
class ResultTable:
    """A filled table.

    Attributes:
      design: What it compares.
      seeds: In the order of the values.
      rows: Task by task.
    """

    design: TableDesign
    seeds: tuple[int, ...]
    rows: tuple[Row, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON types, with every seed's value."""
        return {
            "title": self.design.title,
            "seeds": list(self.seeds),
            "paper_data": self.design.paper_data or None,
            "notes": list(self.design.notes),
            "columns": {
                column.title: {
                    "trials": [trial.key for trial in column.trials],
                    "compared_with": column.against,
                }
                for column in self.design.columns
            },
            "rows": [dataclasses.asdict(row) for row in self.rows],
        }


def fill_table(design: TableDesign, seeds: Sequence[int], results: Results) -> ResultTable:
    """Fills a table.

    Args:
      design: What it compares.
      seeds: The columns' trials are in this order.
      results: By trial key, ``{"metrics": {task: {figure: value}}}``; a missing trial has failed.
    """
    rows = []
    for task, figure in design.rows:
        values = {column.title: _values(column, task, figure, results) for column in design.columns}
        compare = _relative_test if FIGURES[figure].relative else paired_test
        cells = {
            column.title: Cell(
                values=values[column.title],
                mean=mean_with_interval(values[column.title]),
                differences={
                    name: compare(values[column.title], values[other])
                    for name, other in column.against.items()
                },
                paper=column.paper.get((task, figure)),
            )
            for column in design.columns
        }
        rows.append(Row(task, figure, cells))
    return ResultTable(design, tuple(seeds), tuple(rows))


def fill_tables(design: Design, results: Results) -> list[ResultTable]:
    """All tables of a design, with the seeds numbered from 0, for drawings."""
    seeds = range(len(design.tables[0].columns[0].trials))
    return [fill_table(table, seeds, results) for table in design.tables]


def _relative_test(first: _Values, second: _Values) -> PairedTest:
    """As ``paired_test``, of the changes in percent; one relative to 0 is undefined."""
    changes = [
        None if one is None or not other else 100.0 * (one / other - 1.0)
        for one, other in zip(first, second, strict=True)
    ]
    return paired_test(changes, [0.0] * len(changes))


def _values(
    column: TableColumn, task: str, figure: str, results: Results
) -> tuple[float | None, ...]:
    metrics = [results.get(trial.key, {}).get("metrics", {}) for trial in column.trials]
    return tuple(tasks.get(task, {}).get(figure) for tasks in metrics)
