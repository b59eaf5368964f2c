"""Boosted trees on a run's own data, beside its model.

They are trained on the training split that Transform wrote and judged on the impressions that the
model is judged on.
"""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_transform as tft
from tfx.utils import io_utils

from mtfx.components.session_schema import longest_history
from mtfx.datasets.file_names import literal
from mtfx.datasets.logs.transformed import split_files, write_transformed
from mtfx.datasets.spec import DatasetSpec, Task
from mtfx.errors import StageError
from mtfx.evaluation.ranking.paired_comparison import TreesBeside, compare_paired
from mtfx.evaluation.ranking.trees import BoostedTrees, TreeInputs, TreesConfig
from mtfx.files import UNREADABLE, jsonable, read_json, write_atomically
from mtfx.models.history_columns import HistoryColumns
from mtfx.models.model_inputs import ranking_inputs
from mtfx.pipelines.code_version import code_version
from mtfx.pipelines.config import RankingPipelineConfig
from mtfx.pipelines.judging import JudgedSplit, judge
from mtfx.pipelines.local_runner import RunResult, StageObserver, StageResult, Status
from mtfx.trainers.ranking.tree_inputs import read_tree_inputs

#: The comparison as a stage on the terminal, and the file in the report's folder that keeps it.
STAGE, TREES_FILE = "BoostedTrees", "trees.json"


@dataclasses.dataclass(frozen=True)
class RunFiles:
    """Where the parts of a run are.

    Attributes:
      examples: URI of the raw session examples.
      schema: URI of their schema.
      transform_graph: URI of what Transform learned.
      transformed: URI of the splits that it transformed, ``train`` among them.
    """

    examples: str
    schema: str
    transform_graph: str
    transformed: str

    @classmethod
    def of(cls, result: RunResult) -> RunFiles:
        """Those of a finished run of the data stages."""
        return cls(
            result.output("SessionExampleGen", "examples").uri,
            result.output("SchemaGen", "schema").uri,
            result.output("Transform", "transform_graph").uri,
            result.output("Transform", "transformed_examples").uri,
        )


def read_split(
    files: RunFiles, split: str, spec: DatasetSpec, tasks: tuple[Task, ...]
) -> TreeInputs:
    """A split as trees read it; of any but ``train`` in the order of :func:`judge`."""
    output = tft.TFTransformOutput(files.transform_graph)

    schema = io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(files.schema))
    inputs = ranking_inputs(spec, output, longest_history(schema))
    history = HistoryColumns(inputs, spec.tasks) if any(f.is_history for f in inputs) else None

    def read(pattern: str) -> TreeInputs:
        feature_spec = output.transformed_feature_spec()
        return read_tree_inputs(pattern, feature_spec, inputs, tasks, _buckets(spec), history)

    if split == "train":
        return read(os.path.join(literal(files.transformed), "Split-train", "*"))
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "sessions.gz")
        write_transformed(split_files(files.examples, split), output, path)
        return read(path)


def _buckets(spec: DatasetSpec) -> dict[str, int]:
    """Out-of-vocabulary buckets by feature; the first that shares a vocabulary decides."""
    first: dict[str, int] = {}
    for feature in spec.features:
        first.setdefault(feature.vocabulary or feature.name, feature.oov_buckets)
    return {f.name: first[f.vocabulary or f.name] for f in spec.features if f.kind != "numeric"}


def predict_by_trees(
    train: TreeInputs,
    judged: TreeInputs,
    tasks: tuple[Task, ...],
    seed: int,
    config: TreesConfig | None = None,
) -> dict[str, np.ndarray]:
    """Trains the trees of each task and asks them; by task, float64 `[n]`."""
    return {
        task.name: BoostedTrees(train, task.name, task.kind, seed, config).predict(judged)
        for task in tasks
    }


def compare_with_trees(
    files: RunFiles,
    model: str,
    spec: DatasetSpec,
    tasks: tuple[Task, ...],
    *,
    split: str = "test",
    seed: int = 0,
    config: TreesConfig | None = None,
) -> TreesBeside:
    """Trains trees on a run's data and compares its model with them.

    Args:
      files: The run's.
      model: URI of its model.
      spec: Its data set.
      tasks: Its tasks.
      split: The split to judge both on.
      seed: Of the trees' folds and of the resamples.
      config: How the trees are trained.

    Raises:
      ValueError: if a split has no impression, or a task no known label to learn from.
    """
    begin = time.perf_counter()
    train, judged_inputs = (read_split(files, name, spec, tasks) for name in ("train", split))
    trees = predict_by_trees(train, judged_inputs, tasks, seed, config)
    seconds = time.perf_counter() - begin
    judged = judge(files.examples, files.schema, model, split, tasks)
    require_same(judged, judged_inputs)
    return TreesBeside(
        split=split,
        tasks=tuple(
            compare_paired(
                task.name,
                task.kind,
                judged.labels[task.name],
                judged.predictions[task.name],
                trees[task.name],
                judged.users,
                seed=seed,
            )
            for task in tasks
        ),
        seconds=seconds,
        columns=len(train.numbers) + 2 * len(train.ids),
    )


def trees_of_run(
    config: RankingPipelineConfig, result: RunResult, observer: StageObserver
) -> tuple[TreesBeside, StageResult]:
    """The model of a finished run beside trees, or what an earlier look at it found.

    Args:
      config: What ran.
      result: Where its outputs are.
      observer: Notified of the trees as of a stage.

    Returns:
      The comparison, and what it took.

    Raises:
      StageError: if they cannot be trained; ``__cause__`` says why.
    """
    files, model = RunFiles.of(result), result.output("Trainer", "model").uri
    parts = (*dataclasses.astuple(files), model)
    key = {
        "artifacts": [os.path.relpath(part, config.output_dir) for part in parts],
        "seed": config.seed,
        "code_version": code_version(),
    }
    path = config.report_dir / TREES_FILE
    observer.started(STAGE)
    begin = time.perf_counter()
    try:
        beside = _earlier(path, key)
        status: Status = "finished" if beside is None else "cached"
        if beside is None:
            tasks = config.data.selected_tasks()
            beside = compare_with_trees(files, model, config.data.spec(), tasks, seed=config.seed)
            found = jsonable({"key": key, "found": beside.to_dict()})
            write_atomically(path, json.dumps(found, indent=2) + "\n")
    except Exception as error:
        observer.failed(STAGE, time.perf_counter() - begin, error)
        raise StageError(STAGE, str(error) or type(error).__name__) from error
    stage = StageResult(STAGE, status, time.perf_counter() - begin, {})
    observer.finished(stage)
    return beside, stage


def _earlier(path: Path, key: dict[str, Any]) -> TreesBeside | None:
    """What a file holds, if it was found of the same artifacts by the same code."""
    try:
        known = read_json(path)
        return TreesBeside.from_dict(known["found"]) if known["key"] == key else None
    except UNREADABLE:
        return None


def require_same(judged: JudgedSplit, inputs: TreeInputs) -> None:
    """Checks that both have the same impressions in the same order.

    Raises:
      ValueError: if a label differs.
    """
    for name, labels in judged.labels.items():
        if not np.array_equal(labels, inputs.labels[name]):
            raise ValueError(f"model and trees were given other impressions: {name} differs")
