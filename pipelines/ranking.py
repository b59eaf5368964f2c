"""The ranking pipeline: from raw logs to a blessed, pushed multi-task model."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable

from google.protobuf import text_format
from tfx import v1 as tfx
from tfx.proto import transform_pb2

from components.earlier_blessed_model import EarlierBlessedModelStrategy
from components.session_example_gen.component import SessionExampleGen
from components.session_example_gen.config import SessionExampleGenConfig
from components.session_example_gen.summary import IngestionSummary
from components.session_flattener.component import SessionFlattener
from components.session_schema import build_schema, column_types
from components.strict_example_validator.component import StrictExampleValidator
from datasets.sessions import SPLITS
from datasets.spec import Dtype
from evaluation.eval_config import build_eval_config
from evaluation.evaluation_schema import build_evaluation_schema
from evaluation.report import write_report
from evaluation.run_summary import RunSummary
from pipelines import local_runner
from pipelines.code_version import code_version
from pipelines.config import RankingPipelineConfig
from pipelines.ranking_summary import log_rows, summarise_run
from trainers.ranking import RankingTrainerConfig


def create_pipeline(config: RankingPipelineConfig) -> tfx.dsl.Pipeline:
    """Builds the pipeline; its stages read from top to bottom.

    Args:
      config: What to run.

    Returns:
      A pipeline for any TFX runner. Its metadata is SQLite in the output directory.
    """
    spec = config.data.spec()
    tasks = config.data.selected_tasks()
    names = [task.name for task in tasks]
    output = os.path.abspath(config.output_dir)

    example_gen = SessionExampleGen(
        data_dir=os.path.abspath(config.data.data_dir),
        config=_example_gen_config(config, output),
        pattern=config.data.pattern,
        span=config.data.span,
    )
    examples = example_gen.outputs["examples"]

    schema_gen = tfx.components.ImportSchemaGen(
        schema_file=_write_schema(output, _session_schema(config))
    )
    schema = schema_gen.outputs["schema"]

    statistics_gen = tfx.components.StatisticsGen(examples=examples, schema=schema)
    validator = StrictExampleValidator(
        statistics=statistics_gen.outputs["statistics"], schema=schema
    )

    transform = tfx.components.Transform(
        examples=examples,
        schema=schema,
        preprocessing_fn="components.preprocessing.preprocessing_fn",
        # The code version is not read; it makes the cache miss when the code has changed.
        custom_config={
            "dataset": config.data.dataset,
            "tasks": names,
            "code_version": code_version(),
        },
        splits_config=transform_pb2.SplitsConfig(analyze=["train"], transform=["train", "eval"]),
        disable_statistics=True,
        # It pays where one run analyses several spans; for one it costs stages and gives nothing.
        disable_analyzer_cache=True,
    )
    transform.add_upstream_node(validator)

    trainer = tfx.components.Trainer(
        run_fn="trainers.ranking.run_fn",
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        train_args=tfx.proto.TrainArgs(splits=["train"]),
        eval_args=tfx.proto.EvalArgs(splits=["eval"]),
        custom_config=RankingTrainerConfig(
            dataset=config.data.dataset,
            tasks=tuple(names),
            model=config.model,
            training=config.training,
            checkpoint_dir=os.path.join(output, "checkpoints"),
            code_version=code_version(),
        ).to_custom_config(),
    )

    flattener = SessionFlattener(examples=examples, schema=schema, splits=("test",))
    baseline = tfx.dsl.Resolver(
        strategy_class=EarlierBlessedModelStrategy,
        model=tfx.dsl.Channel(type=tfx.types.standard_artifacts.Model),
        model_blessing=tfx.dsl.Channel(type=tfx.types.standard_artifacts.ModelBlessing),
        candidate=trainer.outputs["model"],
    ).with_id("EarlierBlessedModel")
    evaluation_schema_gen = tfx.components.ImportSchemaGen(
        schema_file=_write_schema(output, _evaluation_schema(config))
    ).with_id("EvaluationSchemaGen")
    evaluator = tfx.components.Evaluator(
        examples=flattener.outputs["impressions"],
        model=trainer.outputs["model"],
        baseline_model=baseline.outputs["model"],
        eval_config=build_eval_config(tasks, spec.slices, config.thresholds),
        example_splits=["test"],
        schema=evaluation_schema_gen.outputs["schema"],
    )
    pusher = tfx.components.Pusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        push_destination=tfx.proto.PushDestination(
            filesystem=tfx.proto.PushDestination.Filesystem(
                base_directory=os.path.join(output, "serving", "ranking")
            )
        ),
    )

    return tfx.dsl.Pipeline(
        pipeline_name=_pipeline_name(config),
        pipeline_root=os.path.join(output, "pipeline"),
        components=[
            example_gen,
            schema_gen,
            statistics_gen,
            validator,
            transform,
            trainer,
            flattener,
            baseline,
            evaluation_schema_gen,
            evaluator,
            pusher,
        ],
        enable_cache=config.enable_cache,
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
            os.path.join(output, "metadata.db")
        ),
        beam_pipeline_args=list(config.beam_pipeline_args),
    )


def run_ranking(
    config: RankingPipelineConfig,
    observer: local_runner.StageObserver,
    command: str = "",
) -> RunSummary:
    """Runs the pipeline on this machine and writes its report.

    Args:
      config: What to run.
      observer: Told about each stage.
      command: The command line that repeats the run, for the report.

    Returns:
      What the run did and found; ``OUTPUT/report`` holds the same as JSON and as HTML.

    Raises:
      StageError: if a stage fails.
    """
    result = local_runner.run(create_pipeline(config), observer, _row_counters(config))
    summary = summarise_run(config, result, command)
    write_report(config.output_dir, summary)
    return summary


def _row_counters(config: RankingPipelineConfig) -> local_runner.RowCounters:
    """Rows by stage: of the log, then of the impressions that the stage read."""
    found: dict[str, IngestionSummary] = {}

    def rows_read(stage: local_runner.StageResult) -> int:
        found["log"] = IngestionSummary.read(stage.outputs["examples"][0].uri)
        return log_rows(config, found["log"])

    def impressions(*splits: str) -> Callable[[local_runner.StageResult], int]:
        return lambda _: sum(found["log"].impressions[split] for split in splits)

    return {
        "SessionExampleGen": rows_read,
        "SessionFlattener": impressions("test"),
        "StatisticsGen": impressions(*SPLITS),
        "Transform": impressions("train", "eval"),
        "Evaluator": impressions("test"),
    }


def _pipeline_name(config: RankingPipelineConfig) -> str:
    # A baseline is looked for among the runs of one name: only models of the same data set and
    # tasks can be compared.
    key = json.dumps([config.data.dataset, list(config.data.tasks)])
    return f"ranking-{hashlib.sha256(key.encode()).hexdigest()[:8]}"


def _example_gen_config(config: RankingPipelineConfig, output: str) -> SessionExampleGenConfig:
    return SessionExampleGenConfig(
        dataset=config.data.dataset,
        quarantine_dir=os.path.join(output, "quarantine"),
        split_fractions=config.data.split_fractions,
        max_bad_rows=config.data.max_bad_rows,
        gap_minutes=config.data.gap_minutes,
        max_session_length=config.data.max_session_length,
        code_version=code_version(),
    )


def _session_schema(config: RankingPipelineConfig) -> str:
    if config.data.schema_file is None:
        return text_format.MessageToString(build_schema(config.data.spec()))
    with open(config.data.schema_file) as file:
        return file.read()


def _evaluation_schema(config: RankingPipelineConfig) -> str:
    spec = config.data.spec()
    types = column_types(spec)
    slices: dict[str, Dtype] = {name: types[name] for name in spec.slices}
    schema = build_evaluation_schema(config.data.selected_tasks(), slices)
    return text_format.MessageToString(schema)


def _write_schema(output: str, text: str) -> str:
    """Writes a schema under a name with its digest, for the cache to see a change."""
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    path = os.path.join(output, "schema", f"schema-{digest}.pbtxt")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)
    return path
