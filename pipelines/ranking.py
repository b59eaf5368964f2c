"""The ranking pipeline: from raw logs to a blessed, pushed multi-task model."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os

from google.protobuf import text_format
from tfx.components import Evaluator, Pusher, Trainer
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.common.resolver import Resolver
from tfx.orchestration.pipeline import Pipeline
from tfx.proto.trainer_pb2 import EvalArgs, TrainArgs
from tfx.types import standard_artifacts
from tfx.types.channel import Channel

from mtfx.components.blessed_models import EarlierBlessedModelStrategy
from mtfx.components.session_flattener import SessionFlattener
from mtfx.components.session_schema import InlineSchemaGen, column_types
from mtfx.datasets.columns import Dtype
from mtfx.datasets.fingerprint import directory_fingerprint
from mtfx.evaluation.ranking.eval_config import build_eval_config, build_evaluation_schema
from mtfx.evaluation.reports.ranking import RunSummary, write_ranking_report
from mtfx.pipelines import local_runner
from mtfx.pipelines.code_version import code_version
from mtfx.pipelines.config import RankingPipelineConfig
from mtfx.pipelines.data_stages import DataStages, RowCounts, data_stages
from mtfx.pipelines.local_pipeline import destination, earlier_model, local_pipeline
from mtfx.pipelines.ranking_summary import summarise_run
from mtfx.pipelines.trees import trees_of_run
from mtfx.trainers.ranking.config import RankingTrainerConfig


def create_pipeline(config: RankingPipelineConfig) -> Pipeline:
    """Builds the pipeline; its stages read from top to bottom.

    Args:
      config: What to run.

    Returns:
      A pipeline for any TFX runner. Its metadata is SQLite in the output directory.
    """
    spec = config.data.spec()
    tasks = config.data.selected_tasks()
    output = os.path.abspath(config.output_dir)
    stages, models = _training(config, output)
    trainer = models[-1]

    flattener = SessionFlattener(examples=stages.examples, schema=stages.schema)
    baseline = Resolver(
        strategy_class=EarlierBlessedModelStrategy,
        model=Channel(type=standard_artifacts.Model),
        model_blessing=Channel(type=standard_artifacts.ModelBlessing),
        candidate=trainer.outputs["model"],
    ).with_id("EarlierBlessedModel")
    evaluation_schema_gen = InlineSchemaGen(text=evaluation_schema(config)).with_id(
        "EvaluationSchemaGen"
    )
    evaluator = Evaluator(
        examples=flattener.outputs["impressions"],
        model=trainer.outputs["model"],
        baseline_model=baseline.outputs["model"],
        eval_config=build_eval_config(tasks, spec.slices, config.thresholds),
        example_splits=["test"],
        schema=evaluation_schema_gen.outputs["schema"],
    )
    pusher = Pusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        push_destination=destination(os.path.join(output, "serving", "ranking")),
    )

    return local_pipeline(
        pipeline_name(config),
        [
            *stages,
            *models,
            flattener,
            baseline,
            evaluation_schema_gen,
            evaluator,
            pusher,
        ],
        output=output,
        beam_pipeline_args=config.beam_pipeline_args,
        enable_cache=config.enable_cache,
    )


def create_training_pipeline(config: RankingPipelineConfig) -> Pipeline:
    """The stages of :func:`create_pipeline` up to the Trainer: nothing looks at the test split.

    What it leaves in the cache is found by the whole pipeline, and the other way round.
    """
    output = os.path.abspath(config.output_dir)
    stages, models = _training(config, output)
    return local_pipeline(
        pipeline_name(config),
        [*stages, *models],
        output=output,
        beam_pipeline_args=config.beam_pipeline_args,
        enable_cache=config.enable_cache,
    )


def _training(config: RankingPipelineConfig, output: str) -> tuple[DataStages, list[BaseNode]]:
    """The stages before the Trainer, and the Trainer, last, after the model that it begins with."""
    stages = data_stages(config.data, output, ("train", "eval"), code_version())
    base_model = earlier_model(config.base_model)
    trainer = Trainer(
        run_fn="mtfx.trainers.ranking.run.run_fn",
        examples=stages.transform.outputs["transformed_examples"],
        transform_graph=stages.transform.outputs["transform_graph"],
        train_args=TrainArgs(splits=["train"]),
        eval_args=EvalArgs(splits=["eval"]),
        base_model=None if base_model is None else base_model.outputs["result"],
        custom_config=trainer_config(config, os.path.join(output, "checkpoints")).to_dict(),
    )
    return stages, [*([] if base_model is None else [base_model]), trainer]


def trainer_config(config: RankingPipelineConfig, checkpoint_dir: str) -> RankingTrainerConfig:
    """What the Trainer's run function needs to know."""
    critics = config.method_options.critic_path
    return RankingTrainerConfig(
        dataset=config.data.dataset,
        tasks=tuple(task.name for task in config.data.selected_tasks()),
        model=config.model,
        training=config.training,
        checkpoint_dir=checkpoint_dir,
        code_version=code_version(),
        critics_version=directory_fingerprint(critics) if critics else "",
        rmtl=config.rmtl,
    )


def run_ranking(
    config: RankingPipelineConfig,
    observer: local_runner.StageObserver,
    command: str = "",
) -> RunSummary:
    """Runs the pipeline on this machine and writes its report.

    Args:
      config: What to run.
      observer: Notified of each stage.
      command: The command line that repeats the run, for the report.

    Returns:
      What the run did and found; ``OUTPUT/report`` holds the same as JSON and as HTML.

    Raises:
      StageError: if a stage fails.
    """
    result = local_runner.run(create_pipeline(config), observer, _row_counters(config))
    summary = summarise_run(config, result, command)
    write_ranking_report(config.output_dir, summary)
    if config.compare_trees:
        # The model is pushed already: what it is must be found even if the trees fail.
        trees, stage = trees_of_run(config, result, observer)
        seconds = {**summary.seconds, stage.name: stage.seconds}
        summary = dataclasses.replace(summary, trees=trees, seconds=seconds)
        write_ranking_report(config.output_dir, summary)
    return summary


def _row_counters(config: RankingPipelineConfig) -> local_runner.RowCounters:
    """Rows by stage: of the log, then of the impressions that the stage read."""
    counts = RowCounts(config.data)
    return {
        "SessionExampleGen": counts.log,
        "SessionFlattener": counts.impressions(["test"]),
        "StatisticsGen": counts.impressions(),
        "Transform": counts.impressions(["train", "eval"]),
        "Evaluator": counts.impressions(["test"]),
    }


def pipeline_name(config: RankingPipelineConfig) -> str:
    """The same for runs whose models can be compared, and for no others."""
    # A baseline is looked for among the runs of one name: only models of the same data set and
    # tasks can be compared.
    key = json.dumps([config.data.dataset, list(config.data.tasks)])
    return f"ranking-{hashlib.sha256(key.encode()).hexdigest()[:8]}"


def evaluation_schema(config: RankingPipelineConfig) -> str:
    """The schema, in text form, of the impressions that the Evaluator reads."""
    spec = config.data.spec()
    types = column_types(spec)
    slices: dict[str, Dtype] = {name: types[name] for name in spec.slices}
    schema = build_evaluation_schema(config.data.selected_tasks(), slices, types["user_id"])
    return text_format.MessageToString(schema)
