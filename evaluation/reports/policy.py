"""The report of a fusion policy's off-policy evaluation: as JSON, figures and a page."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mtfx.evaluation.ope.base import Estimate
from mtfx.evaluation.policies.blessing import Verdict
from mtfx.evaluation.policies.report import ActionReport
from mtfx.evaluation.reports.kit.figures import (
    COLOURS,
    GREY,
    name_rows,
    new_figure,
    new_panels,
    png,
)
from mtfx.evaluation.reports.kit.pages import render_page, write_report
from mtfx.files import jsonable, write_atomically

SUMMARY_FILE = "summary.json"
_COLOURS = {"logged": GREY, "policy": COLOURS[0], "current": COLOURS[1]}
_BINS = np.linspace(-1.0, 1.0, 41)
#: Width of a figure of actions, in inches, and its panels in a row.
_WIDTH, _COLUMNS = 9.6, 3


@dataclasses.dataclass(frozen=True)
class PolicyEvaluation:
    """A policy's evaluation.

    Attributes:
      method: How the policy was made.
      deciding: The estimator that the blessing rests on.
      verdict: The blessing.
      estimates: Values by estimator.
      current: The current policy's; empty if there is none.
      not_estimated: Why an estimator gave no value, by its name.
      logged: The logged policy's own value: mean discounted reward of the sessions.
      gamma: Discount per request of every value here: the reward's.
      simulated: Figures in the simulator by ``policy`` and ``current``: ``value`` with ``low`` and
        ``high``, ``watch_s``, ``positive_rate``, ``views``, of users that no policy learnt from;
        empty without a simulator.
      simulated_training: The same of users that policies may have learnt from.
      actions: The policy's actions against the log.
      action_names: Of the coordinates.
      config: Settings of the evaluation, JSON-like.
    """

    method: str
    deciding: str
    verdict: Verdict
    estimates: Mapping[str, Estimate]
    current: Mapping[str, Estimate]
    not_estimated: Mapping[str, str]
    logged: Estimate
    gamma: float
    simulated: Mapping[str, Mapping[str, float]]
    simulated_training: Mapping[str, Mapping[str, float]]
    actions: ActionReport
    action_names: Sequence[str]
    config: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The content of ``summary.json``; undefined figures are null."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        del values["verdict"]
        estimates = {
            kind: {name: found._asdict() for name, found in values[kind].items()}
            for kind in ("estimates", "current")
        }
        return jsonable(
            {
                **self.verdict._asdict(),
                **values,
                **estimates,
                "logged": self.logged._asdict(),
                "actions": self.actions.to_json(),
                "action_names": list(self.action_names),
            }
        )


def write_evaluation(
    evaluation: PolicyEvaluation, actions: Mapping[str, np.ndarray], directory: str
) -> None:
    """Writes ``summary.json``, ``index.html``, ``actions.png`` and ``values.png``.

    Args:
      evaluation: What was found.
      actions: See :func:`action_distributions`.
      directory: Where to; made if missing.
    """
    truth = {kind: figures["value"] for kind, figures in evaluation.simulated.items()}
    images = {
        "actions": action_distributions(actions, evaluation.action_names),
        "values": value_intervals(
            {**evaluation.estimates, "logged": evaluation.logged}, evaluation.current, truth
        ),
    }
    for name, image in images.items():
        write_atomically(Path(directory, f"{name}.png"), image)
    page = render_policy_page(evaluation, images)
    write_report(Path(directory), SUMMARY_FILE, evaluation.to_json(), page)


def render_policy_page(evaluation: PolicyEvaluation, images: Mapping[str, bytes]) -> str:
    """The report as one HTML page, its PNG images inside it."""
    return render_page("policy.html.j2", {"run": evaluation}, images)


def action_distributions(actions: Mapping[str, np.ndarray], names: Sequence[str]) -> bytes:
    """Densities of each coordinate of the actions (BatchRL-MTF, Figures 6 and 7).

    Args:
      actions: By ``logged``, ``policy`` and, if there is one, ``current``:
        `[any, action_dim]`.
      names: Of the coordinates.

    Returns:
      A PNG.
    """
    width = _WIDTH / min(_COLUMNS, len(names))
    figure, panels = new_panels(len(names), width, 2.3, columns=_COLUMNS, margin=(0.0, 0.5))
    for k, axes in enumerate(panels):
        for kind, values in actions.items():
            column = values[np.isfinite(values[:, k]), k]
            if not len(column):
                continue
            # Shares and not densities: a policy at its bounds would leave the axis.
            heights, _ = np.histogram(np.clip(column, -1.0, 1.0), _BINS)
            shares = heights / len(column)
            if kind == "logged":
                axes.stairs(shares, _BINS, fill=True, color=_COLOURS[kind], alpha=0.5, label=kind)
            else:
                axes.stairs(shares, _BINS, color=_COLOURS[kind], linewidth=1.6, label=kind)
        axes.set_title(names[k], fontsize=9, loc="left")
        axes.set_xlim(-1.02, 1.02)
        axes.tick_params(labelsize=8)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper right", ncols=len(labels), fontsize=9, frameon=False)
    figure.supxlabel("action", fontsize=9)
    figure.supylabel("share of states", fontsize=9)
    return png(figure)


def value_intervals(
    estimates: Mapping[str, Estimate],
    current: Mapping[str, Estimate],
    truth: Mapping[str, float],
) -> bytes:
    """Every estimator's value with its interval; the simulator's value as a vertical line.

    Args:
      estimates: The policy's, by estimator.
      current: The current policy's.
      truth: Value in the simulator by ``policy`` and ``current``; either may be missing.

    Returns:
      A PNG.
    """
    names = list(dict.fromkeys([*estimates, *current]))
    figure = new_figure(7.2, 0.55 * max(len(names), 1) + 1.3)
    axes = figure.subplots()
    for kind, offset, values in (("policy", -0.12, estimates), ("current", 0.12, current)):
        for row, name in enumerate(names):
            if name not in values:
                continue
            found = values[name]
            axes.plot([found.low, found.high], [row + offset] * 2, color=_COLOURS[kind])
            label = kind if name == next(iter(values)) else None
            axes.plot(found.value, row + offset, "o", color=_COLOURS[kind], label=label)
        if kind in truth:
            axes.axvline(
                truth[kind], color=_COLOURS[kind], linestyle="--", label=f"{kind}, simulator"
            )
    name_rows(axes, [name.replace("_", " ") for name in names])
    axes.set_xlabel("expected discounted reward of a session")
    axes.legend(fontsize=8, frameon=False, loc="best")
    return png(figure)
