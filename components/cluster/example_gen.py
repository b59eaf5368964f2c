"""SessionExampleGen whose directory, delivery and window are parameters of the run.

It is a component of its own because TFX's file-based ones cannot have such parameters: pattern and
span are protos inside one string, and the driver that resolves them is a hook that only Vertex
calls.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from typing import Any

from tfx.components.example_gen import input_processor
from tfx.components.example_gen import utils as example_gen_utils
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.orchestration.data_types import RuntimeParameter
from tfx.proto import range_config_pb2
from tfx.types import artifact_utils, channel, standard_artifacts, standard_component_specs
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.utils import proto_utils

from mtfx.components.content_driver import input_of, packed
from mtfx.components.session_example_gen import executor
from mtfx.components.session_example_gen.config import SessionExampleGenConfig
from mtfx.datasets.file_names import literal
from mtfx.errors import DataError


class SpanExampleGenSpec(ComponentSpec):
    """Outputs and parameters of SpanExampleGen."""

    PARAMETERS = {  # noqa: RUF012 (TFX's convention)
        "data_dir": ExecutionParameter(type=str),
        "pattern": ExecutionParameter(type=str),
        "span": ExecutionParameter(type=int),
        "days": ExecutionParameter(type=int),
        "history_days": ExecutionParameter(type=int),
        "config": ExecutionParameter(type=str),
    }
    INPUTS = {}  # noqa: RUF012
    OUTPUTS = {"examples": ChannelParameter(type=standard_artifacts.Examples)}  # noqa: RUF012


class Executor(executor.Executor):
    """Finds the deliveries, as the driver of file-based inputs does, and reads them."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list],
        output_dict: dict[str, list],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes what SessionExampleGen writes.

        Raises:
          DataError: if a delivery of the window is missing, or the data cannot be used.
        """
        data_dir, pattern = exec_properties["data_dir"], exec_properties["pattern"]
        span, days = exec_properties["span"], exec_properties["days"]
        patterns = window_patterns(data_dir, pattern, span, days)
        config = SessionExampleGenConfig.from_json(exec_properties["config"])
        past = []
        if config.spec().history is not None:
            past = patterns_before(data_dir, pattern, span - days, exec_properties["history_days"])
        config = dataclasses.replace(
            config,
            earlier=tuple(os.path.dirname(earlier) for earlier in patterns[:-1]),
            history_deliveries=tuple(os.path.dirname(before) for before in past),
        )
        super().Do(
            input_dict,
            output_dict,
            {
                standard_component_specs.INPUT_BASE_KEY: literal(data_dir),
                standard_component_specs.INPUT_CONFIG_KEY: proto_utils.proto_to_json(
                    input_of(patterns[-1])
                ),
                standard_component_specs.CUSTOM_CONFIG_KEY: proto_utils.proto_to_json(
                    packed(config.to_json())
                ),
                example_gen_utils.SPAN_PROPERTY_NAME: span,
            },
        )
        artifact_utils.get_single_instance(output_dict["examples"]).span = span


def window_patterns(data_dir: str, pattern: str, span: int, days: int) -> list[str]:
    """The files of the last ``days`` deliveries up to ``span``, a pattern each, oldest first.

    Raises:
      DataError: if ``days`` is not positive, the pattern cannot tell several apart, or one of them
        is missing: a window with a hole would pass for a whole one.
    """
    if days < 1:
        raise DataError(f"the parameter days must be at least 1, got {days}")
    if "{SPAN" not in pattern:
        if days > 1:
            raise DataError(
                f"the pattern {pattern!r} has no {{SPAN}}, by which {days} deliveries could be "
                "distinguished: compile with --pattern 'day-{SPAN}/*'"
            )
        return [pattern]
    return [_resolved(data_dir, pattern, number) for number in range(span - days + 1, span + 1)]


def patterns_before(data_dir: str, pattern: str, span: int, days: int) -> list[str]:
    """The files of deliveries to look back on, a pattern each, oldest first.

    Args:
      data_dir: Directory of the deliveries.
      pattern: Files below it.
      span: The newest of them.
      days: How many there may be; one that is not there is left out.
    """
    found = []
    for number in range(max(span - days + 1, 0), span + 1) if "{SPAN" in pattern else ():
        with contextlib.suppress(DataError):
            found.append(_resolved(data_dir, pattern, number))
    return found


def _resolved(data_dir: str, pattern: str, span: int) -> str:
    only = range_config_pb2.StaticRange(start_span_number=span, end_span_number=span)
    processor = input_processor.FileBasedInputProcessor(
        literal(data_dir),
        input_of(pattern).splits,
        range_config_pb2.RangeConfig(static_range=only),
    )
    try:
        found, version = processor.resolve_span_and_version()
    except ValueError as error:
        raise DataError(f"{data_dir} has no delivery {span} of {pattern}: {error}") from error
    return processor.get_pattern_for_span_version(pattern, found, version)


class SpanExampleGen(base_beam_component.BaseBeamComponent):
    """Reads the deliveries of a log; see ``mtfx.components.session_example_gen``.

    Kubeflow's backend knows nothing of the files: it must not take this stage from its cache.
    """

    SPEC_CLASS = SpanExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        data_dir: str | RuntimeParameter,
        config: SessionExampleGenConfig,
        pattern: str = "*",
        span: int | RuntimeParameter = 1,
        days: int | RuntimeParameter = 1,
        history_days: int = 0,
    ):
        """Makes the component.

        Args:
          data_dir: Directory of the deliveries.
          config: How they become sessions; its ``earlier`` is found by ``days``, its
            ``history_deliveries`` by ``history_days``.
          pattern: Files below ``data_dir``; ``{SPAN}`` in a folder's name is a delivery's number.
          span: The newest delivery to read.
          days: How many deliveries, with the newest.
          history_days: How many before those sessions look back on, at most.
        """
        super().__init__(
            SpanExampleGenSpec(
                data_dir=data_dir,
                pattern=pattern,
                span=span,
                days=days,
                history_days=history_days,
                config=config.to_json(),
                examples=channel.Channel(type=standard_artifacts.Examples),
            )
        )
