"""PolicyComparison with an input for every policy instead of one for all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec
from tfx.utils import json_utils

from mtfx.components.artifacts import Simulator
from mtfx.components.policy_comparison import component, executor
from mtfx.environments.simulator.config import SimulatorConfig

#: Methods that a policy can be learned by, and so the most policies to compare.
MOST_POLICIES = 12
_INPUTS = tuple(f"policy_{number}" for number in range(MOST_POLICIES))


class PolicyComparisonSpec(ComponentSpec):
    """Inputs, outputs and parameters of PolicyComparison."""

    PARAMETERS = component.PolicyComparisonSpec.PARAMETERS
    INPUTS = {  # noqa: RUF012 (TFX's convention)
        "simulator": ChannelParameter(type=Simulator),
        **{
            name: ChannelParameter(type=standard_artifacts.Model, optional=True) for name in _INPUTS
        },
    }
    OUTPUTS = component.PolicyComparisonSpec.OUTPUTS


class Executor(executor.Executor):
    """Gathers the policies."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list],
        output_dict: dict[str, list],
        exec_properties: dict[str, Any],
    ) -> None:
        """Runs the sessions; see ``mtfx.components.policy_comparison``."""
        policies = [policy for name in _INPUTS for policy in input_dict.get(name) or []]
        inputs = {"simulator": input_dict["simulator"], "policies": policies}
        super().Do(inputs, output_dict, exec_properties)


class PolicyComparison(base_component.BaseComponent):
    """Runs all policies on the same simulated sessions and writes ``comparison.json``.

    TFX compiles a union of channels for its own runners only.
    """

    SPEC_CLASS = PolicyComparisonSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        simulator: channel.BaseChannel,
        policies: Sequence[channel.BaseChannel],
        simulator_config: SimulatorConfig,
        sessions: int,
        gamma: float,
        seed: int,
        code_version: str = "",
    ):
        """Makes the component.

        Args:
          simulator: See ``mtfx.components.policy_comparison``, as for the others.
          policies: A channel for each policy, at most ``MOST_POLICIES``.
          simulator_config: Likewise.
          sessions: Likewise.
          gamma: Likewise.
          seed: Likewise.
          code_version: Likewise.
        """
        named = dict(zip(_INPUTS, policies, strict=False))
        if len(named) < len(policies):
            raise ValueError(f"{len(policies)} policies are more than {MOST_POLICIES}")
        super().__init__(
            PolicyComparisonSpec(
                simulator=simulator,
                simulator_config=json_utils.dumps(simulator_config.to_dict()),
                sessions=sessions,
                gamma=gamma,
                seed=seed,
                code_version=code_version,
                comparison=channel.Channel(type=standard_artifacts.ModelEvaluation),
                **named,
            )
        )
