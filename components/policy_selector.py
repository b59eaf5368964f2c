"""PolicySelector: the fusion policy to judge and push, chosen among several in the simulator."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact_utils, channel, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.utils import io_utils, path_utils

from mtfx.components.artifacts import Simulator as SimulatorArtifact
from mtfx.components.policy_comparison import policy_artifacts, policy_channels, policy_inputs
from mtfx.environments.simulator.config import SimulatorConfig
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.user_groups import drawn_users, user_groups
from mtfx.environments.simulator.value import session_figures
from mtfx.environments.simulator.world import load_world
from mtfx.errors import DataError
from mtfx.evaluation.policies.selection import select_policy
from mtfx.models.export.policy import SavedPolicy

SELECTION_FILE = "selection.json"


class PolicySelectorSpec(ComponentSpec):
    """Inputs, outputs and parameters of PolicySelector."""

    PARAMETERS = {  # noqa: RUF012 (TFX's convention)
        "simulator_config": ExecutionParameter(type=str),
        "sessions": ExecutionParameter(type=int),
        "gamma": ExecutionParameter(type=float),
        "method": ExecutionParameter(type=str),
        "seed": ExecutionParameter(type=int),
        "code_version": ExecutionParameter(type=str),
    }
    INPUTS = {  # noqa: RUF012
        "simulator": ChannelParameter(type=SimulatorArtifact),
        **policy_inputs(),
    }
    OUTPUTS = {  # noqa: RUF012
        "model": ChannelParameter(type=standard_artifacts.Model),
        "selection": ChannelParameter(type=standard_artifacts.ModelEvaluation),
    }


class Executor(base_executor.BaseExecutor):
    """See the component."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list],
        output_dict: dict[str, list],
        exec_properties: dict[str, Any],
    ) -> None:
        """Runs the sessions and copies the policy chosen; see the component.

        Raises:
          DataError: if an input cannot be read, or no policy is the method's.
          ValueError: if a policy does not suit the simulator.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        world = load_world(artifact_utils.get_single_uri(input_dict["simulator"]))
        rules = SimulatorConfig.from_dict(json.loads(exec_properties["simulator_config"]))
        simulator = Simulator(world, rules)
        directories: dict[str, str] = {}
        returns: dict[str, dict[str, list[float]]] = {}
        sessions, seed = exec_properties["sessions"], exec_properties["seed"]
        method = exec_properties["method"]
        log = logging.getLogger("mtfx.progress")
        random = np.random.default_rng(seed)
        users = drawn_users(user_groups(world.user_ids).evaluation, sessions, random)
        for artifact in policy_artifacts(input_dict):
            directory = path_utils.serving_model_path(artifact.uri)
            policy = SavedPolicy(directory)
            name = policy.metadata.method
            log.info("%s: %d sessions to choose by", name, sessions)
            found = session_figures(
                simulator,
                policy.fusion(world.num_predictions),
                policy,
                users,
                seed,
                exec_properties["gamma"],
            )
            directories[name] = directory
            returns[name] = {"discounted_return": found.discounted_return.tolist()}
        if method not in returns:
            raise DataError(
                f"there is no policy of {method} to choose from, only of {', '.join(returns)}"
            )
        selection = select_policy(returns, method)
        log.info("%s", selection.sentence)
        model = artifact_utils.get_single_uri(output_dict["model"])
        io_utils.copy_dir(directories[selection.chosen], path_utils.serving_model_dir(model))
        output = artifact_utils.get_single_uri(output_dict["selection"])
        tf.io.gfile.makedirs(output)
        with tf.io.gfile.GFile(os.path.join(output, SELECTION_FILE), "w") as file:
            file.write(json.dumps(selection.to_json(), indent=1))


class PolicySelector(base_component.BaseComponent):
    """Gives on the policy that is best beyond chance, and writes ``selection.json``.

    ``model`` is a copy of the method's policy, or of the one with the highest mean return where
    that is better than the method's beyond chance: paired by session, Bonferroni. The sessions are
    of users that no policy learnt from. Those that the policy chosen is judged by need another
    seed, as the best of several is flattered by the sessions that it was chosen by.
    """

    SPEC_CLASS = PolicySelectorSpec
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
        code_version: str = "",
    ):
        """Makes the component.

        Args:
          simulator: Where the policies are compared.
          policies: A channel for each policy, the method's among them; see ``PolicyComparison``.
          simulator_config: The rules of the sessions.
          sessions: How many each policy meets.
          gamma: Discount of the return.
          method: Whose policy is given on unless another is better.
          seed: Of the sessions: of none that a policy was trained or is judged on.
          code_version: Part of the cache key.
        """
        super().__init__(
            PolicySelectorSpec(
                simulator=simulator,
                simulator_config=json.dumps(simulator_config.to_dict()),
                sessions=sessions,
                gamma=gamma,
                method=method,
                seed=seed,
                code_version=code_version,
                model=channel.Channel(type=standard_artifacts.Model),
                selection=channel.Channel(type=standard_artifacts.ModelEvaluation),
                **policy_channels(policies),
            )
        )
