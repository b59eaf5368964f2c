"""PolicySearch as a TFX component."""

from __future__ import annotations

import dataclasses

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.utils import json_utils

from mtfx.components.artifacts import Simulator
from mtfx.components.policy_search import executor
from mtfx.components.policy_search.search import PolicySearchConfig
from mtfx.environments.simulator.config import SimulatorConfig
from mtfx.models.fusion.config import FusionConfig


class PolicySearchSpec(ComponentSpec):
    """Inputs, outputs and parameters of PolicySearch."""

    PARAMETERS = {  # noqa: RUF012 (TFX's convention)
        "search": ExecutionParameter(type=str),
        "fusion": ExecutionParameter(type=str),
        "simulator_config": ExecutionParameter(type=str),
        "code_version": ExecutionParameter(type=str),
    }
    INPUTS = {"simulator": ChannelParameter(type=Simulator)}  # noqa: RUF012
    OUTPUTS = {"model": ChannelParameter(type=standard_artifacts.Model)}  # noqa: RUF012


class PolicySearch(base_component.BaseComponent):
    """Searches for weights, or a network that gives them, by simulated sessions.

    The output is a ``Model`` like the fusion Trainer's: a SavedModel with the signature
    ``actions``.
    """

    SPEC_CLASS = PolicySearchSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        simulator: channel.BaseChannel,
        search: PolicySearchConfig,
        fusion: FusionConfig,
        simulator_config: SimulatorConfig,
        code_version: str = "",
    ):
        """Makes the component.

        Args:
          simulator: Where policies are tried.
          search: What is searched, and how.
          fusion: The function whose weights the actions are.
          simulator_config: The rules of its sessions.
          code_version: Recorded with the policy, and part of the cache key.
        """
        super().__init__(
            PolicySearchSpec(
                simulator=simulator,
                search=json_utils.dumps(dataclasses.asdict(search)),
                fusion=json_utils.dumps(fusion.to_dict()),
                simulator_config=json_utils.dumps(simulator_config.to_dict()),
                code_version=code_version,
                model=channel.Channel(type=standard_artifacts.Model),
            )
        )
