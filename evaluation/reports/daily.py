"""The report of a daily loop: the outcome of its days, as plain data, a page, on the terminal."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from rich.console import Group, RenderableType
from rich.text import Text

from mtfx.evaluation.reports.kit.figures import COLOURS, new_panels, png, whole_numbers
from mtfx.evaluation.reports.kit.pages import PAGE_FILE, render_page
from mtfx.evaluation.reports.kit.tables import add_figures, new_table
from mtfx.files import write_atomically

_FOLDER = "daily"
#: Days shown on the terminal; the page has them all.
_SHOWN = 14
_STYLES = {"done": "green", "checked": "", "refused": "yellow", "failed": "red"}

#: ``done``: its log passed and its models were trained, blessed or not. ``checked``: its log passed
#: after newer days had run, so it only widens their windows. ``refused``: its log is missing or did
#: not pass. ``failed``: its log passed, but a later stage did not.
Status = Literal["done", "checked", "refused", "failed"]


@dataclasses.dataclass(frozen=True)
class Model:
    """A model that a day trained.

    Attributes:
      artifact: Of the Trainer.
      blessed: Whether it passed.
      pushed: Directory that it was pushed to; empty if it was not.
      figures: What it was judged by, by name.
      reason: Why it was not blessed, or a note.
    """

    artifact: str = ""
    blessed: bool = False
    pushed: str = ""
    figures: dict[str, float] = dataclasses.field(default_factory=dict)
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class Day:
    """A day.

    Attributes:
      span: Its number.
      status: What became of it.
      fingerprint: Of its files; another one makes it worth trying again.
      reason: Why it was refused or failed, in full.
      stage: The stage that failed.
      sessions: Of its log.
      impressions: Of its log, without the duplicates.
      checks: How many figures were compared with those of the last day that passed.
      nearest: The one of them that came nearest to its bar, in words.
      statistics: URI of its log's statistics.
      window: Days whose logs the models were trained on.
      served_window: Days whose served requests the policy was trained on; none where it learned
        from the simulator.
      served_refused: Whether its served requests did not pass.
      ranking: The ranking model.
      policy: The fusion policy.
      ranker: Directory of the ranker that was pushed: the day's ranking model with the day's
        policy, or with the last blessed one where that was not blessed; empty if none was.
      ranker_policy: Artifact of the policy in it.
      seconds: Wall clock.
    """

    span: int
    status: Status
    fingerprint: str = ""
    reason: str = ""
    stage: str = ""
    sessions: int = 0
    impressions: int = 0
    checks: int = 0
    nearest: str = ""
    statistics: str = ""
    window: tuple[int, ...] = ()
    served_window: tuple[int, ...] = ()
    served_refused: bool = False
    ranking: Model = dataclasses.field(default_factory=Model)
    policy: Model = dataclasses.field(default_factory=Model)
    ranker: str = ""
    ranker_policy: str = ""
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether its log may be trained on."""
        return self.status != "refused"


def write_daily_report(output_dir: str | Path, days: Sequence[Day]) -> Path:
    """Writes ``daily/index.html``.

    Args:
      output_dir: Of the daily loop.
      days: Ascending by span.

    Returns:
      The page's path.
    """
    values = {"days": days, "describe": describe, "serving": _serving(days)}
    page = render_page("daily.html.j2", values, {"figures": draw_figures(days)})
    target = Path(output_dir, _FOLDER, PAGE_FILE)
    write_atomically(target, page)
    return target


def draw_figures(days: Sequence[Day]) -> bytes:
    """AUC by task and value by estimator over the days, as PNG; empty before the first models."""
    panels = [
        (title, kind, found)
        for title, kind in (
            ("AUC of the ranking model on its window's last sessions", "ranking"),
            ("Estimated value of the policy", "policy"),
        )
        if (found := [day for day in days if getattr(day, kind).figures])
    ]
    if not panels:
        return b""
    figure, all_axes = new_panels(len(panels), 5.0, 3.2)
    for axes, (title, kind, found) in zip(all_axes, panels, strict=True):
        names = dict.fromkeys(name for day in found for name in getattr(day, kind).figures)
        for number, name in enumerate(names):
            rows = [
                (day.span, model.figures[name], model.blessed)
                for day in found
                if name in (model := getattr(day, kind)).figures
            ]
            colour = COLOURS[number % len(COLOURS)]
            axes.plot([r[0] for r in rows], [r[1] for r in rows], color=colour, label=name)
            for span, value, blessed in rows:
                face = colour if blessed else "white"
                axes.plot(span, value, "o", color=colour, markerfacecolor=face)
        axes.set_title(title, fontsize=9, loc="left")
        axes.set_xlabel("day; hollow: not blessed", fontsize=9)
        whole_numbers(axes.xaxis)
        axes.legend(fontsize=8, frameon=False)
    return png(figure, dpi=110)


def _serving(days: Sequence[Day]) -> Day | None:
    """The day whose ranker serves."""
    return next((day for day in reversed(days) if day.ranker), None)


def render_days(days: Sequence[Day]) -> RenderableType:
    """The last days in a table, and why those that did not pass were refused.

    Args:
      days: Ascending by span.

    Returns:
      Something ``rich.console.Console.print`` can print.
    """
    shown = days[-_SHOWN:]
    table = new_table("Days")
    for name in ("day", "status"):
        table.add_column(name, no_wrap=True)
    add_figures(table, ("sessions", "trained on", "served log of", "minutes"), no_wrap=True)
    for name in ("ranking model", "policy"):
        table.add_column(name)
    for day in shown:
        table.add_row(
            str(day.span),
            Text(day.status, style=_STYLES[day.status]),
            f"{day.sessions:,}" if day.sessions else "",
            ", ".join(map(str, day.window)),
            ", ".join(map(str, day.served_window)),
            f"{day.seconds / 60:.1f}" if day.seconds else "",
            describe(day.ranking),
            describe(day.policy),
        )
    parts: list[RenderableType] = [table]
    for day in shown:
        if day.nearest:
            what = f"{day.impressions:,} impressions, {day.checks} comparisons"
            parts.append(Text(f"day {day.span}: {what}, nearest to its bar {day.nearest}"))
        if day.reason:
            where = f" (stage {day.stage})" if day.stage else ""
            parts.append(Text(f"day {day.span}{where}: {day.reason}"))
        for name, model in (("ranking model", day.ranking), ("policy", day.policy)):
            if model.artifact and not model.blessed and model.reason:
                parts.append(Text(f"day {day.span}, {name} not blessed: {model.reason}"))
    return Group(*parts)


def describe(model: Model) -> str:
    """A model in a few words: what became of it, and its first figure."""
    if not model.artifact:
        return ""
    outcome = "not blessed"
    if model.blessed:
        outcome = "pushed" if model.pushed else "blessed, not pushed"
    for name, value in model.figures.items():
        return f"{outcome}, {name} {value:.4g}"
    return outcome
