"""The report of an A/B test: ``comparison.json``, a page with its figure, and on the terminal."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import RenderableType

from mtfx.evaluation.ab_test.trial import METRICS, MetricResult, TrialResult
from mtfx.evaluation.reports.kit.figures import COLOURS, GREY, new_panels, png
from mtfx.evaluation.reports.kit.pages import render_page, write_report
from mtfx.evaluation.reports.kit.tables import (
    UNDEFINED,
    add_figures,
    format_figure,
    format_percent,
    new_table,
    stacked,
    verdict,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: A relative difference beyond this is not written out.
_LARGE = 10.0
#: A sequence made for effects so many times smaller than the interval for one look is of no use.
_WIDE = 2.0
JSON_FILE = "comparison.json"
_STYLES = {"better": "bold green", "worse": "bold red", "invalid": "bold red", "undecided": "bold"}
_SEQUENCE, _INTERVAL, _DAY = COLOURS[0], COLOURS[5], GREY
_MOST_LABELS = 12


@dataclasses.dataclass(frozen=True)
class TrialReport:
    """A trial and what a reader must know about it.

    Attributes:
      result: The trial's outcome.
      where: Where the users are from, a sentence.
      notes: What was left out or assumed, a sentence each.
      config: The command's settings.
    """

    result: TrialResult
    where: str
    notes: Sequence[str] = ()
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """The decision in one sentence."""
        result = self.result
        title = METRICS[result.settings.metric][0].removesuffix(", s")
        metric = result.metrics[result.settings.metric]
        if result.decision == "invalid":
            return "Nothing is decided: users were not divided as planned."
        if metric.decided_on is None:
            return f"Undecided: {title} may be the same under both policies."
        rise = "raises" if metric.direction == "up" else "lowers"
        day = result.days[metric.decided_on]
        return f"{result.treatment} {rise} {title}; decided on {day}."

    @property
    def reasons(self) -> tuple[str, ...]:
        """What else there is to say, a sentence each."""
        result, settings = self.result, self.result.settings
        sentences = []
        if result.mismatch:
            control, treatment = result.users
            sentences.append(
                f"{control:,} users in the control group and {treatment:,} in the treatment group, "
                f"where {settings.treatment_share:.0%} were to be in the latter: by chance alone "
                f"that comes with a probability of {result.mismatch_p:.1g}. Users are lost, or "
                "counted, on one side only; find out why before you believe any figure."
            )
        if min(result.users) < settings.min_users:
            sentences.append(
                f"A group has {min(result.users):,} users; with fewer than {settings.min_users:,} "
                "nothing is decided."
            )
        deciding = result.metrics[settings.metric]
        last = deciding.looks[-1].interval
        width = last[1] - last[0] if last is not None and deciding.decided_on is None else 0.0
        if width > 2 * _WIDE * settings.effect:
            sentences.append(
                f"Effects of {settings.effect:.1%} are out of reach: even looked at once, the "
                f"difference is known to ± {width / 2:.1%} only. Take more users or days, or "
                "choose a larger effect before the next trial."
            )
        for name, metric in result.metrics.items():
            if name != settings.metric and metric.direction == "down":
                sentences.append(f"{METRICS[name][0]} fell under {result.treatment}.")
        return (*sentences, *self.notes)

    def to_json(self) -> dict[str, Any]:
        """The content of ``comparison.json``."""
        return {
            **self.result.to_json(),
            "verdict": self.verdict,
            "reasons": list(self.reasons),
            "where": self.where,
            "config": dict(self.config),
        }


def metric_rows(result: TrialResult) -> list[list[str]]:
    """Of each metric on the last day: title, control, treatment, difference, interval, sequence."""
    rows = []
    for name, metric in result.metrics.items():
        last = metric.looks[-1]
        rows.append(
            [
                METRICS[name][0],
                _value(name, last.control, last.control_error),
                _value(name, last.treatment, last.treatment_error),
                signed_percent(last.difference),
                _range(last.interval),
                _range(last.sequence),
                UNDEFINED
                if metric.decided_on is None
                else f"{metric.direction}, {result.days[metric.decided_on]}",
            ]
        )
    return rows


def day_rows(result: TrialResult) -> list[list[str]]:
    """Of each day: both groups' deciding metric on it, and the difference since the first day."""
    name = result.settings.metric
    metric = result.metrics[name]
    rows = []
    for day, look, today in zip(result.days, metric.looks, metric.today, strict=True):
        p = UNDEFINED if look.p is None else f"{look.p:.3g}"
        values = [_value(name, value, None) for value in today]
        rows.append([day, *values, signed_percent(look.difference), _range(look.sequence), p])
    return rows


