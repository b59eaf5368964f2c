"""The report of a run of the fusion pipeline: its summary as JSON and a page with pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtfx.evaluation.policies.comparison import FIGURES, PolicyRow, paired_to_json, rows_to_json
from mtfx.evaluation.policies.selection import Selection
from mtfx.evaluation.reports.headroom import gain_factor, headroom_bars
from mtfx.evaluation.reports.independent import (
    RESPONSES,
    BothResponses,
    both_responses,
)
from mtfx.evaluation.reports.kit.figures import (
    COLOURS,
    GREY,
    draw_means,
    name_rows,
    new_figure,
    new_panels,
    png,
)
from mtfx.evaluation.reports.kit.pages import render_page, write_report
from mtfx.evaluation.significance import PairedTest
from mtfx.evaluation.simulator.headroom import FUNCTIONS, HeadroomRow
from mtfx.files import jsonable

SUMMARY_FILE = "summary.json"


@dataclasses.dataclass(frozen=True)
class FusionSummary:
    """A run of the fusion pipeline.

    Attributes:
      dataset: Data set of the ranking model.
      method: How the policy was learned.
      seed: Seed of the run.
      ranking_model: Directory of the ranking model that it was learned for.
      comparison: The policy and its baselines on the same simulated sessions, of users that no
        policy learnt from.
      training_users: The same on as many sessions of the users that they learnt from.
      ahead: Baselines that returned more than the policy beyond chance, and by how much, the best
        first.
      sessions: How many these were, of either group.
      evaluation: Directory of the evaluation's own report.
      estimates: By estimator, ``value``, ``low`` and ``high`` from the held-out interactions.
      current: The same for the current policy, which the new one must not fall below.
      logged: ``value``, ``low`` and ``high`` of what the log's own policy earned in those.
      gamma: Discount per request of the reward, and so of the agents, estimates and returns.
      bar: What the lower bound of the deciding estimate was not to be below; None where the log is
        no evidence.
      bar_source: Whose figure that is, in words.
      reasons: Why the policy was refused, or what a reader must know of its blessing.
      blessed: Whether PolicyEvaluator blessed the policy.
      pushed_model: Directory of the pushed ranker; None if it was not pushed.
      interactions: Transitions by split.
      history: Losses and mean Q values while the policy was trained.
      headroom: What other ways to rank are worth in the simulator; empty if that was not asked for.
      independent: Of a circular world, what ``comparison`` is where users answer independently.
      selection: Which policy was chosen to be judged and pushed; None where it is the method's.
      caveat: What must stand beside every figure of the simulator; empty if nothing.
      seconds: Wall clock seconds by stage, in the order of the stages.
      config: The run's configuration, JSON-like.
      command: The command line that repeats the run.
      code_version: Version of the code.
      ranker: Directory of the exported ranker, pushed or not.
      simulator: Directory of the simulator.
      policy: Directory of the policy's artifact.
      predictions: What is fused: ``name``, ``map`` and ``of``, what its raw value is.
    """

    dataset: str
    method: str
    seed: int
    ranking_model: str
    comparison: Sequence[PolicyRow]
    training_users: Sequence[PolicyRow]
    sessions: int
    evaluation: str
    estimates: Mapping[str, Mapping[str, Any]]
    current: Mapping[str, Mapping[str, Any]]
    logged: Mapping[str, Any]
    gamma: float
    bar: float | None
    bar_source: str
    reasons: Sequence[str]
    blessed: bool
    pushed_model: str | None
    interactions: Mapping[str, int]
    history: Sequence[Mapping[str, Any]]
    seconds: Mapping[str, float]
    headroom: Sequence[HeadroomRow] = ()
    independent: Sequence[PolicyRow] = ()
    selection: Selection | None = None
    caveat: str = ""
    ahead: Mapping[str, PairedTest] = dataclasses.field(default_factory=dict)
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    command: str = ""
    code_version: str = ""
    ranker: str = ""
    simulator: str = ""
    policy: str = ""
    predictions: Sequence[Mapping[str, str]] = ()

    @property
    def judged(self) -> str:
        """Whose policy was evaluated, and pushed if blessed."""
        return self.method if self.selection is None else self.selection.chosen

    @property
    def verdict(self) -> str:
        """The outcome in one sentence."""
        which = "policy" if self.judged == self.method else f"policy {self.judged}"
        if self.blessed and self.pushed_model:
            return f"The {which} was blessed, and pushed with its ranking model as one ranker."
        if self.blessed:
            return f"The {which} was blessed, but not pushed."
        return f"The {which} was not blessed, so it was not pushed."

    @property
    def remarks(self) -> list[str]:
        """What a reader must know of the verdict.

        What was chosen and why, the caveat, who is better, why the policy was refused.
        """
        better = [
            f"{name} is better than {self.method}: return "
            f"{test.difference.mean:+.3f} ± {test.difference.half_width:.3f} a session (p "
            f"{test.p:.2g}, paired, of {self.judged_users})"
            for name, test in self.ahead.items()
        ]
        return [
            *([self.selection.sentence] if self.selection else []),
            *([f"the simulator is {self.caveat}"] if self.caveat else []),
            *better,
            *self.reasons,
        ]

    @property
    def both_responses(self) -> Sequence[BothResponses]:
        """The policies under both responses; empty where there is one."""
        return both_responses(self.comparison, self.independent) if self.independent else ()

    @property
    def judged_users(self) -> str:
        """Whose sessions ``comparison`` is of, in words.

        The simulator keeps a group of users from what policies learn in it; a service need not.
        """
        if self.config.get("served") is None:
            return "users that no policy learnt from"
        return "users that no policy learnt from but as the served log holds them"

    def to_json(self) -> dict[str, Any]:
        """The content of ``summary.json``; undefined figures are null, never NaN."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        rows: dict[str, Any] = {
            name: rows_to_json(values[name])
            for name in ("comparison", "training_users", "independent")
        }
        rows["ahead"] = {name: paired_to_json(test) for name, test in self.ahead.items()}
        rows["selection"] = self.selection.to_json() if self.selection else None
        rows["headroom"] = [row.to_json() for row in self.headroom]
        return jsonable({**values, **rows})


