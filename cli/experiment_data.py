"""The data part of the ranking pipeline alone: what experiments train on."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import tensorflow as tf
import tensorflow_transform as tft

from mtfx.components.session_example_gen.summary import IngestionSummary
from mtfx.datasets.description_version import description_version
from mtfx.datasets.file_names import literal
from mtfx.datasets.logs.sessions import SPLITS
from mtfx.experiments.engine.data import PreparedData
from mtfx.pipelines import local_runner
from mtfx.pipelines.code_version import code_version
from mtfx.pipelines.data_stages import RowCounts, data_stages
from mtfx.pipelines.local_pipeline import local_pipeline
from mtfx.pipelines.options import DataOptions
from mtfx.pipelines.ranking_summary import data_span

#: Code that decides what the data are; an edit elsewhere does not prepare them again.
_PACKAGES = ("components", "datasets")
#: Sessions parsed at once for the fingerprint.
_SESSIONS = 1024


def prepare_data(
    data: DataOptions,
    output_dir: str,
    observer: local_runner.StageObserver,
    beam_pipeline_args: tuple[str, ...],
    enable_cache: bool = True,
) -> PreparedData:
    """Reads, splits, validates and transforms a log; what has not changed is not done twice.

    Args:
      data: The log.
      output_dir: For artifacts, metadata and the quarantine, as in ``mtfx ranking``.
      observer: Notified of each stage.
      beam_pipeline_args: Passed to Beam; see ``mtfx.pipelines.beam_args``.
      enable_cache: Whether a stage with unchanged inputs takes its earlier outputs.

    Returns:
      The transformed sessions of all three splits.

    Raises:
      StageError: if a stage fails.
      UserError: if another run is using the output directory.
    """
    output = os.path.abspath(output_dir)
    stages = data_stages(data, output, SPLITS, code_version(_PACKAGES))
    pipeline = local_pipeline(
        "experiment-data",
        stages,
        output=output,
        beam_pipeline_args=beam_pipeline_args,
        enable_cache=enable_cache,
    )
    counts = RowCounts(data)
    counters = {
        "SessionExampleGen": counts.log,
        "StatisticsGen": counts.impressions(),
        "Transform": counts.impressions(),
    }
    result = local_runner.run(pipeline, observer, counters)
    examples = result.output("Transform", "transformed_examples").uri
    file = Path(output, "prepared", f"{Path(examples).name}.json")
    if result.stages["Transform"].status == "cached" and file.exists():
        earlier = PreparedData.from_json(file.read_text())
        if earlier.splits == _globs(examples):
            return earlier
    prepared = _prepared(data, result)
    file.parent.mkdir(exist_ok=True)
    file.write_text(prepared.to_json())
    return prepared


def _globs(examples: str) -> dict[str, str]:
    return {split: os.path.join(literal(examples), f"Split-{split}", "*.gz") for split in SPLITS}


def _prepared(data: DataOptions, result: local_runner.RunResult) -> PreparedData:
    ingested = IngestionSummary.read(result.output("SessionExampleGen", "examples").uri)
    examples = result.output("Transform", "transformed_examples").uri
    graph = result.output("Transform", "transform_graph").uri
    tasks = tuple(task.name for task in data.selected_tasks())
    return PreparedData(
        dataset=data.dataset,
        tasks=tasks,
        transform_graph=graph,
        splits=_globs(examples),
        sessions=dict(ingested.sessions),
        impressions=dict(ingested.impressions),
        data_span=data_span(ingested),
        fingerprint=_fingerprint(
            # A task's unit and parent, say, are in no file that was prepared.
            [data.dataset, *tasks, *filter(None, [description_version(data.dataset)])],
            graph,
            _globs(examples),
        ),
    )


def _fingerprint(names: list[str], graph: str, splits: dict[str, str]) -> str:
    """First 16 hexadecimal digits of the SHA-256 over names, vocabularies and sessions.

    Data that come out the same, prepared anew by other code or in another place, keep the trials
    that were run on them. The sessions are parsed, because protocol buffers do not write the
    features of the same session in the same order every time.
    """
    digest = hashlib.sha256(json.dumps(names).encode())
    for path in sorted(Path(graph, "transform_fn", "assets").glob("*")):
        digest.update(f"\0{path.name}\0".encode())
        digest.update(path.read_bytes())
    spec = tft.TFTransformOutput(graph).transformed_feature_spec()
    for split, pattern in splits.items():
        digest.update(f"\0{split}\0".encode())
        files = sorted(tf.io.gfile.glob(pattern))
        sessions = tf.data.TFRecordDataset(files, compression_type="GZIP").batch(_SESSIONS)
        for batch in sessions.map(lambda records: tf.io.parse_example(records, spec)):
            for name in sorted(batch):
                for part in tf.nest.flatten(batch[name], expand_composites=True):
                    digest.update(part.numpy().tobytes())
    return digest.hexdigest()[:16]
