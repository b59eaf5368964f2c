"""Evaluators whose baseline may hold no model.

A resolver that finds nothing leaves a channel empty. A backend of containers always passes on one
artifact, which :func:`mtfx.components.cluster.current_model.CurrentModel` marks where it is empty.
"""

from __future__ import annotations

from typing import Any

from tfx.components.evaluator import component as evaluator_component
from tfx.components.evaluator import executor as evaluator_executor
from tfx.dsl.components.base import executor_spec

from mtfx.components.cluster.current_model import existing
from mtfx.components.policy_evaluator import component as policy_evaluator
from mtfx.components.policy_evaluator import executor as policy_evaluator_executor


def without_missing(input_dict: dict[str, list], key: str) -> dict[str, list]:
    """The inputs without those artifacts of ``key`` that hold no model."""
    return {**input_dict, key: existing(input_dict.get(key) or [])}


class EvaluatorExecutor(evaluator_executor.Executor):
    """TFX's, for a first run too."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list],
        output_dict: dict[str, list],
        exec_properties: dict[str, Any],
    ) -> None:
        """Evaluates; a first run is held to the absolute thresholds alone."""
        super().Do(without_missing(input_dict, "baseline_model"), output_dict, exec_properties)


class Evaluator(evaluator_component.Evaluator):
    """TFX's Evaluator whose ``baseline_model`` may hold no model."""

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(EvaluatorExecutor)


class PolicyEvaluatorExecutor(policy_evaluator_executor.Executor):
    """PolicyEvaluator's, for a first run too."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list],
        output_dict: dict[str, list],
        exec_properties: dict[str, Any],
    ) -> None:
        """Evaluates; a first policy is compared with the log alone."""
        super().Do(without_missing(input_dict, "baseline_policy"), output_dict, exec_properties)


class PolicyEvaluator(policy_evaluator.PolicyEvaluator):
    """PolicyEvaluator whose ``baseline_policy`` may hold no model."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(PolicyEvaluatorExecutor)