def write_fusion_report(directory: Path, summary: FusionSummary) -> Path:
    """Writes ``summary.json`` and ``index.html``; a reader never sees half a file.

    Args:
      directory: Where to; made if missing.
      summary: The run.

    Returns:
      The page's path.
    """
    page = render_fusion_page(summary)
    return write_report(directory, SUMMARY_FILE, summary.to_json(), page, indent=2)


def render_fusion_page(summary: FusionSummary) -> str:
    """The report as one HTML page, its PNG images inside it."""
    images = {
        "policies": policy_bars(summary.comparison),
        "training": q_values(summary.history),
        "headroom": headroom_bars(summary.headroom) if summary.headroom else b"",
    }
    values = {
        "run": summary,
        "titles": FIGURES,
        "functions": FUNCTIONS,
        "responses": RESPONSES,
        "gain_factor": gain_factor,
        "total_seconds": sum(summary.seconds.values()),
    }
    return render_page("fusion.html.j2", values, images)


def policy_bars(rows: Sequence[PolicyRow]) -> bytes:
    """Watch time and positive interactions of each policy, with their intervals, side by side.

    Args:
      rows: The policies.

    Returns:
      A PNG.
    """
    figure, panels = new_panels(2, 3.6, 0.42 * len(rows) + 1.1)
    for axes, key in zip(panels, ("watch_s", "positive_rate"), strict=True):
        for place, row in enumerate(rows):
            colour = COLOURS[0] if row.differences else GREY
            draw_means(axes, [place], [row.figures[key]], colour=colour, horizontal=True)
        name_rows(axes, [row.policy for row in rows])
        axes.set_xlabel(FIGURES[key], fontsize=9)
        axes.tick_params(labelsize=8)
        axes.grid(axis="x", alpha=0.3)
    return png(figure)


def q_values(history: Sequence[Mapping[str, Any]]) -> bytes:
    """Mean Q value of held-out actions and of the policy's over training (BatchRL-MTF, Figure 5).

    Args:
      history: By report: ``step``, ``data_q``, ``policy_q``.

    Returns:
      A PNG; empty if there are fewer than two reports.
    """
    if len(history) < 2:
        return b""
    figure = new_figure(5.4, 2.8)
    axes = figure.subplots()
    steps = [entry["step"] for entry in history]
    for key, colour, label in (
        ("data_q", GREY, "logged actions"),
        ("policy_q", COLOURS[0], "the policy's"),
    ):
        axes.plot(steps, [entry[key] for entry in history], color=colour, label=label)
    axes.set_xlabel("training step")
    axes.set_ylabel("mean Q value")
    axes.legend(fontsize=8, frameon=False)
    return png(figure)
