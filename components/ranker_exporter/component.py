"""RankerExporter as a TFX component."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from mtfx.components.artifacts import Simulator
from mtfx.components.ranker_exporter import executor


class RankerExporterSpec(ComponentSpec):
    """Inputs, outputs and parameters of RankerExporter."""

    PARAMETERS = {  # noqa: RUF012 (TFX's convention)
        "candidate_buckets": ExecutionParameter(type=str),
        "code_version": ExecutionParameter(type=str),
    }
    INPUTS = {  # noqa: RUF012
        "ranking_model": ChannelParameter(type=standard_artifacts.Model),
        "policy": ChannelParameter(type=standard_artifacts.Model),
        "simulator": ChannelParameter(type=Simulator),
        "examples": ChannelParameter(type=standard_artifacts.Examples),
    }
    OUTPUTS = {"model": ChannelParameter(type=standard_artifacts.Model)}  # noqa: RUF012


class RankerExporter(base_component.BaseComponent):
    """Joins a ranking model and a fusion policy in one SavedModel; see ``mtfx.models.fusion``."""

    SPEC_CLASS = RankerExporterSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        ranking_model: channel.BaseChannel,
        policy: channel.BaseChannel,
        simulator: channel.BaseChannel,
        examples: channel.BaseChannel,
        candidate_buckets: Sequence[int] = (),
        code_version: str = "",
    ):
        """Makes the component.

        Args:
          ranking_model: Predicts the feedbacks.
          policy: Chooses the weights that fuse them.
          simulator: In whose states the policy was trained; says where the means of the
            predictions are in a state.
          examples: The log's sessions, raw: the ranker is warmed up and checked with requests made
            of them.
          candidate_buckets: Numbers of candidates for which XLA compiles the ranking model; see
            ``mtfx.models.export.transformed``.
          code_version: Recorded with the ranker, and part of the cache key.
        """
        super().__init__(
            RankerExporterSpec(
                ranking_model=ranking_model,
                policy=policy,
                simulator=simulator,
                examples=examples,
                candidate_buckets=json.dumps(list(candidate_buckets)),
                code_version=code_version,
                model=channel.Channel(type=standard_artifacts.Model),
            )
        )
