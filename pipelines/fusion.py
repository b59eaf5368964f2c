"""The fusion pipeline: from a blessed ranking model to a blessed ranker."""

from __future__ import annotations

from tfx.components import Pusher
from tfx.dsl.components.common.resolver import Resolver
from tfx.orchestration.pipeline import Pipeline
from tfx.types import standard_artifacts
from tfx.types.channel import Channel

from mtfx.components.blessed_models import EarlierBlessedModelStrategy
from mtfx.components.policy_evaluator.component import PolicyEvaluator
from mtfx.evaluation.reports.fusion import FusionSummary, write_fusion_report
from mtfx.pipelines import local_runner
from mtfx.pipelines.fusion_config import FusionPipelineConfig
from mtfx.pipelines.fusion_evaluation import (
    comparison_stage,
    evaluation_config,
    headroom_stages,
    independent_stages,
    selection_stages,
)
from mtfx.pipelines.fusion_run import summarise_run
from mtfx.pipelines.fusion_stages import (
    exploration_stages,
    exporter_stage,
    fusion_key,
    learned_methods,
    pipeline_of,
    ranking_and_simulator,
    search_stages,
    served_stage,
    trainer_stage,
)
from mtfx.pipelines.local_pipeline import destination, earlier_model


def create_pipeline(config: FusionPipelineConfig) -> Pipeline:
    """Builds the pipeline; its stages read from top to bottom.

    Args:
      config: What to run.

    Returns:
      A pipeline whose metadata is the ranking pipeline's, through which it finds that one's latest
      blessed model.
    """
    ranking, simulator_stage = ranking_and_simulator(config)
    [simulator] = simulator_stage.outputs.values()
    base_policy = earlier_model(config.base_policy, "BasePolicy")
    searched = search_stages(config, simulator)
    learned = learned_methods(config)
    explored = (
        exploration_stages(config, learned, simulator, searched)
        if config.served is None
        else dict.fromkeys([fusion_key(config, config.method)], served_stage(config, config.served))
    )
    interactions = explored[fusion_key(config, config.method)].outputs["examples"]
    trained = [
        trainer_stage(
            config,
            name,
            explored[fusion_key(config, name)].outputs["examples"],
            base_policy if name == config.method else None,
        )
        for name in learned
    ]
    policies = [stage.outputs["model"] for stage in (*searched, *trained)]
    selected = selection_stages(config, simulator, policies)
    candidate = (*selected, *trained)[0].outputs["model"]
    current = Resolver(
        strategy_class=EarlierBlessedModelStrategy,
        model=Channel(type=standard_artifacts.Model),
        model_blessing=Channel(type=standard_artifacts.ModelBlessing),
        candidate=candidate,
    ).with_id("EarlierBlessedPolicy")
    evaluator = PolicyEvaluator(
        interactions=interactions,
        policy=candidate,
        baseline_policy=current.outputs["model"],
        simulator=simulator,
        config=evaluation_config(config),
    )
    comparison = comparison_stage(config, simulator, policies)
    exporter = exporter_stage(
        config,
        ranking_model=ranking.outputs["model"],
        policy=candidate,
        simulator=simulator,
        examples=ranking.outputs["examples"],
    )
    infra_validator = config.infra_validation.stage(exporter.outputs["model"])
    pusher = Pusher(
        model=exporter.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=None if infra_validator is None else infra_validator.outputs["blessing"],
        push_destination=destination(config.ranker_dir),
    )
    return pipeline_of(
        config,
        [
            ranking,
            simulator_stage,
            *([] if base_policy is None else [base_policy]),
            *explored.values(),
            *searched,
            *trained,
            *selected,
            current,
            evaluator,
            comparison,
            *independent_stages(config, simulator, policies),
            *headroom_stages(config, simulator),
            exporter,
            *([] if infra_validator is None else [infra_validator]),
            pusher,
        ],
    )


def run_fusion(
    config: FusionPipelineConfig, observer: local_runner.StageObserver, command: str = ""
) -> FusionSummary:
    """Runs the pipeline on this machine and writes its report below ``RUN/fusion/report``.

    Args:
      config: What to run.
      observer: Notified of each stage.
      command: The command line that repeats the run, for the summary.

    Returns:
      What the run did and found.

    Raises:
      StageError: if a stage fails.
    """
    result = local_runner.run(create_pipeline(config), observer)
    summary = summarise_run(config, result, command)
    write_fusion_report(config.report_dir, summary)
    return summary
