"""A new ranking model joined with the policy that is in use, where no new one was blessed.

Otherwise a blessed ranking model would wait until a policy is blessed too.
"""

from __future__ import annotations

from tfx.components import Pusher

from mtfx.pipelines import local_runner
from mtfx.pipelines.fusion_config import FusionPipelineConfig
from mtfx.pipelines.fusion_stages import exporter_stage, pipeline_of, simulator_stages
from mtfx.pipelines.local_pipeline import destination, earlier_model, earlier_simulator


def rejoin(config: FusionPipelineConfig, policy: str, observer: local_runner.StageObserver) -> str:
    """Exports and pushes the latest blessed ranking model with a blessed policy.

    Args:
      config: Of the fusion run.
      policy: Artifact of the policy; its states are those of the run's simulator.
      observer: Notified of each stage.

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
        push_destination=destination(config.ranker_dir),
    )
    pipeline = pipeline_of(config, [ranking, current, simulator, exporter, pusher], "rejoin")
    result = local_runner.run(pipeline, observer)
    return str(result.output("Pusher", "pushed_model").properties["pushed_destination"])
