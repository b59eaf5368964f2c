"""What the evaluation of a fusion policy found, and its report: JSON, figures and a page."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mtfx.evaluation.ope.base import Estimate
from mtfx.evaluation.policies.blessing import Verdict
from mtfx.evaluation.policies.report import ActionReport
from mtfx.evaluation.reports.pages import render_policy_page
from mtfx.evaluation.reports.policy_figures import action_distributions, value_intervals
from mtfx.evaluation.reports.ranking_page import write_atomically
from mtfx.evaluation.reports.ranking_summary import jsonable

SUMMARY_FILE, PAGE_FILE = "summary.json", "index.html"


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
        ``high``, ``watch_s``, ``positive_rate``, ``views``; empty without a simulator.
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
      actions: See ``policy_figures.action_distributions``.
      directory: Where to; made if missing.
    """
    target = Path(directory)
    target.mkdir(parents=True, exist_ok=True)
    truth = {kind: figures["value"] for kind, figures in evaluation.simulated.items()}
    images = {
        "actions": action_distributions(actions, evaluation.action_names),
        "values": value_intervals(
            {**evaluation.estimates, "logged": evaluation.logged}, evaluation.current, truth
        ),
    }
    for name, image in images.items():
        (target / f"{name}.png").write_bytes(image)
    write_atomically(target / PAGE_FILE, render_page(evaluation, images))
    text = json.dumps(evaluation.to_json(), indent=1, ensure_ascii=False, allow_nan=False)
    write_atomically(target / SUMMARY_FILE, text + "\n")


def render_page(evaluation: PolicyEvaluation, images: Mapping[str, bytes]) -> str:
    """The report as one HTML page, its PNG images inside it."""
    return render_policy_page(
        "policy_evaluation.html.j2", images, evaluation.config, {"run": evaluation}
    )
