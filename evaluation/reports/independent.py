"""Policies of a circular world beside the same ones under the independent response.

The sessions are of the same users, with the same pools, predictions and rules; only who answers
differs. What is ahead in the first world alone follows the ranking model's prediction and nothing
else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.table import Table

from mtfx.evaluation.policies.comparison import PolicyRow
from mtfx.evaluation.reports.kit.tables import add_figures, format_mean, new_table

#: Differences with a p-value below this are marked.
_SIGNIFICANT = 0.05
#: Both responses as the tables call them.
RESPONSES = ("the prediction answers", "independent response")


class BothResponses(NamedTuple):
    """One policy's watch time in a session, first where the prediction answers, then independently.

    Attributes:
      policy: Its name.
      watch_s: Mean ± interval in s, of each.
      times: How many times the first policy's, of each, with a star where the paired difference is
        significant; empty for the first.
      views: Mean ± interval, of each.
    """

    policy: str
    watch_s: tuple[str, str]
    times: tuple[str, str]
    views: tuple[str, str]


def both_responses(
    circular: Sequence[PolicyRow], independent: Sequence[PolicyRow]
) -> tuple[BothResponses, ...]:
    """The figures of policies in both worlds.

    Args:
      circular: Where users answer with the ranking model's prediction.
      independent: The same policies in the same order where they do not.

    Raises:
      ValueError: if they are of different policies.
    """
    names = [[row.policy for row in rows] for rows in (circular, independent)]
    if names[0] != names[1]:
        raise ValueError(f"the policies {', '.join(names[0])} are not {', '.join(names[1])}")

    def pair(figure: str, digits: int, row: PolicyRow, other: PolicyRow) -> tuple[str, str]:
        first, second = (format_mean(one.figures[figure], digits) for one in (row, other))
        return first, second

    return tuple(
        BothResponses(
            row.policy,
            pair("watch_s", 1, row, other),
            (_times(row, circular[0]), _times(other, independent[0])),
            pair("views", 2, row, other),
        )
        for row, other in zip(circular, independent, strict=True)
    )


def independent_table(rows: Sequence[BothResponses]) -> Table:
    """The table for the terminal."""
    table = new_table(
        "The same policies and users, under both responses: mean ± 95% interval",
        ["policy"],
        f"times: of {rows[0].policy}'s watch time; * p < {_SIGNIFICANT}, paired by session",
    )
    for name in RESPONSES:
        add_figures(table, [f"{name}: watch time, s", "times", "views"])
    for row in rows:
        cells = [
            cell
            for at in range(len(RESPONSES))
            for cell in (row.watch_s[at], row.times[at], row.views[at])
        ]
        table.add_row(row.policy, *cells)
    return table


def _times(row: PolicyRow, first: PolicyRow) -> str:
    test = row.differences.get("watch_s")
    mean, base = row.figures["watch_s"].mean, first.figures["watch_s"].mean
    if test is None or mean is None or not base:
        return ""
    return f"{mean / base:.3f}{'*' if test.p is not None and test.p < _SIGNIFICANT else ''}"
