"""The stages of the fusion pipeline that learn policies and export rankers."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
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
from mtfx.components.interaction_gen.component import ServedInteractionGen, SimulatedInteractionGen
from mtfx.components.interaction_gen.config import (
    ServedInteractionConfig,
    SimulatedInteractionConfig,
)
from mtfx.components.policy_search.component import PolicySearch
from mtfx.components.policy_search.search import PolicySearchConfig
from mtfx.components.ranker_exporter.component import RankerExporter
from mtfx.components.simulator_gen import SimulatorGen
from mtfx.datasets.description_version import description_version
from mtfx.datasets.registry import load_dataset
from mtfx.datasets.transitions.spec import TransitionSpec
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.fitting.config import PredictionKind, ResponseKind, WorldConfig
from mtfx.environments.simulator.fitting.log_data import world_fingerprint
from mtfx.environments.simulator.world import load_predictions, load_world
from mtfx.evaluation.ope.registry import ESTIMATORS
from mtfx.models.fusion.config import build_fusion
from mtfx.pipelines.code_version import code_version
from mtfx.pipelines.fusion_config import FusionPipelineConfig
from mtfx.pipelines.local_pipeline import earlier_simulator, local_pipeline
from mtfx.pipelines.served_log import ServedLog
from mtfx.pipelines.spans import span_folders
from mtfx.trainers.fusion.config import FusionTrainerConfig


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
        ).with_id(search_id(method))
        for method in config.baselines
        if method in SEARCHES
    ]


def search_id(method: str) -> str:
    """Name of the stage of a search."""
    return f"PolicySearch-{method}"


def learned_methods(config: FusionPipelineConfig) -> list[str]:
    """The method and those baselines that learn from interactions, too."""
    return [name for name in (config.method, *config.baselines) if name not in SEARCHES]


def exploration_stages(
    config: FusionPipelineConfig,
    methods: list[str],
    simulator: Channel,
    searched: list[BaseComponent],
) -> dict[str, SimulatedInteractionGen]:
    """The stages that explore, by fusion: an action means something under its own fusion only.

    Args:
      config: The run.
      methods: What learns from them.
      simulator: Of the users.
      searched: The stages of :func:`search_stages`, one of which may be explored around.
    """
    around = {stage.id: stage.outputs["model"] for stage in searched}
    middle = config.explore_around == "constant"
    stages: dict[str, SimulatedInteractionGen] = {}
    for method in methods:
        fusion = config.fusion_of(method)
        key = fusion_key(config, method)
        if key in stages:
            continue
        of_weights = fusion.action_meaning() == config.fusion.action_meaning()
        stage = SimulatedInteractionGen(
            simulator=simulator,
            policy=(
                around[search_id(config.explore_around)] if of_weights and not middle else None
            ),
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
