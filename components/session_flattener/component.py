"""SessionFlattener: the Evaluator's view of session examples, as a TFX component."""

from __future__ import annotations

from collections.abc import Sequence

from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import channel, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.utils import json_utils

from mtfx.components.session_flattener import executor


class SessionFlattenerSpec(ComponentSpec):
    """Inputs, outputs and parameters of SessionFlattener."""

    PARAMETERS = {"splits": ExecutionParameter(type=str)}  # noqa: RUF012 (TFX's convention)
    INPUTS = {  # noqa: RUF012
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "schema": ChannelParameter(type=standard_artifacts.Schema),
    }
    OUTPUTS = {"impressions": ChannelParameter(type=standard_artifacts.Examples)}  # noqa: RUF012


class SessionFlattener(base_beam_component.BaseBeamComponent):
    """Writes one ``tf.Example`` per impression, with the length of its session.

    TensorFlow Model Analysis cannot pair ragged predictions with ragged labels, so the Evaluator
    reads this view; ``session_length`` weighs an impression where a metric is a mean over
    sessions. The examples keep the session examples' columns, each list with one value, so a
    model that reads sessions reads them too (as sessions of one impression).
    """

    SPEC_CLASS = SessionFlattenerSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)

    def __init__(
        self,
        examples: channel.BaseChannel,
        schema: channel.BaseChannel,
        splits: Sequence[str] = ("test",),
    ):
        """Makes the component.

        Args:
          examples: Session examples.
          schema: Their schema.
          splits: The splits to flatten.
        """
        super().__init__(
            SessionFlattenerSpec(
                examples=examples,
                schema=schema,
                splits=json_utils.dumps(list(splits)),
                impressions=channel.Channel(type=standard_artifacts.Examples),
            )
        )
