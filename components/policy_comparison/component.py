"""PolicyComparison as a TFX component."""

from __future__ import annotations

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.utils import json_utils

from mtfx.components.artifacts import Simulator
from mtfx.components.policy_comparison import executor
from mtfx.environments.simulator.config import SimulatorConfig


class PolicyComparisonSpec(ComponentSpec):
    """Inputs, outputs and parameters of PolicyComparison."""

    PARAMETERS = {  # noqa: RUF012 (TFX's convention)
        "simulator_config": ExecutionParameter(type=str),
        "sessions": ExecutionParameter(type=int),
        "gamma": ExecutionParameter(type=float),
        "seed": ExecutionParameter(type=int),
        "code_version": ExecutionParameter(type=str),
    }
    INPUTS = {  # noqa: RUF012
        "simulator": ChannelParameter(type=Simulator),
        "policies": ChannelParameter(type=standard_artifacts.Model),
    }
    OUTPUTS = {  # noqa: RUF012
        "comparison": ChannelParameter(type=standard_artifacts.ModelEvaluation)
    }


class PolicyComparison(base_component.BaseComponent):
    """Runs all policies on the same simulated sessions and writes ``comparison.json``."""

    SPEC_CLASS = PolicyComparisonSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        simulator: channel.BaseChannel,
        policies: channel.BaseChannel,
        simulator_config: SimulatorConfig,
        sessions: int,
        gamma: float,
        seed: int,
        code_version: str = "",
    ):
        """Makes the component.

        Args:
          simulator: Its sessions are those of other seeds than any policy was trained on.
          policies: A union of channels of fusion policies.
          simulator_config: The rules of the sessions.
          sessions: How many.
          gamma: Discount of the return.
          seed: Of the sessions.
          code_version: Part of the cache key.
        """
        super().__init__(
            PolicyComparisonSpec(
                simulator=simulator,
                policies=policies,
                simulator_config=json_utils.dumps(simulator_config.to_dict()),
                sessions=sessions,
                gamma=gamma,
                seed=seed,
                code_version=code_version,
                comparison=channel.Channel(type=standard_artifacts.ModelEvaluation),
            )
        )
