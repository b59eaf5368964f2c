"""The ranking pipeline for Kubeflow: the same stages, all that they need in the spec."""

from __future__ import annotations

from tfx.components import Pusher
from tfx.orchestration.data_types import RuntimeParameter
from tfx.orchestration.pipeline import Pipeline

from mtfx.components.cluster.current_model import CurrentModel, Evaluator
from mtfx.components.cluster.example_gen import SpanExampleGen
from mtfx.components.cluster.seeded_trainer import SeededTrainer
from mtfx.components.session_flattener import SessionFlattener
from mtfx.components.session_schema import InlineSchemaGen
from mtfx.evaluation.ranking.eval_config import build_eval_config
from mtfx.pipelines.code_version import code_version
from mtfx.pipelines.config import RankingPipelineConfig
from mtfx.pipelines.data_stages import ingestion_config, stages_after
from mtfx.pipelines.kubeflow.config import KubeflowConfig
from mtfx.pipelines.local_pipeline import destination
from mtfx.pipelines.ranking import evaluation_schema, pipeline_name, trainer_config

#: What kind of model the pushed one is, and the folder that it goes to.
PUSHED = "ranking"


def create_ranking_pipeline(
    config: RankingPipelineConfig, cluster: KubeflowConfig, days: int = 1, history_days: int = 14
) -> Pipeline:
    """Builds the pipeline; its stages read from top to bottom.

    It differs from ``mtfx.pipelines.ranking`` where a cluster's backend has no store to resolve
    from: the baseline is the model that was pushed last. ``data_dir``, ``span``, ``days`` and
    ``seed`` are parameters of each run.

    Args:
      config: What to run; its data and seed are the parameters' defaults.
      cluster: Where.
      days: Default of how many deliveries are read.
      history_days: How many before those sessions look back on, where they are there.
    """
    data = config.data
    example_gen = SpanExampleGen(
        data_dir=_parameter("data_dir", data.data_dir),
        pattern=data.pattern,
        span=_parameter("span", data.span),
        days=_parameter("days", days),
        history_days=history_days,
        config=ingestion_config(data, cluster.below_root("quarantine"), code_version()),
    )
    stages = stages_after(example_gen, data, ("train", "eval"), code_version())
    trainer = SeededTrainer(
        run_fn="mtfx.trainers.ranking.run.run_fn",
        examples=stages.transform.outputs["transformed_examples"],
        transform_graph=stages.transform.outputs["transform_graph"],
        custom_config=trainer_config(config, cluster.below_root("checkpoints")).to_dict(),
        seed=_parameter("seed", config.seed),
    ).with_id("Trainer")
    flattener = SessionFlattener(examples=stages.examples, schema=stages.schema)
    current = CurrentModel(push_dir=cluster.push_to(PUSHED))
    evaluation_schema_gen = InlineSchemaGen(text=evaluation_schema(config)).with_id(
        "EvaluationSchemaGen"
    )
    evaluator = Evaluator(
        examples=flattener.outputs["impressions"],
        model=trainer.outputs["model"],
        baseline_model=current.outputs["model"],
        eval_config=build_eval_config(data.selected_tasks(), data.spec().slices, config.thresholds),
        example_splits=["test"],
        schema=evaluation_schema_gen.outputs["schema"],
    )
    pusher = Pusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        push_destination=destination(cluster.push_to(PUSHED)),
    )
    return Pipeline(
        pipeline_name=pipeline_name(config),
        pipeline_root=cluster.pipeline_root,
        components=[
            *stages,
            trainer,
            flattener,
            current,
            evaluation_schema_gen,
            evaluator,
            pusher,
        ],
        enable_cache=config.enable_cache,
        beam_pipeline_args=list(config.beam_pipeline_args),
    )


def _parameter(name: str, default: str | int) -> RuntimeParameter:
    return RuntimeParameter(name=name, ptype=type(default), default=default)
