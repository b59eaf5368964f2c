"""The stages of the fusion pipeline, made from its configuration."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Sequence
from typing import Any, cast

from tfx.components import Trainer
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.common.importer import Importer
from tfx.dsl.components.common.resolver import Resolver
from tfx.orchestration.pipeline import Pipeline
from tfx.proto.trainer_pb2 import EvalArgs, TrainArgs
from tfx.types import standard_artifacts
from tfx.types.channel import Channel

from mtfx.agents.search.registry import SEARCHES
from mtfx.components.blessed_models import LatestBlessedRankingStrategy
from mtfx.components.headroom_estimator import HeadroomEstimator
from mtfx.components.interaction_gen.component import ServedInteractionGen, SimulatedInteractionGen
from mtfx.components.interaction_gen.config import (
    ServedInteractionConfig,
    SimulatedInteractionConfig,
)
from mtfx.components.policy_comparison import PolicyComparison
from mtfx.components.policy_evaluator.config import PolicyEvaluatorConfig, default_estimators
from mtfx.components.policy_search.component import PolicySearch
from mtfx.components.policy_search.search import PolicySearchConfig
from mtfx.components.policy_selector import PolicySelector
from mtfx.components.ranker_exporter.component import RankerExporter
from mtfx.components.simulator_gen import SimulatorGen
from mtfx.datasets.description_version import description_version
from mtfx.datasets.registry import load_dataset
from mtfx.datasets.transitions.spec import TransitionSpec
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.fitting.config import PredictionKind, ResponseKind, WorldConfig
from mtfx.environments.simulator.fitting.log_data import world_fingerprint
from mtfx.environments.simulator.world import INDEPENDENT, load_predictions, load_world
from mtfx.evaluation.config import BlessingConfig
from mtfx.evaluation.ope.config import ConservativeConfig
from mtfx.evaluation.ope.registry import ESTIMATORS
from mtfx.models.fusion.config import build_fusion
from mtfx.pipelines.code_version import code_version
from mtfx.pipelines.fusion_config import FusionPipelineConfig
from mtfx.pipelines.local_pipeline import earlier_simulator, local_pipeline
from mtfx.pipelines.served_log import ServedLog
from mtfx.pipelines.spans import span_folders
from mtfx.trainers.fusion.config import FusionTrainerConfig

#: Simulated sessions of other seeds than those that are learned from.
EVALUATION_SEED = 1_000_003
#: And others again, by which alone a policy is chosen.
SELECTION_SEED = 2_000_003
_NOT_SERVED = (
    "--response published: what it learnt from users who answer with the ranking model's own "
    "prediction is not to be served"
)


def ranking_and_simulator(config: FusionPipelineConfig) -> tuple[Any, Any]:
    """The ranking model, and the simulator: fitted to its log, or that of the run before.

    The states of both hold the same, whatever ranking model they are of.
    """
    ranking, simulator_gen = simulator_stages(config)
    if config.served is None or not config.keep_simulator:
        return ranking, simulator_gen
    return ranking, earlier_simulator(config.served_simulator)


def simulator_stages(
    config: FusionPipelineConfig, predictions: PredictionKind = "model"
) -> tuple[Any, Any]:
    """The first stages: one that finds the ranking model, and one that fits its simulator.

    Args:
      config: The run.
      predictions: See :class:`~mtfx.environments.simulator.fitting.config.WorldConfig`; a policy
        that shall be served is trained on the model's.
    """
    dataset, log_dir = config.ranking_run()["dataset"], config.log_dir
    ranking = Resolver(
        strategy_class=LatestBlessedRankingStrategy,
        config={"dataset": dataset, "description_version": description_version(dataset)},
        model=Channel(type=standard_artifacts.Model),
        transform_graph=Channel(type=standard_artifacts.TransformGraph),
        examples=Channel(type=standard_artifacts.Examples),
    ).with_id("LatestBlessedRanking")
    world = dataclasses.replace(
        world_config(config, dataset, log_dir),
        predictions=predictions,
        # In the log a prediction means what it meant to the ranker that served it.
        fused=() if config.served is None else load_predictions(config.served_simulator),
        data_fingerprint=world_fingerprint(load_dataset(dataset), log_dir),
    )
    simulator_gen = SimulatorGen(
        examples=ranking.outputs["examples"],
        transform_graph=ranking.outputs["transform_graph"],
        model=ranking.outputs["model"],
        config=world.to_json(),
    )
    return ranking, simulator_gen


def pipeline_of(config: FusionPipelineConfig, stages: list[Any], name: str = "") -> Pipeline:
    """A pipeline of these stages, with metadata, cache and by default the name of the fusion's."""
    return local_pipeline(
        name or pipeline_name(config),
        stages,
        output=config.output_dir,
        metadata=config.metadata_path,
        beam_pipeline_args=config.beam_pipeline_args,
        enable_cache=config.enable_cache,
    )


def evaluation_config(config: FusionPipelineConfig) -> PolicyEvaluatorConfig:
    """How policies are judged."""
    return PolicyEvaluatorConfig(
        estimators=default_estimators(
            ConservativeConfig.penalty if config.ope_penalty is None else config.ope_penalty,
            config.reward_config.gamma,
            config.estimator,
        ),
        deciding=config.estimator,
        blessing=BlessingConfig(
            max_drop=config.max_return_drop,
            refusal=_NOT_SERVED if config.response == "published" and not config.served else "",
        ),
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
        pool=config.sizes.pool,
        max_views=config.simulator.max_views,
        response=cast(ResponseKind, config.response),
        leave_out=config.leave_out,
        seed=config.seed,
        code_version=code_version(),
        description_version=description_version(dataset),
    )


