"""The fusion pipeline for Kubeflow: the same stages, all that they need in the spec."""

from __future__ import annotations

from tfx.components import Pusher
from tfx.dsl.components.common.importer import Importer
from tfx.orchestration.data_types import RuntimeParameter
from tfx.orchestration.pipeline import Pipeline
from tfx.types import standard_artifacts
from tfx.types.artifact_utils import encode_split_names

from mtfx.components.cluster.current_model import CurrentModel
from mtfx.components.cluster.seeded_trainer import SeededTrainer
from mtfx.components.policy_evaluator.component import PolicyEvaluator
from mtfx.components.simulator_gen import SimulatorGen
from mtfx.datasets.logs.sessions import SPLITS
from mtfx.pipelines.fusion_config import FusionPipelineConfig
from mtfx.pipelines.fusion_evaluation import (
    comparison_stage,
    evaluation_config,
    headroom_stages,
    independent_stages,
    selection_stages,
)
from mtfx.pipelines.fusion_stages import (
    exploration_stages,
    exporter_stage,
    fusion_key,
    learned_methods,
    pipeline_name,
    search_stages,
    trainer_config,
    world_config,
)
from mtfx.pipelines.kubeflow.config import KubeflowConfig
from mtfx.pipelines.local_pipeline import destination

#: Kinds of pushed models, and the folders that they go to.
RANKER, POLICY = "ranker", "policy"
#: Runtime parameters: addresses of artifacts of a run of the ranking pipeline.
RANKING_PARAMETERS = {
    "ranking_model": standard_artifacts.Model,
    "transform_graph": standard_artifacts.TransformGraph,
    "examples": standard_artifacts.Examples,
}


def create_fusion_pipeline(
    config: FusionPipelineConfig, cluster: KubeflowConfig, dataset: str, data_dir: str
) -> Pipeline:
    """Builds the pipeline; its stages read from top to bottom.

    It differs from ``mtfx.pipelines.fusion`` where a cluster's backend has no store to resolve
    from: what it takes of the ranking pipeline are three addresses, parameters of each run; the
    current policy is the one that was pushed last, beside the ranker that it is part of. ``seed``
    is a parameter too, of the training alone; what is simulated has the seed of ``config``.

    Args:
      config: What to run; its ``run_dir`` is not used.
      cluster: Where.
      dataset: The ranking model's data set.
      data_dir: Its files, which hold the truth behind a synthetic one.
    """
    imported = {name: _importer(name) for name in RANKING_PARAMETERS}
    ranking = {name: importer.outputs["result"] for name, importer in imported.items()}
    simulator_gen = SimulatorGen(
        examples=ranking["examples"],
        transform_graph=ranking["transform_graph"],
        model=ranking["ranking_model"],
        config=world_config(config, dataset, data_dir).to_json(),
    )
    simulator = simulator_gen.outputs["simulator"]
    searched = search_stages(config, simulator)
    learned = learned_methods(config)
    explored = exploration_stages(config, learned, simulator, searched)
    seed = RuntimeParameter(name="seed", ptype=int, default=config.seed)
    trained = [
        SeededTrainer(
            run_fn="mtfx.trainers.fusion.run.run_fn",
            examples=explored[fusion_key(config, name)].outputs["examples"],
            custom_config=trainer_config(config, name, cluster.below_root("checkpoints")).to_dict(),
            seed=seed,
        ).with_id(f"Trainer-{name}")
        for name in learned
    ]
    policies = [stage.outputs["model"] for stage in (*searched, *trained)]
    selected = selection_stages(config, simulator, policies)
    candidate = (*selected, *trained)[0].outputs["model"]
    current = CurrentModel(push_dir=cluster.push_to(POLICY)).with_id("CurrentPolicy")
    evaluator = PolicyEvaluator(
        interactions=explored[fusion_key(config, config.method)].outputs["examples"],
        policy=candidate,
        baseline_policy=current.outputs["model"],
        simulator=simulator,
        config=evaluation_config(config),
    )
    comparison = comparison_stage(config, simulator, policies)
    exporter = exporter_stage(
        config,
        ranking_model=ranking["ranking_model"],
        policy=candidate,
        simulator=simulator,
        examples=ranking["examples"],
    )
    pushers = [
        Pusher(
            model=model,
            model_blessing=evaluator.outputs["blessing"],
            push_destination=destination(cluster.push_to(kind)),
        ).with_id(name)
        for name, kind, model in (
            ("Pusher", RANKER, exporter.outputs["model"]),
            ("PolicyPusher", POLICY, candidate),
        )
    ]
    # The policy is what a later run compares with: it follows the ranker that serves it.
    pushers[1].add_upstream_node(pushers[0])
    return Pipeline(
        pipeline_name=pipeline_name(config),
        pipeline_root=cluster.pipeline_root,
        components=[
            *imported.values(),
            simulator_gen,
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
            *pushers,
        ],
        enable_cache=config.enable_cache,
        beam_pipeline_args=list(config.beam_pipeline_args),
    )


def _importer(name: str) -> Importer:
    """A node that gives an artifact of the ranking pipeline, at the address of a parameter."""
    kind = RANKING_PARAMETERS[name]
    splits: dict[str, str | int] = {"split_names": encode_split_names(list(SPLITS))}
    return Importer(
        source_uri=RuntimeParameter(name=name, ptype=str),  # type: ignore[arg-type]
        artifact_type=kind,
        properties=splits if kind is standard_artifacts.Examples else None,
    ).with_id(f"import-{name.replace('_', '-')}")
