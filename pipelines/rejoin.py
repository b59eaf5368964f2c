"""A new ranking model joined with the policy that is in use, where no new one was blessed.

Otherwise a blessed ranking model would wait until a policy is blessed too.
"""

from __future__ import annotations

import os

from tfx.components import Pusher
from tfx.proto.pusher_pb2 import PushDestination

from mtfx.pipelines import local_runner
from mtfx.pipelines.fusion_config import FusionPipelineConfig
from mtfx.pipelines.fusion_stages import exporter_stage, simulator_stages
from mtfx.pipelines.local_pipeline import earlier_model, earlier_simulator, local_pipeline


def rejoin(config: FusionPipelineConfig, policy: str, observer: local_runner.StageObserver) -> str:
    """Exports and pushes the latest blessed ranking model with a blessed policy.

    Args:
      config: Of the fusion run.
      policy: Artifact of the policy; its states are those of the run's simulator.
      observer: Told about each stage.

    Returns:
      Directory of the pushed ranker.

    Raises:
      StageError: if a stage fails.
    """
    ranking, _ = simulator_stages(config)
    current = earlier_model(policy, "CurrentPolicy")
    simulator = earlier_simulator(config.served_simulator)
    assert current is not None
    assert simulator is not None
    exporter = exporter_stage(
        config,
        ranking_model=ranking.outputs["model"],
        policy=current.outputs["result"],
        simulator=simulator.outputs["result"],
        examples=ranking.outputs["examples"],
    )
    pusher = Pusher(
        model=exporter.outputs["model"],
        push_destination=PushDestination(
            filesystem=PushDestination.Filesystem(
                base_directory=os.path.join(os.path.abspath(config.run_dir), "serving", "ranker")
            )
        ),
    )
    pipeline = local_pipeline(
        "rejoin",
        [ranking, current, simulator, exporter, pusher],
        root=os.path.join(config.output_dir, "pipeline"),
        metadata=config.metadata_path,
        beam_pipeline_args=config.beam_pipeline_args,
        enable_cache=config.enable_cache,
    )
    result = local_runner.run(pipeline, observer)
    return str(result.output("Pusher", "pushed_model").properties["pushed_destination"])
