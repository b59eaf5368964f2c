"""The fusion pipeline: from a blessed ranking model to a blessed ranker."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any, cast

from tfx import v1 as tfx
from tfx.types.channel import union

from components.earlier_blessed_model import EarlierBlessedModelStrategy
from components.interaction_gen.component import ServedInteractionGen, SimulatedInteractionGen
from components.interaction_gen.config import ServedInteractionConfig, SimulatedInteractionConfig
from components.latest_blessed_ranking import LatestBlessedRankingStrategy
from components.policy_comparison.component import PolicyComparison
from components.policy_evaluator.component import PolicyEvaluator
from components.policy_evaluator.config import PolicyEvaluatorConfig, default_estimators
from components.policy_search.component import PolicySearch
from components.policy_search.search import PolicySearchConfig
from components.ranker_exporter.component import RankerExporter
from components.simulator_gen.component import SimulatorGen
from datasets.transitions import TransitionSpec
from environments.simulator.dynamics import Simulator
from environments.simulator.world import load_world
from evaluation.fusion_report import write_fusion_report
from evaluation.fusion_summary import FusionSummary
from evaluation.ope.config import ConservativeConfig
from models.fusion.registry import build_fusion
from pipelines import local_runner
from pipelines.code_version import code_version
from pipelines.fusion_config import SEARCHES, FusionPipelineConfig, ServedLog
from pipelines.fusion_run import summarise_run
from pipelines.imported import earlier_model, earlier_simulator
from pipelines.spans import fingerprint, span_folders
from trainers.fusion_config import FusionTrainerConfig
from trainers.world_config import ResponseKind, WorldConfig

#: Simulated sessions of other seeds than those that are learned from.
EVALUATION_SEED = 1_000_003


def create_pipeline(config: FusionPipelineConfig) -> tfx.dsl.Pipeline:
    """Builds the pipeline; its stages read from top to bottom.

    Args:
      config: What to run.

    Returns:
      A pipeline whose metadata is the ranking pipeline's, through which it finds that one's latest
      blessed model.
    """
    ranking, simulator_stage = _ranking_and_simulator(config)
    [simulator] = simulator_stage.outputs.values()
    base_policy = earlier_model(config.base_policy, "BasePolicy")
    baselines = [search_stage(config, name, simulator) for name in config.baselines]
    learned = [name for name in (config.method, *config.baselines) if name not in SEARCHES]
    explored = (
        exploration_stages(config, learned, simulator)
        if config.served is None
        else dict.fromkeys([fusion_key(config, config.method)], _served(config, config.served))
    )
    interactions = explored[fusion_key(config, config.method)].outputs["examples"]
    trained = [
        _trainer(
            config,
            name,
            explored[fusion_key(config, name)].outputs["examples"],
            base_policy if name == config.method else None,
        )
        for name in learned
    ]
    candidate = trained[0].outputs["model"]
    current = tfx.dsl.Resolver(
        strategy_class=EarlierBlessedModelStrategy,
        model=tfx.dsl.Channel(type=tfx.types.standard_artifacts.Model),
        model_blessing=tfx.dsl.Channel(type=tfx.types.standard_artifacts.ModelBlessing),
        candidate=candidate,
    ).with_id("EarlierBlessedPolicy")
    judged = evaluation_config(config)
    evaluator = PolicyEvaluator(
        interactions=interactions,
        policy=candidate,
        baseline_policy=current.outputs["model"],
        simulator=simulator,
        config=judged,
    )
    searched = [component for component in baselines if component is not None]
    comparison = PolicyComparison(
        simulator=simulator,
        policies=union([stage.outputs["model"] for stage in (*searched, *trained)]),
        simulator_config=config.simulator,
        sessions=config.eval_sessions,
        # As the estimates beside it have it, whatever an agent discounts its targets with.
        gamma=judged.gamma,
        seed=config.seed + EVALUATION_SEED,
        code_version=code_version(),
    )
    exporter = RankerExporter(
        ranking_model=ranking.outputs["model"],
        policy=candidate,
        simulator=simulator,
        examples=ranking.outputs["examples"],
        code_version=code_version(),
    )
    infra_validator = config.infra_validation.stage(exporter.outputs["model"])
    pusher = tfx.components.Pusher(
        model=exporter.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=None if infra_validator is None else infra_validator.outputs["blessing"],
        push_destination=tfx.proto.PushDestination(
            filesystem=tfx.proto.PushDestination.Filesystem(
                base_directory=os.path.join(os.path.abspath(config.run_dir), "serving", "ranker")
            )
        ),
    )
    return pipeline_of(
        config,
        [
            ranking,
            simulator_stage,
            *([] if base_policy is None else [base_policy]),
            *searched,
            *explored.values(),
            *trained,
            current,
            evaluator,
            comparison,
            exporter,
            *([] if infra_validator is None else [infra_validator]),
            pusher,
        ],
    )


def _ranking_and_simulator(config: FusionPipelineConfig) -> tuple[Any, Any]:
    """The ranking model, and the simulator: of it, or of the ranker that a log was served by."""
    ranking, simulator_gen = simulator_stages(config)
    if config.served is None:
        return ranking, simulator_gen
    return ranking, earlier_simulator(config.served_simulator)


def simulator_stages(config: FusionPipelineConfig) -> tuple[Any, SimulatorGen]:
    """The first stages: one that finds the ranking model, and one that fits its simulator."""
    ranking = tfx.dsl.Resolver(
        strategy_class=LatestBlessedRankingStrategy,
        model=tfx.dsl.Channel(type=tfx.types.standard_artifacts.Model),
        transform_graph=tfx.dsl.Channel(type=tfx.types.standard_artifacts.TransformGraph),
        examples=tfx.dsl.Channel(type=tfx.types.standard_artifacts.Examples),
    ).with_id("LatestBlessedRanking")
    world = world_config(config, config.ranking_run()["dataset"], config.log_dir)
    simulator_gen = SimulatorGen(
        examples=ranking.outputs["examples"],
        transform_graph=ranking.outputs["transform_graph"],
        model=ranking.outputs["model"],
        config=world.to_json(),
    )
    return ranking, simulator_gen


def pipeline_of(config: FusionPipelineConfig, stages: list[Any]) -> tfx.dsl.Pipeline:
    """A pipeline of these stages, under the name, metadata and cache of the run's fusion."""
    return tfx.dsl.Pipeline(
        pipeline_name=pipeline_name(config),
        pipeline_root=os.path.join(config.output_dir, "pipeline"),
        components=stages,
        enable_cache=config.enable_cache,
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
            os.path.abspath(config.metadata_path)
        ),
        beam_pipeline_args=list(config.beam_pipeline_args),
    )


