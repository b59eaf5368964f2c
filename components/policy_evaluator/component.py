"""PolicyEvaluator as a TFX component."""

from __future__ import annotations

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from mtfx.components.artifacts import Simulator
from mtfx.components.policy_evaluator import executor
from mtfx.components.policy_evaluator.config import PolicyEvaluatorConfig


class PolicyEvaluatorSpec(ComponentSpec):
    """Inputs, outputs and parameters of PolicyEvaluator."""

    PARAMETERS = {  # noqa: RUF012 (TFX's convention)
        "config": ExecutionParameter(type=str),
    }
    INPUTS = {  # noqa: RUF012
        "interactions": ChannelParameter(type=standard_artifacts.Examples),
        "policy": ChannelParameter(type=standard_artifacts.Model),
        "baseline_policy": ChannelParameter(type=standard_artifacts.Model, optional=True),
        "simulator": ChannelParameter(type=Simulator, optional=True),
    }
    OUTPUTS = {  # noqa: RUF012
        "evaluation": ChannelParameter(type=standard_artifacts.ModelEvaluation),
        "blessing": ChannelParameter(type=standard_artifacts.ModelBlessing),
    }


class PolicyEvaluator(base_component.BaseComponent):
    """Values a fusion policy from interactions that it did not learn from, and blesses it.

    ``evaluation`` holds ``summary.json``, ``index.html`` and their figures as PNG: the estimates
    with intervals, the simulator's true value where a simulator is given, and the policy's actions
    against the logged ones. ``blessing`` is a standard ModelBlessing with the properties that TFX's
    Evaluator sets, so that Pusher and resolvers take it as they take that one's. What is blessed
    says ``mtfx.evaluation.policies.blessing``; a policy that is refused does not fail the pipeline.

    The log's actions must be of the policy's fusion, see ``TransitionManifest.fusion``. Of a policy
    with trained cells, xMTF's, the off-policy estimates are approximations: they value its actions
    by what these did in the log, where other cells, or none, turned them into a ranking. The report
    says how far the two rankings agree. The simulator's value is exact, as it ranks with the
    policy's own cells.
    """

    SPEC_CLASS = PolicyEvaluatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        interactions: channel.BaseChannel,
        policy: channel.BaseChannel,
        baseline_policy: channel.BaseChannel | None = None,
        simulator: channel.BaseChannel | None = None,
        config: PolicyEvaluatorConfig | None = None,
    ):
        """Makes the component.

        Args:
          interactions: Transitions with the split that the configuration names.
          policy: The exported fusion policy to evaluate.
          baseline_policy: The current one; its channel may be empty, as in a first run. One of
            another state or other predictions is not compared with, which the report notes.
          simulator: A world for true values.
          config: Settings; the defaults when None.
        """
        super().__init__(
            PolicyEvaluatorSpec(
                interactions=interactions,
                policy=policy,
                baseline_policy=baseline_policy,
                simulator=simulator,
                config=(config or PolicyEvaluatorConfig()).to_json(),
                evaluation=channel.Channel(type=standard_artifacts.ModelEvaluation),
                blessing=channel.Channel(type=standard_artifacts.ModelBlessing),
            )
        )
