"""SimulatorGen as a TFX component."""

from __future__ import annotations

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from mtfx.components.artifacts import Simulator
from mtfx.components.simulator_gen import executor


class SimulatorGenSpec(ComponentSpec):
    """Inputs, outputs and parameters of SimulatorGen."""

    PARAMETERS = {  # noqa: RUF012 (TFX's convention)
        "run_fn": ExecutionParameter(type=str),
        "config": ExecutionParameter(type=str),
    }
    INPUTS = {  # noqa: RUF012
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": ChannelParameter(type=standard_artifacts.TransformGraph),
        "model": ChannelParameter(type=standard_artifacts.Model),
    }
    OUTPUTS = {"simulator": ChannelParameter(type=Simulator)}  # noqa: RUF012


class SimulatorGen(base_component.BaseComponent):
    """Fits a response model and a retrieval model, and tabulates what they say of some users.

    Like the Trainer it calls a function by its importable name, which decides what is fitted.
    """

    SPEC_CLASS = SimulatorGenSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        examples: channel.BaseChannel,
        transform_graph: channel.BaseChannel,
        model: channel.BaseChannel,
        config: str,
        run_fn: str = "mtfx.trainers.world_building.run_fn",
    ):
        """Makes the component.

        Args:
          examples: Sessions, all splits.
          transform_graph: That the ranking model was trained with.
          model: The ranking model, whose predictions are tabulated.
          config: For ``run_fn``, as JSON; a ``mtfx.trainers.world_config.WorldConfig``.
          run_fn: Importable name of the function that builds the world.
        """
        super().__init__(
            SimulatorGenSpec(
                examples=examples,
                transform_graph=transform_graph,
                model=model,
                run_fn=run_fn,
                config=config,
                simulator=channel.Channel(type=Simulator),
            )
        )
