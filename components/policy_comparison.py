"""PolicyComparison: several fusion policies on the same simulated sessions."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact, artifact_utils, channel, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.utils import path_utils

from mtfx.agents.search.registry import CONSTANT
from mtfx.components.artifacts import Simulator as SimulatorArtifact
from mtfx.environments.simulator.config import SimulatorConfig
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.user_groups import judged_sessions
from mtfx.environments.simulator.value import session_figures
from mtfx.environments.simulator.world import load_world
from mtfx.evaluation.policies.comparison import (
    FIGURES,
    ahead_of,
    compare_policies,
    paired_to_json,
    rows_to_json,
)
from mtfx.models.export.policy import SavedPolicy

COMPARISON_FILE = "comparison.json"
#: More policies than there are methods.
MOST_POLICIES = 12
_POLICIES = tuple(f"policy_{number}" for number in range(MOST_POLICIES))
#: The policy to compare with comes first: no personalisation, if it is among them.
_ORDER = (CONSTANT, "bo", "es", "cem")


def policy_inputs() -> dict[str, ChannelParameter]:
    """The inputs of a component that takes several policies.

    Every policy has an input of its own: a union of channels is compiled for TFX's own runners
    only, Kubeflow's refuses it.
    """
    return {
        name: ChannelParameter(type=standard_artifacts.Model, optional=True) for name in _POLICIES
    }


def policy_channels(policies: Sequence[channel.BaseChannel]) -> dict[str, channel.BaseChannel]:
    """The channels of those inputs; ValueError for more than ``MOST_POLICIES`` of them."""
    if len(policies) > MOST_POLICIES:
        raise ValueError(f"{len(policies)} policies are more than {MOST_POLICIES}")
    return dict(zip(_POLICIES, policies, strict=False))


def policy_artifacts(input_dict: dict[str, list]) -> list[artifact.Artifact]:
    """The artifacts of those inputs, in their order."""
    return [one for name in _POLICIES for one in input_dict.get(name) or ()]


class PolicyComparisonSpec(ComponentSpec):
    """Inputs, outputs and parameters of PolicyComparison."""

    PARAMETERS = {  # noqa: RUF012 (TFX's convention)
        "simulator_config": ExecutionParameter(type=str),
        "sessions": ExecutionParameter(type=int),
        "gamma": ExecutionParameter(type=float),
        "method": ExecutionParameter(type=str),
        "seed": ExecutionParameter(type=int),
        "world": ExecutionParameter(type=str),
        "code_version": ExecutionParameter(type=str),
    }
    INPUTS = {  # noqa: RUF012
        "simulator": ChannelParameter(type=SimulatorArtifact),
        **policy_inputs(),
    }
    OUTPUTS = {  # noqa: RUF012
        "comparison": ChannelParameter(type=standard_artifacts.ModelEvaluation)
    }


class Executor(base_executor.BaseExecutor):
    """See the component."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list],
        output_dict: dict[str, list],
        exec_properties: dict[str, Any],
    ) -> None:
        """Runs the sessions; see the component.

        Raises:
          DataError: if an input cannot be read.
          ValueError: if a policy does not suit the simulator.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        directory = artifact_utils.get_single_uri(input_dict["simulator"])
        world = load_world(os.path.join(directory, exec_properties["world"]))
        rules = SimulatorConfig.from_dict(json.loads(exec_properties["simulator_config"]))
        simulator = Simulator(world, rules)
        policies = [
            SavedPolicy(path_utils.serving_model_path(one.uri))
            for one in policy_artifacts(input_dict)
        ]
        policies.sort(key=lambda policy: _rank(policy.metadata.method))
        sessions, seed = exec_properties["sessions"], exec_properties["seed"]
        judged = judged_sessions(world.user_ids, sessions, seed)
        figures: dict[str, dict[str, list[float]]] = {}
        training: dict[str, dict[str, list[float]]] = {}
        for policy in policies:
            method = policy.metadata.method
            logging.getLogger("mtfx.progress").info("%s: %d sessions", method, sessions)
            # Each with its own: actions of two fusions do not mean the same.
            fusion = policy.fusion(world.num_predictions)
            found = session_figures(
                simulator, fusion, policy, judged.users, seed, exec_properties["gamma"]
            )
            values = {name: getattr(found, name) for name in FIGURES}
            figures[method], training[method] = (
                {name: of(value).tolist() for name, value in values.items()}
                for of in (judged.evaluation, judged.training)
            )
        output = artifact_utils.get_single_uri(output_dict["comparison"])
        tf.io.gfile.makedirs(output)
        content = {
            "sessions": sessions,
            "policies": rows_to_json(compare_policies(figures)),
            "training_users": rows_to_json(compare_policies(training)),
            "ahead": {
                name: paired_to_json(test)
                for name, test in ahead_of(figures, exec_properties["method"]).items()
            },
        }
        with tf.io.gfile.GFile(os.path.join(output, COMPARISON_FILE), "w") as file:
            file.write(json.dumps(content, indent=1))


def _rank(method: str) -> tuple[int, str]:
    return (_ORDER.index(method) if method in _ORDER else len(_ORDER), method)


class PolicyComparison(base_component.BaseComponent):
    """Runs all policies on the same simulated sessions and writes ``comparison.json``.

    ``policies`` are the figures of sessions of users that no policy learnt from, which count, and
    ``training_users`` those of as many sessions of the others. ``ahead`` are the policies that are
    better than the learned one beyond chance.
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
        method: str,
        seed: int,
        world: str = "",
        code_version: str = "",
    ):
        """Makes the component.

        Args:
          simulator: Its sessions are those of other seeds than any policy was trained on.
          policies: A channel for each policy, at most ``MOST_POLICIES``.
          simulator_config: The rules of the sessions.
          sessions: How many of each group of users, see
            ``mtfx.environments.simulator.user_groups``.
          gamma: Discount of the return.
          method: Of the policy that was learned to be pushed; the others are baselines.
          seed: Of the sessions.
          world: Folder, in the simulator's artifact, of another world of the same users and pools,
            whose users answer in another way; empty: the simulator's own.
          code_version: Part of the cache key.
        """
        super().__init__(
            PolicyComparisonSpec(
                simulator=simulator,
                simulator_config=json.dumps(simulator_config.to_dict()),
                sessions=sessions,
                gamma=gamma,
                method=method,
                seed=seed,
                world=world,
                code_version=code_version,
                comparison=channel.Channel(type=standard_artifacts.ModelEvaluation),
                **policy_channels(policies),
            )
        )
