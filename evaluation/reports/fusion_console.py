"""The tables of a run of the fusion pipeline on the terminal, and its outcome."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from mtfx.evaluation.policies.comparison import FIGURES, PolicyRow
from mtfx.evaluation.reports.fusion import FusionSummary
from mtfx.evaluation.reports.headroom import headroom_table
from mtfx.evaluation.reports.independent import independent_table
from mtfx.evaluation.reports.kit.tables import (
    UNDEFINED,
    add_figures,
    format_mean,
    format_percent,
    new_table,
    outcome_style,
    seconds_table,
    stacked,
    verdict,
)
from mtfx.evaluation.significance import Mean

#: Differences with a p-value below this are marked.
_SIGNIFICANT = 0.05


def render_fusion_summary(summary: FusionSummary) -> RenderableType:
    """Policies side by side, estimates, time per stage, verdict.

    Args:
      summary: The run.

    Returns:
      Something ``rich.console.Console.print`` can print.
    """
    parts: list[RenderableType] = [_policies(summary)]
    if summary.independent:
        parts.append(independent_table(summary.both_responses))
    parts.append(_estimates(summary))
    if summary.headroom:
        parts.append(headroom_table(summary.headroom, summary.caveat))
    return stacked([*parts, seconds_table(summary.seconds), *_fused(summary), _verdict(summary)])


def _fused(summary: FusionSummary) -> list[Text]:
    names = [f"{one['name']} {one['map']}" for one in summary.predictions]
    return [Text(f"fused: {', '.join(names)}", style="dim")] if names else []


def _policies(summary: FusionSummary) -> Table:
    title = (
        f"Policies on the same {summary.sessions:,} simulated sessions of {summary.judged_users}: "
        "mean ± 95% interval"
    )
    caption = f"* p < {_SIGNIFICANT}, paired by session; the last column decides nothing"
    if summary.caveat:
        caption += f"; {summary.caveat}"
    table = new_table(title, ["policy"], caption)
    first = summary.comparison[0].policy
    add_figures(
        table,
        [*FIGURES.values(), f"watch time against {first}", "watch time, s, of users learnt from"],
    )
    for row, learnt in zip(summary.comparison, summary.training_users, strict=True):
        table.add_row(
            row.policy,
            *(_figure(key, row.figures[key]) for key in FIGURES),
            _gain(row),
            f"{format_mean(learnt.figures['watch_s'])} {_gain(learnt)}".strip(),
        )
    return table


def _figure(key: str, mean: Mean) -> str:
    if key == "positive_rate" and mean.mean is not None:
        return f"{format_percent(mean.mean)} ± {format_percent(mean.half_width)}"
    return format_mean(mean)


def _gain(row: PolicyRow) -> str:
    test = row.differences.get("watch_s")
    if test is None or test.difference.mean is None:
        return ""
    star = "*" if test.p is not None and test.p < _SIGNIFICANT else ""
    return f"{test.difference.mean:+.2f} s{star}"


def _estimates(summary: FusionSummary) -> Table:
    title = (
        f"Return of a session, estimated from held-out interactions (discount {summary.gamma:g} "
        "per request)"
    )
    bar = "" if summary.bar is None else f"the bar: {summary.bar:.3f}, {summary.bar_source}"
    table = new_table(title, ["estimator"], bar)
    add_figures(table, [summary.judged, "current policy"])
    for name, estimate in summary.estimates.items():
        current = summary.current.get(name)
        table.add_row(name, _interval(estimate), _interval(current) if current else "")
    table.add_section()
    table.add_row("earned in the log", _interval(summary.logged), "")
    return table


def _interval(estimate: Mapping[str, Any]) -> str:
    value, low, high = (
        UNDEFINED if estimate[name] is None else f"{estimate[name]:.3f}"
        for name in ("value", "low", "high")
    )
    return f"{value} [{low}, {high}]"


def _verdict(summary: FusionSummary) -> Text:
    pushed = [summary.pushed_model] if summary.pushed_model else []
    return verdict(summary.verdict, outcome_style(summary.blessed), [*summary.remarks, *pushed])
