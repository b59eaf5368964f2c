"""What a run of the ranking pipeline did and found, in one value.

The pipeline fills it; the HTML report, the console and ``summary.json`` are views of it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from mtfx.datasets.spec import Task
from mtfx.evaluation.ranking.summaries import EvaluationSummary

SPLITS = ("train", "eval", "test")


@dataclasses.dataclass(frozen=True)
class Ingestion:
    """What happened to the rows of the raw log.

    Attributes:
      rows_read: Rows of all log files.
      quarantined: Rows rejected, by reason.
      examples: The first rejected rows, one sentence each with file, row and reason.
      quarantine_file: Where all of them are.
      duplicates: Exact duplicates dropped.
      sessions_split: Sessions cut in pieces because they were too long.
      implied: Impressions known only by a later event of theirs.
    """

    rows_read: int = 0
    quarantined: Mapping[str, int] = dataclasses.field(default_factory=dict)
    examples: Sequence[str] = ()
    quarantine_file: str | None = None
    duplicates: int = 0
    sessions_split: int = 0
    implied: int = 0


@dataclasses.dataclass(frozen=True)
class RunSummary:
    """A run of the ranking pipeline.

    Attributes:
      dataset: Name of the data set.
      backbone: Name of the backbone.
      seed: Seed of the run.
      tasks: The model's tasks.
      sessions: Sessions by split (``train``, ``eval``, ``test``).
      impressions: Impressions by split.
      evaluation: What the Evaluator found on the test split.
      blessed: Whether the Evaluator blessed the model.
      pushed_model: Directory of the pushed SavedModel; None if it was not pushed.
      seconds: Wall clock seconds by stage, in the order of the stages.
      ingestion: What happened to the rows of the log.
      history: One mapping per epoch: ``loss``, ``val_loss``, ``val_<task>_auc`` and so on,
        None or missing where undefined.
      label_rates: Rows of ``{day: "2022-04-10", split, impressions, <task>: mean known label}``,
        None where no label is known.
      config: The run's configuration, JSON-like.
      command: The command line that repeats the run.
      code_version: Version of the code.
      data_span: Time of the first and of the last impression, as text.
      notes: What was missing or assumed, one sentence each.
      model: Directory of the model's artifact.
    """

    dataset: str
    backbone: str
    seed: int
    tasks: Sequence[Task]
    sessions: Mapping[str, int]
    impressions: Mapping[str, int]
    evaluation: EvaluationSummary
    blessed: bool
    pushed_model: str | None
    seconds: Mapping[str, float]
    ingestion: Ingestion = Ingestion()
    history: Sequence[Mapping[str, float | None]] = ()
    label_rates: Sequence[Mapping[str, Any]] = ()
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    command: str = ""
    code_version: str = ""
    data_span: tuple[str, str] | None = None
    notes: Sequence[str] = ()
    model: str = ""

    @property
    def quarantined(self) -> int:
        """Rows rejected, of all reasons."""
        return sum(self.ingestion.quarantined.values())

    @property
    def verdict(self) -> str:
        """The outcome in one sentence."""
        if self.blessed and self.pushed_model:
            return "The model was blessed and pushed."
        if self.blessed:
            return "The model was blessed, but not pushed."
        return "The model was not blessed, so it was not pushed."

    @property
    def binary_tasks(self) -> tuple[Task, ...]:
        """The tasks that predict a probability."""
        return tuple(task for task in self.tasks if task.kind == "binary")

    @property
    def regression_tasks(self) -> tuple[Task, ...]:
        """The tasks that predict a value."""
        return tuple(task for task in self.tasks if task.kind == "regression")

    def to_json(self) -> dict[str, Any]:
        """The content of ``summary.json``; undefined figures are null, never NaN."""
        found = self.evaluation
        return jsonable(
            {
                "dataset": self.dataset,
                "backbone": self.backbone,
                "seed": self.seed,
                "sessions": {split: self.sessions.get(split, 0) for split in SPLITS},
                "impressions": {split: self.impressions.get(split, 0) for split in SPLITS},
                "quarantined": self.quarantined,
                "metrics": {name: task.to_json() for name, task in found.metrics.items()},
                "blessed": self.blessed,
                "pushed_model": self.pushed_model,
                "model": self.model,
                "seconds": self.seconds,
                "blessing_reasons": found.reasons,
                "baseline_metrics": found.baseline
                and {name: task.to_json() for name, task in found.baseline.items()},
                "slices": [
                    {
                        "column": part.column,
                        "value": part.value,
                        "metrics": {name: task.to_json() for name, task in part.metrics.items()},
                    }
                    for part in found.slices
                ],
                "history": self.history,
                "label_rates": self.label_rates,
                "ingestion": dataclasses.asdict(self.ingestion),
                "data_span": self.data_span,
                "notes": self.notes,
                "config": self.config,
                "command": self.command,
                "code_version": self.code_version,
            }
        )


def jsonable(value: Any) -> Any:
    """``value`` in JSON's types: numbers that are not finite become None, other objects text."""
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [jsonable(item) for item in value]
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if hasattr(value, "item"):
        return jsonable(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value)
