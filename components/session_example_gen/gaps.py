"""Gaps of a log: unknown labels, cells filled with defaults, rows without a side table's.

Nothing of this is left out of the examples, so it is counted and said, or it would pass for data.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from mtfx.components.beam_results import Counts
from mtfx.datasets.spec import DatasetSpec
from mtfx.errors import DataError

_MOST_EXAMPLES = 3


def unknown_labels(daily: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Impressions without a known label, by task and split, of tasks that have any.

    Args:
      daily: Rows of ``IngestionSummary.daily``.
    """
    found: dict[str, dict[str, int]] = {}
    for row in daily:
        for task, known in row["known"].items():
            of_task = found.setdefault(task, {})
            split = row["split"]
            of_task[split] = of_task.get(split, 0) + row["impressions"] - known
    return {task: by_split for task, by_split in found.items() if any(by_split.values())}


def filled_cells(counts: Counts) -> dict[str, dict[str, int]]:
    """Empty cells that were read as a default: ``{column: {empty, cells}}``, where there are any.

    Args:
      counts: Of the workers.
    """
    return {
        key[1]: {"empty": int(number), "cells": int(counts.sums["cells", key[1]])}
        for key, number in sorted(counts.sums.items())
        if key[0] == "filled" and number
    }


def joined_tables(counts: Counts) -> dict[str, dict[str, Any]]:
    """How many rows of the log each side table has something for.

    Args:
      counts: Of the workers.

    Returns:
      ``{table: {rows, met, columns: {column: rows met}, log_keys, table_keys}}``; the keys are
      examples, of a table that meets nothing.
    """
    tables: dict[str, dict[str, Any]] = {}
    for key, number in sorted(counts.sums.items()):
        kind, *rest = key
        if kind not in ("asked", "met", "found", "example"):
            continue
        table = tables.setdefault(
            rest[0], {"rows": 0, "met": 0, "columns": {}, "log_keys": [], "table_keys": []}
        )
        if kind == "example":
            examples = table[f"{rest[1]}_keys"]
            if len(examples) < _MOST_EXAMPLES:
                examples.append(rest[2])
        elif kind == "found":
            table["columns"][rest[1]] = int(number)
        else:
            table["rows" if kind == "asked" else "met"] = int(number)
    return tables


def check_tables(joined: Mapping[str, Mapping[str, Any]], files: Mapping[str, list[str]]) -> None:
    """Raises DataError if a side table that is there has nothing for any row of the log.

    Such a table's columns would be their defaults everywhere: a wrong key, another numbering of
    the ids, or times that all come after the log.

    Args:
      joined: Of :func:`joined_tables`.
      files: The tables that are there, with their files.
    """
    for name, paths in files.items():
        table = joined.get(name)
        if table is None or table["met"] or not table["rows"]:
            continue
        keys = ", ".join(map(repr, table["table_keys"])) or "none at all"
        raise DataError(
            f"{', '.join(paths)}: the side table meets 0 of the log's {table['rows']:,} rows."
            f" Its keys are such as {keys}, the log's such as "
            f"{', '.join(map(repr, table['log_keys']))}: give it the log's ids (and times not "
            "later than the log's), or take the file away to do without"
        )


def sentences(
    spec: DatasetSpec,
    impressions: int,
    unknown: Mapping[str, Mapping[str, int]],
    filled: Mapping[str, Mapping[str, int]],
    joined: Mapping[str, Mapping[str, Any]],
    files: Mapping[str, list[str]],
) -> list[str]:
    """Notes for readers of the run's summary, a sentence each.

    Args:
      spec: The data set.
      impressions: Of all splits.
      unknown: Of :func:`unknown_labels`.
      filled: Of :func:`filled_cells`.
      joined: Of :func:`joined_tables`.
      files: As for :func:`check_tables`.
    """
    notes = []
    for task, by_split in unknown.items():
        number = sum(by_split.values())
        notes.append(
            f"the label of {task} is unknown (empty) in {_share(number, impressions)} impressions: "
            "they are left out of its loss, its metrics and its label rates, not of other tasks'"
        )
    fills = {column.name: column.fill for column in spec.all_columns}
    cells = [
        f"{name} ({_share(count['empty'], count['cells'])} cells, as {fills.get(name)!r})"
        for name, count in filled.items()
    ]
    if cells:
        notes.append(f"empty cells were read as their column's default: {'; '.join(cells)}")
    for name, paths in files.items():
        table = joined.get(name)
        if table is None:
            continue
        where = " and ".join(dict.fromkeys(os.path.basename(path) for path in paths[:2]))
        without = table["rows"] - table["met"]
        if without:
            notes.append(
                f"{where} has nothing for {_share(without, table['rows'])} rows of the log, which "
                "have the defaults of its columns"
            )
        if table["met"] and (never := [c for c, met in table["columns"].items() if not met]):
            notes.append(f"{where} never has a value of {', '.join(never)} for a row of the log")
    return notes


def _share(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,} ({part / max(whole, 1):.1%})"
