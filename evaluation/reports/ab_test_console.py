"""A trial on the terminal."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mtfx.evaluation.reports.ab_test_report import TrialReport, metric_rows

_STYLES = {"better": "bold green", "worse": "bold red", "invalid": "bold red", "undecided": "bold"}


def render_trial(report: TrialReport) -> RenderableType:
    """The metrics of both groups and the decision.

    Args:
      report: The trial.

    Returns:
      Something ``rich.console.Console.print`` can print.
    """
    result = report.result
    control, treatment = result.users
    table = Table(
        title=f"{result.treatment} ({treatment:,} users) against {result.control} "
        f"({control:,} users), {len(result.days)} days",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("metric", style="bold")
    confidence = f"{1 - result.settings.alpha:.0%}"
    for header in (
        result.control,
        result.treatment,
        "difference",
        f"{confidence} interval, one look",
        f"{confidence} sequence, any day",
        "decided",
    ):
        table.add_column(header, justify="right")
    for row in metric_rows(result):
        table.add_row(*row)
    # Text, not markup: a path or a name with brackets must come out as it is.
    verdict = Text(report.verdict, style=_STYLES[result.decision])
    for sentence in report.reasons:
        verdict.append(f"\n  {sentence}", style="not bold")
    return Group(*(Padding(part, (1, 0, 0, 0)) for part in (table, verdict)))
