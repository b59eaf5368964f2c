"""InteractionGen as TFX components: one explores the simulator, one reads what was served."""

from __future__ import annotations

from google.protobuf import any_pb2, wrappers_pb2
from tfx.components.example_gen.component import FileBasedExampleGen
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.proto import example_gen_pb2, range_config_pb2
from tfx.types import channel, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from mtfx.components.artifacts import Simulator
from mtfx.components.interaction_gen import executor, inputs
from mtfx.components.interaction_gen.config import (
    ServedInteractionConfig,
    SimulatedInteractionConfig,
)
from mtfx.components.interaction_gen.cuts import SPLITS
from mtfx.datasets.file_names import literal


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
    (the last sessions by time): gzipped TFRecords of ``tf.Example``, one per request, as
    ``mtfx.datasets.transitions.codec`` has them; beside them ``transitions.json``, the manifest,
    and ``interactions.json``, all counts. The transitions follow from the configuration alone, on
    any Beam runner with any number of workers.
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


class ServedInteractionGen(FileBasedExampleGen):
    """Reads logs of served requests and writes the transitions.

    A request is a ``tf.Example`` of a TFRecord file or a row of a Parquet file, with the columns
    of ``mtfx.datasets.transitions.codec.TransitionBatch`` but for ``next_state``, ``reward`` and
    ``discount``, which are made here: each request meets the next one of its session. The output is
    that of :class:`SimulatedInteractionGen`. Span and version come from TFX's own driver for
    file-based inputs; unchanged files are not read twice, where their content decides.
    """

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.ServedExecutor)
    DRIVER_CLASS = inputs.ServedDriver

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
          pattern: Files below ``data_dir``; ``{SPAN}`` and ``{VERSION}`` in its directories select
            one of several deliveries, for example ``day-{SPAN}/*.gz``.
          span: The span to read, if the pattern has ``{SPAN}``; without it TFX takes the latest.
        """
        packed = any_pb2.Any()
        packed.Pack(wrappers_pb2.StringValue(value=config.to_json()))
        spans = None
        if span is not None and "{SPAN}" in pattern:
            spans = range_config_pb2.RangeConfig(
                static_range=range_config_pb2.StaticRange(
                    start_span_number=span, end_span_number=span
                )
            )
        super().__init__(
            input_base=literal(data_dir),
            input_config=example_gen_pb2.Input(
                splits=[example_gen_pb2.Input.Split(name="requests", pattern=pattern)]
            ),
            output_config=example_gen_pb2.Output(
                split_config=example_gen_pb2.SplitConfig(
                    splits=[
                        example_gen_pb2.SplitConfig.Split(name=name, hash_buckets=1)
                        for name in SPLITS
                    ]
                )
            ),
            custom_config=example_gen_pb2.CustomConfig(custom_config=packed),
            range_config=spans,
        )
