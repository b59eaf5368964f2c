"""InteractionGen as TFX components: one explores the simulator, one reads what was served."""

from __future__ import annotations

from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import channel, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from mtfx.components.artifacts import Simulator
from mtfx.components.content_driver import ContentExampleGen
from mtfx.components.interaction_gen import executor
from mtfx.components.interaction_gen.config import (
    ServedInteractionConfig,
    SimulatedInteractionConfig,
)
from mtfx.components.interaction_gen.cuts import SPLITS


class SimulatedInteractionGenSpec(ComponentSpec):
    """Inputs, outputs and parameters of SimulatedInteractionGen."""

    PARAMETERS = {"config": ExecutionParameter(type=str)}  # noqa: RUF012 (TFX's convention)
    INPUTS = {  # noqa: RUF012
        "simulator": ChannelParameter(type=Simulator),
        "policy": ChannelParameter(type=standard_artifacts.Model, optional=True),
    }
    OUTPUTS = {"examples": ChannelParameter(type=standard_artifacts.Examples)}  # noqa: RUF012


class SimulatedInteractionGen(base_beam_component.BaseBeamComponent):
    """Explores the simulator and writes the transitions.

    The output ``examples`` is a standard Examples artifact with the splits ``train`` and ``eval``
    (the last sessions by time, of users that ``train`` has none of): gzipped TFRecords of
    ``tf.Example``, one per request, as ``mtfx.datasets.transitions.codec`` has them; beside them
    ``transitions.json``, the manifest, and ``interactions.json``, all counts. The transitions
    follow from the configuration alone, on any Beam runner with any number of workers.
    """

    SPEC_CLASS = SimulatedInteractionGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.SimulatedExecutor)

    def __init__(
        self,
        simulator: channel.BaseChannel,
        config: SimulatedInteractionConfig,
        policy: channel.BaseChannel | None = None,
    ):
        """Makes the component.

        Args:
          simulator: A world.
          config: How it is explored.
          policy: An exported fusion policy around whose actions action noise explores; without one
            it explores around the configuration's constant action.
        """
        super().__init__(
            SimulatedInteractionGenSpec(
                simulator=simulator,
                policy=policy,
                config=config.to_json(),
                examples=channel.Channel(type=standard_artifacts.Examples),
            )
        )


class ServedInteractionGen(ContentExampleGen):
    """Reads logs of served requests and writes the transitions.

    A request is a ``tf.Example`` of a TFRecord file or a row of a Parquet file, with the columns
    of ``mtfx.datasets.transitions.codec.TransitionBatch`` but for ``next_state``, ``reward`` and
    ``discount``, which are made here: each request meets the next one of its session. The output is
    that of :class:`SimulatedInteractionGen`. Span and version come from TFX's own driver for
    file-based inputs; unchanged files are not read twice, where their content decides.
    """

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.ServedExecutor)
    DRIVER_CLASS = executor.ServedDriver

    def __init__(
        self,
        data_dir: str,
        config: ServedInteractionConfig,
        pattern: str = "*",
        span: int | None = None,
    ):
        """Makes the component.

        Args:
          data_dir: Directory of the logs.
          config: How they become transitions.
          pattern: See :class:`mtfx.components.content_driver.ContentExampleGen`.
          span: Likewise.
        """
        super().__init__(data_dir, config.to_json(), pattern, span, SPLITS)
