"""Summary of a run of the ranking pipeline, gathered from what its stages left."""

from __future__ import annotations

import csv
import datetime
import fnmatch
import itertools
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from tfx.utils import path_utils

from mtfx.components.session_example_gen.summary import IngestionSummary
from mtfx.datasets.spec import Task
from mtfx.evaluation.config import Thresholds
from mtfx.evaluation.ranking.blessing_reasons import worse_than_rate
from mtfx.evaluation.ranking.results import read_evaluation
from mtfx.evaluation.ranking.summaries import TaskMetrics
from mtfx.evaluation.reports.ranking import Ingestion, RunSummary
from mtfx.files import read_json
from mtfx.models.export.ranking import METADATA_FILE
from mtfx.pipelines.code_version import code_version
from mtfx.pipelines.config import RankingPipelineConfig
from mtfx.pipelines.local_pipeline import pushed_model
from mtfx.pipelines.local_runner import RunResult
from mtfx.pipelines.options import DataOptions
from mtfx.trainers.ranking.training import HISTORY_FILE

_QUARANTINE_EXAMPLES = 5


def summarise_run(config: RankingPipelineConfig, result: RunResult, command: str) -> RunSummary:
    """Reads the artifacts of a finished run.

    Args:
      config: What ran.
      result: Where its outputs are.
      command: The command line that repeats it.

    Returns:
      The summary that the report, the console and ``summary.json`` show.
    """
    examples = result.output("SessionExampleGen", "examples")
    ingested = IngestionSummary.read(examples.uri)
    tasks = config.data.selected_tasks()
    history = _history(result)
    calibration = _calibration(result)
    evaluation = read_evaluation(result.output("Evaluator", "evaluation").uri, tasks)
    blessing = result.output("Evaluator", "blessing")
    return RunSummary(
        dataset=config.data.dataset,
        backbone=config.model.backbone,
        seed=config.seed,
        tasks=tasks,
        sessions=ingested.sessions,
        impressions=ingested.impressions,
        evaluation=evaluation,
        blessed=blessing.properties.get("blessed") == 1,
        pushed_model=pushed_model(result),
        seconds=result.seconds,
        ingestion=_ingestion(config, ingested),
        history=history["epochs"],
        label_rates=_label_rates(ingested, tasks),
        config=json.loads(config.to_json()),
        command=command,
        code_version=code_version(),
        data_span=data_span(ingested),
        notes=[
            *_notes(ingested, history),
            *(
                f"{task} is served uncalibrated: {line['reason']}"
                for task, line in calibration.items()
                if line["reason"]
            ),
            *evaluation_notes(evaluation.metrics, config.thresholds),
        ],
        model=result.output("Trainer", "model").uri,
        calibration=calibration,
    )


def _history(result: RunResult) -> Mapping[str, Any]:
    return read_json(os.path.join(result.output("Trainer", "model_run").uri, HISTORY_FILE))


def _calibration(result: RunResult) -> Mapping[str, Any]:
    directory = path_utils.serving_model_path(result.output("Trainer", "model").uri)
    about = read_json(os.path.join(directory, "assets.extra", METADATA_FILE))
    return about.get("calibration", {})


def _ingestion(config: RankingPipelineConfig, ingested: IngestionSummary) -> Ingestion:
    path = quarantine_file(config, ingested)
    return Ingestion(
        rows_read=log_rows(config.data, ingested),
        quarantined=ingested.quarantined,
        examples=_rejected(path),
        quarantine_file=path if os.path.exists(path) else None,
        duplicates=ingested.duplicates,
        sessions_split=ingested.split_sessions,
        implied=ingested.implied,
    )


def log_rows(data: DataOptions, ingested: IngestionSummary) -> int:
    """Rows of the log's files, side tables left out."""
    patterns = data.spec().log_files
    return sum(
        numbers["rows"]
        for path, numbers in ingested.files.items()
        if any(fnmatch.fnmatch(os.path.basename(path), pattern) for pattern in patterns)
    )


def quarantine_file(config: RankingPipelineConfig, ingested: IngestionSummary) -> str:
    """Where the rejected rows of the run's span are."""
    span = config.data.span if "{SPAN}" in config.data.pattern else 0
    return os.path.join(ingested.config["quarantine_dir"], f"span-{span}.csv")


def _rejected(path: str) -> list[str]:
    if not os.path.exists(path):
        return []
    with open(path, newline="") as file:
        rows = itertools.islice(csv.DictReader(file), _QUARANTINE_EXAMPLES)
        return [f"{row['file']}, row {row['row']}: {row['reason']}" for row in rows]


def _label_rates(ingested: IngestionSummary, tasks: Sequence[Task]) -> list[dict[str, Any]]:
    return [
        {
            "day": day["day"],
            "split": day["split"],
            "impressions": day["impressions"],
            **{task.name: _mean(day[task.name], day["known"][task.name]) for task in tasks},
        }
        for day in ingested.daily
    ]


def _mean(total: float, known: int) -> float | None:
    """Of the known labels; None where there are none, as a rate of 0 says something else."""
    return total / known if known else None


def data_span(ingested: IngestionSummary) -> tuple[str, str] | None:
    """First and last impression, UTC in ISO 8601; None for an empty log."""
    if ingested.data_span_ms is None:
        return None
    first, last = (
        datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone.utc).isoformat(" ", "seconds")
        for ms in ingested.data_span_ms
    )
    return first, last


def _notes(ingested: IngestionSummary, history: Mapping[str, Any]) -> list[str]:
    notes = list(ingested.notes)
    if history["undefined_auc"]:
        notes.append(
            "validation AUC is undefined for "
            + ", ".join(history["undefined_auc"])
            + ": the eval split holds only one class of them"
        )
    if history["resumed_from"]:
        notes.append(f"training resumed after epoch {history['resumed_from']} of a killed run")
    return notes


def evaluation_notes(metrics: Mapping[str, TaskMetrics], thresholds: Thresholds) -> list[str]:
    """What was permitted, and what was not looked at in full.

    Args:
      metrics: Of each task on the whole test split.
      thresholds: What they were held to.
    """
    notes = []
    if thresholds.allow_worse_than_rate:
        notes.append(
            "--allow-worse-than-rate: a task whose predictions are worse than its base rate did "
            "not count against the model"
        )
        notes += [
            worse_than_rate(name, task).partition(";")[0]
            for name, task in metrics.items()
            if task.is_worse_than_rate
        ]
    for name, task in metrics.items():
        if task.list_share is not None and task.list_share < 1.0:
            notes.append(
                f"{name}: GAUC and NDCG are of a sample of {task.list_users:,} users, "
                f"{task.list_share:.0%} of the impressions"
            )
    return notes
