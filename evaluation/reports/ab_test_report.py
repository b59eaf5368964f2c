"""A trial's report: ``comparison.json`` for programs, ``index.html`` with its figure to read."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtfx.evaluation.ab_test.trial import METRICS, TrialResult
from mtfx.evaluation.reports.ab_test_figures import difference_figure
from mtfx.evaluation.reports.pages import render_policy_page
from mtfx.evaluation.reports.ranking_page import format_figure, format_percent, write_atomically

#: A relative difference beyond this is not written out.
_LARGE = 10.0
#: A sequence made for effects so many times smaller than the interval for one look is of no use.
_WIDE = 2.0
JSON_FILE, PAGE_FILE = "comparison.json", "index.html"


@dataclasses.dataclass(frozen=True)
class TrialReport:
    """A trial and what a reader must know about it.

    Attributes:
      result: What came of it.
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
                "\N{EN DASH}"
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
        p = "\N{EN DASH}" if look.p is None else f"{look.p:.3g}"
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
    directory.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report.to_json(), indent=1, ensure_ascii=False, allow_nan=False)
    write_atomically(directory / JSON_FILE, text + "\n")
    page = render_policy_page(
        "policy_trial.html.j2",
        {"differences": difference_figure(report.result)},
        report.config,
        {
            "run": report,
            "metrics": metric_rows(report.result),
            "days": day_rows(report.result),
            "title": METRICS[report.result.settings.metric][0],
        },
    )
    write_atomically(directory / PAGE_FILE, page)
    return directory / PAGE_FILE


def signed_percent(value: float | None) -> str:
    """A relative difference, such as +1.25%; an en dash where it is undefined."""
    if value is None:
        return "\N{EN DASH}"
    # Bounds of hardly any users; more digits would say nothing.
    return f"over +{_LARGE:.0%}" if value > _LARGE else f"{value:+.2%}"


def _range(bounds: tuple[float, float] | None) -> str:
    if bounds is None:
        return "\N{EN DASH}"
    return f"{signed_percent(bounds[0])} to {signed_percent(bounds[1])}"


def _value(name: str, value: float | None, error: float | None) -> str:
    show = format_percent if name == "positive_rate" else _plain
    if value is None or error is None:
        return show(value)
    # Half a 95% interval over users.
    return f"{show(value)} ± {show(1.959964 * error)}"


def _plain(value: float | None) -> str:
    return format_figure(value, 2)
