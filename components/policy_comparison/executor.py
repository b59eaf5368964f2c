"""Executor of PolicyComparison."""

from __future__ import annotations

import json
import logging
import os
from typing import Any

import numpy as np
import tensorflow as tf
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import json_utils, path_utils

from mtfx.agents.search.registry import CONSTANT
from mtfx.environments.simulator.config import SimulatorConfig
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.value import session_figures
from mtfx.environments.simulator.world import load_world
from mtfx.evaluation.policies.comparison import FIGURES, compare_policies, rows_to_json
from mtfx.models.export.policy import SavedPolicy

COMPARISON_FILE = "comparison.json"
#: The policy to compare with comes first: no personalisation, if it is among them.
_ORDER = (CONSTANT, "bo", "es", "cem")


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
        world = load_world(artifact_utils.get_single_uri(input_dict["simulator"]))
        rules = SimulatorConfig.from_dict(json_utils.loads(exec_properties["simulator_config"]))
        simulator = Simulator(world, rules)
        policies = [
            SavedPolicy(path_utils.serving_model_path(artifact.uri))
            for artifact in input_dict["policies"]
        ]
        policies.sort(key=lambda policy: _rank(policy.metadata.method))
        sessions, seed = exec_properties["sessions"], exec_properties["seed"]
        users = np.random.default_rng(seed).integers(world.num_users, size=sessions)
        figures: dict[str, dict[str, list[float]]] = {}
        for policy in policies:
            method = policy.metadata.method
            logging.getLogger("mtfx.progress").info("%s: %d sessions", method, sessions)
            # Each with its own: actions of two fusions do not mean the same.
            fusion = policy.fusion(world.num_predictions)
            sessions_of = session_figures(
                simulator, fusion, policy, users, seed, exec_properties["gamma"]
            )
            figures[method] = {name: getattr(sessions_of, name).tolist() for name in FIGURES}
        output = artifact_utils.get_single_uri(output_dict["comparison"])
        tf.io.gfile.makedirs(output)
        content = {"sessions": sessions, "policies": rows_to_json(compare_policies(figures))}
        with tf.io.gfile.GFile(os.path.join(output, COMPARISON_FILE), "w") as file:
            file.write(json.dumps(content, indent=1))


def _rank(method: str) -> tuple[int, str]:
    return (_ORDER.index(method) if method in _ORDER else len(_ORDER), method)
