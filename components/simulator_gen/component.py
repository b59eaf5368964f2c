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
        "config": ExecutionParameter(type=str),
    }
    INPUTS = {  # noqa: RUF012
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": ChannelParameter(type=standard_artifacts.TransformGraph),
        "model": ChannelParameter(type=standard_artifacts.Model),
    }
    OUTPUTS = {"simulator": ChannelParameter(type=Simulator)}  # noqa: RUF012


class SimulatorGen(base_component.BaseComponent):
    """Fits a response model and a retrieval model, and tabulates what they say of some users."""

    SPEC_CLASS = SimulatorGenSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        examples: channel.BaseChannel,
        transform_graph: channel.BaseChannel,
        model: channel.BaseChannel,
        config: str,
    ):
        """Makes the component.

        Args:
          examples: Sessions, all splits.
          transform_graph: That the ranking model was trained with.
          model: The ranking model, whose predictions are tabulated.
          config: A ``mtfx.environments.simulator.fitting.config.WorldConfig`` as JSON.
        """
        super().__init__(
            SimulatorGenSpec(
                examples=examples,
                transform_graph=transform_graph,
                model=model,
                config=config,
                simulator=channel.Channel(type=Simulator),
            )
        )