def run_fusion(
    config: FusionPipelineConfig, observer: local_runner.StageObserver, command: str = ""
) -> FusionSummary:
    """Runs the pipeline on this machine and writes its report below ``RUN/fusion/report``.

    Args:
      config: What to run.
      observer: Told about each stage.
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


def evaluation_config(config: FusionPipelineConfig) -> PolicyEvaluatorConfig:
    """How policies are judged."""
    return PolicyEvaluatorConfig(
        estimators=default_estimators(
            ConservativeConfig.penalty if config.ope_penalty is None else config.ope_penalty
        ),
        deciding=config.estimator,
        simulator=config.simulator,
        simulated_sessions=config.eval_sessions,
        seed=config.seed,
        code_version=code_version(),
    )


def world_config(config: FusionPipelineConfig, dataset: str, data_dir: str) -> WorldConfig:
    """How the simulator is fitted.

    Args:
      config: The run.
      dataset: The ranking model's data set.
      data_dir: Its files, which hold the truth behind a synthetic one.
    """
    return WorldConfig(
        dataset=dataset,
        data_dir=data_dir,
        users=config.users,
        pool=config.pool,
        max_views=config.simulator.max_views,
        response=cast(ResponseKind, config.response),
        seed=config.seed,
        code_version=code_version(),
    )


def search_stage(
    config: FusionPipelineConfig, method: str, simulator: tfx.types.Channel
) -> PolicySearch | None:
    """The stage that searches for a baseline; None for one that learns from interactions."""
    if method not in SEARCHES:
        return None
    return PolicySearch(
        simulator=simulator,
        search=PolicySearchConfig(method, seed=config.seed),
        fusion=config.fusion,
        simulator_config=config.simulator,
        code_version=code_version(),
    ).with_id(f"PolicySearch-{method}")


def exploration_stages(
    config: FusionPipelineConfig, methods: list[str], simulator: tfx.types.Channel
) -> dict[str, SimulatedInteractionGen]:
    """The stages that explore, by fusion: an action means something under its own fusion only."""
    stages: dict[str, SimulatedInteractionGen] = {}
    for method in methods:
        fusion = config.fusion_of(method)
        key = fusion_key(config, method)
        if key in stages:
            continue
        stage = SimulatedInteractionGen(
            simulator=simulator,
            config=SimulatedInteractionConfig(
                sessions=config.sessions,
                exploration=config.exploration,
                fusion=fusion,
                simulator=config.simulator,
                seed=config.seed,
                code_version=code_version(),
            ),
        )
        # The method's own comes first and keeps the name.
        stages[key] = stage.with_id(f"{stage.id}-{fusion.formula}") if stages else stage
    return stages


def _served(config: FusionPipelineConfig, log: ServedLog) -> ServedInteractionGen:
    """The stage that reads what was served."""
    simulator = Simulator(load_world(config.served_simulator), config.simulator)
    fusion = config.fusion_of(config.method)
    world = simulator.world
    return ServedInteractionGen(
        data_dir=os.path.abspath(log.data_dir),
        config=ServedInteractionConfig(
            spec=TransitionSpec(
                simulator.state_dim,
                world.prediction_names,
                world.feedback_names,
                build_fusion(fusion, world.num_predictions).action_dim,
            ),
            quarantine_dir=os.path.join(config.output_dir, "quarantine"),
            reward=config.simulator.reward,
            fusion=fusion,
            earlier=span_folders(log.pattern, log.earlier_spans),
            earlier_fingerprint=fingerprint(
                os.path.abspath(log.data_dir), log.pattern, log.earlier_spans
            ),
            code_version=code_version(),
        ),
        pattern=log.pattern,
        span=log.span,
    )


def fusion_key(config: FusionPipelineConfig, method: str) -> str:
    """Tells apart fusions under which actions do not mean the same."""
    return json.dumps(config.fusion_of(method).action_meaning(), sort_keys=True)


def trainer_config(
    config: FusionPipelineConfig, method: str, checkpoint_dir: str
) -> FusionTrainerConfig:
    """What the run function of a method's Trainer needs to know."""
    return FusionTrainerConfig(
        method=method,
        agent=config.agent(method),
        fusion=config.fusion_of(method),
        checkpoint_dir=checkpoint_dir,
        seed=config.seed,
        code_version=code_version(),
    )


def _trainer(
    config: FusionPipelineConfig,
    method: str,
    interactions: tfx.types.Channel,
    base: tfx.dsl.Importer | None,
) -> tfx.components.Trainer:
    return tfx.components.Trainer(
        run_fn="trainers.fusion.run_fn",
        examples=interactions,
        train_args=tfx.proto.TrainArgs(splits=["train"]),
        eval_args=tfx.proto.EvalArgs(splits=["eval"]),
        base_model=None if base is None else base.outputs["result"],
        custom_config=trainer_config(
            config, method, os.path.join(config.output_dir, "checkpoints")
        ).to_custom_config(),
    ).with_id(f"Trainer-{method}")


def pipeline_name(config: FusionPipelineConfig) -> str:
    """The same for runs whose policies can be compared, and for no others."""
    # The current policy is looked for among the runs of one name: only policies whose actions mean
    # the same, and whose values are of the same reward, can be compared.
    fusion = config.fusion_of(config.method)
    kind = config.formula if fusion == config.fusion else fusion.action_meaning()
    key = json.dumps([kind, config.reward])
    return f"fusion-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