def search_stages(config: FusionPipelineConfig, simulator: Channel) -> list[BaseComponent]:
    """The stages that search for the baselines, but for those that learn from interactions."""
    gamma = config.reward_config.gamma
    return [
        PolicySearch(
            simulator=simulator,
            search=PolicySearchConfig(method, gamma=gamma, seed=config.seed).to_json(),
            fusion=json.dumps(config.fusion.to_dict()),
            simulator_config=json.dumps(config.simulator.to_dict()),
            code_version=code_version(),
        ).with_id(f"PolicySearch-{method}")
        for method in config.baselines
        if method in SEARCHES
    ]


def learned_methods(config: FusionPipelineConfig) -> list[str]:
    """The method and those baselines that learn from interactions, too."""
    return [name for name in (config.method, *config.baselines) if name not in SEARCHES]


def exploration_stages(
    config: FusionPipelineConfig, methods: list[str], simulator: Channel
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


def served_stage(config: FusionPipelineConfig, log: ServedLog) -> ServedInteractionGen:
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
            reward=config.reward_config,
            needs_densities=(
                config.estimator if ESTIMATORS[config.estimator].needs_densities else ""
            ),
            fusion=fusion,
            earlier=span_folders(log.pattern, log.earlier_spans),
            code_version=code_version(),
        ),
        pattern=log.pattern,
        span=log.span,
    )


def comparison_stage(
    config: FusionPipelineConfig,
    simulator: Channel,
    policies: Sequence[Channel],
    world: str = "",
) -> PolicyComparison:
    """The stage that compares policies on the same simulated sessions.

    Args:
      config: The run.
      simulator: The simulator.
      policies: What is compared.
      world: Folder of another world in the simulator's artifact.
    """
    return PolicyComparison(
        simulator=simulator,
        policies=policies,
        simulator_config=config.simulator,
        sessions=config.eval_sessions,
        gamma=evaluation_config(config).gamma,
        method=config.method,
        seed=config.seed + EVALUATION_SEED,
        world=world,
        code_version=code_version(),
    )


def selection_stages(
    config: FusionPipelineConfig, simulator: Channel, policies: Sequence[Channel]
) -> list[BaseComponent]:
    """The stage that chooses the policy to push, if there is a choice."""
    if config.push != "best":
        return []
    return [
        PolicySelector(
            simulator=simulator,
            policies=policies,
            simulator_config=config.simulator,
            sessions=config.eval_sessions,
            gamma=evaluation_config(config).gamma,
            method=config.method,
            seed=config.seed + SELECTION_SEED,
            code_version=code_version(),
        )
    ]


def independent_stages(
    config: FusionPipelineConfig, simulator: Channel, policies: Sequence[Channel]
) -> list[BaseComponent]:
    """The stage that compares them where users answer independently of the ranking model.

    Where they do in the first place there is nothing to add.
    """
    if config.response != "published" or (config.served is not None and config.keep_simulator):
        return []
    stage = comparison_stage(config, simulator, policies, INDEPENDENT)
    return [stage.with_id(f"{stage.id}-{INDEPENDENT}")]


def headroom_stages(config: FusionPipelineConfig, simulator: Channel) -> list[BaseComponent]:
    """The stage that says what fusion could gain in the simulator, if it is wanted."""
    if not config.headroom or config.served is not None:
        return []
    return [
        HeadroomEstimator(
            simulator=simulator,
            fusion=config.fusion.to_json(),
            simulator_config=config.simulator.to_json(),
            sessions=config.eval_sessions,
            seed=config.seed + EVALUATION_SEED,
            code_version=code_version(),
        )
    ]


def exporter_stage(
    config: FusionPipelineConfig,
    *,
    ranking_model: Channel,
    policy: Channel,
    simulator: Channel,
    examples: Channel,
) -> BaseComponent:
    """The stage that joins a ranking model and a policy; see ``RankerExporter``."""
    return RankerExporter(
        ranking_model=ranking_model,
        policy=policy,
        simulator=simulator,
        examples=examples,
        candidate_buckets=json.dumps(config.candidate_buckets),
        code_version=code_version(),
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


def trainer_stage(
    config: FusionPipelineConfig,
    method: str,
    interactions: Channel,
    base: Importer | None,
) -> Trainer:
    """The stage that trains a method, begun with ``base`` if it is given."""
    return Trainer(
        run_fn="mtfx.trainers.fusion.run.run_fn",
        examples=interactions,
        train_args=TrainArgs(splits=["train"]),
        eval_args=EvalArgs(splits=["eval"]),
        base_model=None if base is None else base.outputs["result"],
        custom_config=trainer_config(
            config, method, os.path.join(config.output_dir, "checkpoints")
        ).to_dict(),
    ).with_id(f"Trainer-{method}")


def pipeline_name(config: FusionPipelineConfig) -> str:
    """The same for runs whose policies can be compared, and for no others."""
    # The current policy is looked for among the runs of one name: only policies whose actions mean
    # the same, of the same predictions, and whose values are of the same reward can be compared.
    reward = config.reward_config.to_dict()
    key = json.dumps(
        [
            config.fusion_of(config.method).action_meaning(),
            {name: value for name, value in reward.items() if name != "gamma"},
            sorted(config.leave_out),
        ],
        sort_keys=True,
    )
    return f"fusion-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