def write_trial_report(directory: Path, report: TrialReport) -> Path:
    """Writes both files; a reader never sees half a file.

    Args:
      directory: Where to; made if missing.
      report: The trial.

    Returns:
      The page's path.
    """
    values = {
        "run": report,
        "metrics": metric_rows(report.result),
        "days": day_rows(report.result),
        "title": METRICS[report.result.settings.metric][0],
    }
    images = {"differences": difference_figure(report.result)}
    page = render_page("ab_test.html.j2", values, images)
    return write_report(directory, JSON_FILE, report.to_json(), page)


def signed_percent(value: float | None) -> str:
    """A relative difference, such as +1.25%; an en dash where it is undefined."""
    if value is None:
        return UNDEFINED
    # Bounds of hardly any users; more digits would say nothing.
    return f"over +{_LARGE:.0%}" if value > _LARGE else f"{value:+.2%}"


def _range(bounds: tuple[float, float] | None) -> str:
    if bounds is None:
        return UNDEFINED
    return f"{signed_percent(bounds[0])} to {signed_percent(bounds[1])}"


def _value(name: str, value: float | None, error: float | None) -> str:
    show = format_percent if name == "positive_rate" else _plain
    if value is None or error is None:
        return show(value)
    # Half a 95% interval over users.
    return f"{show(value)} ± {show(1.959964 * error)}"


def _plain(value: float | None) -> str:
    return format_figure(value, 2)


def difference_figure(result: TrialResult) -> bytes:
    """One panel per metric: the difference since the first day, with both kinds of interval.

    Args:
      result: The trial.

    Returns:
      A PNG.
    """
    from matplotlib.ticker import PercentFormatter

    figure, panels = new_panels(len(METRICS), 7.6, 2.5, columns=1, margin=(0.0, 0.6), share_x=True)
    for axes, (name, metric) in zip(panels, result.metrics.items(), strict=True):
        _draw(axes, metric)
        axes.set_title(METRICS[name][0], fontsize=10, loc="left")
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.grid(alpha=0.3)
    every = -(-len(result.days) // _MOST_LABELS)
    panels[-1].set_xticks(
        range(0, len(result.days), every), result.days[::every], rotation=30, ha="right"
    )
    panels[-1].set_xlim(-0.5, len(result.days) - 0.5)
    figure.supylabel(f"{result.treatment} relative to {result.control}", fontsize=9)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=4, fontsize=8, frameon=False)
    return png(figure)


def _draw(axes: Axes, metric: MetricResult) -> None:
    days = np.arange(len(metric.looks))
    axes.axhline(0.0, color="black", linewidth=0.8)
    for field, colour, alpha, label in (
        ("sequence", _SEQUENCE, 0.18, "confidence sequence"),
        ("interval", _INTERVAL, 0.35, "interval for one look"),
    ):
        bounds = np.asarray(
            [getattr(look, field) or (np.nan, np.nan) for look in metric.looks], np.float64
        )
        axes.fill_between(days, bounds[:, 0], bounds[:, 1], color=colour, alpha=alpha, label=label)
    _limit(axes, metric)
    differences = [np.nan if k.difference is None else k.difference for k in metric.looks]
    axes.plot(days, differences, color=_SEQUENCE, linewidth=1.8, label="since the first day")
    today = [new / old - 1.0 if old and new is not None else np.nan for old, new in metric.today]
    axes.plot(days, today, "o", color=_DAY, markersize=3, label="on the day alone")
    if metric.decided_on is not None:
        axes.axvline(metric.decided_on, color=_SEQUENCE, linestyle="--", linewidth=1.0)


def _limit(axes: Axes, metric: MetricResult) -> None:
    """Cuts off the first days' sequence, which may be orders of magnitude wider than the rest."""
    late = [look.sequence for look in metric.looks[len(metric.looks) // 2 :]]
    shown = [bound for pair in late if pair for bound in pair]
    shown += [bound for look in metric.looks if look.interval for bound in look.interval]
    if shown:
        margin = 0.05 * (max(shown) - min(shown))
        axes.set_ylim(min(*shown, 0.0) - margin, max(*shown, 0.0) + margin)


def render_trial(report: TrialReport) -> RenderableType:
    """The metrics of both groups and the decision.

    Args:
      report: The trial.

    Returns:
      Something ``rich.console.Console.print`` can print.
    """
    result = report.result
    control, treatment = result.users
    table = new_table(
        f"{result.treatment} ({treatment:,} users) against {result.control} "
        f"({control:,} users), {len(result.days)} days"
    )
    table.add_column("metric", style="bold")
    confidence = f"{1 - result.settings.alpha:.0%}"
    headers = (
        result.control,
        result.treatment,
        "difference",
        f"{confidence} interval, one look",
        f"{confidence} sequence, any day",
        "decided",
    )
    add_figures(table, headers)
    for row in metric_rows(result):
        table.add_row(*row)
    return stacked([table, verdict(report.verdict, _STYLES[result.decision], report.reasons)])
