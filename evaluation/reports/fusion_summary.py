"""What a run of the fusion pipeline did and found, in one value."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from mtfx.evaluation.policies.comparison import PolicyRow, rows_to_json
from mtfx.evaluation.reports.ranking_summary import jsonable


@dataclasses.dataclass(frozen=True)
class FusionSummary:
    """A run of the fusion pipeline.

    Attributes:
      dataset: Data set of the ranking model.
      method: How the policy was learned.
      seed: Seed of the run.
      ranking_model: Directory of the ranking model that it was learned for.
      comparison: The policy and its baselines on the same simulated sessions.
      sessions: How many these were.
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
      seconds: Wall clock seconds by stage, in the order of the stages.
      config: The run's configuration, JSON-like.
      command: The command line that repeats the run.
      code_version: Version of the code.
      ranker: Directory of the exported ranker, pushed or not.
      simulator: Directory of the simulator.
      policy: Directory of the policy's artifact.
    """

    dataset: str
    method: str
    seed: int
    ranking_model: str
    comparison: Sequence[PolicyRow]
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
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    command: str = ""
    code_version: str = ""
    ranker: str = ""
    simulator: str = ""
    policy: str = ""

    @property
    def verdict(self) -> str:
        """The outcome in one sentence."""
        if self.blessed and self.pushed_model:
            return "The policy was blessed, and pushed with its ranking model as one ranker."
        if self.blessed:
            return "The policy was blessed, but not pushed."
        return "The policy was not blessed, so it was not pushed."

    def to_json(self) -> dict[str, Any]:
        """The content of ``summary.json``; undefined figures are null, never NaN."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return jsonable({**values, "comparison": rows_to_json(self.comparison)})
