"""Executor of PolicySearch."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import json_utils, path_utils

from mtfx.agents.search.base import SearchStep
from mtfx.components.policy_search.search import PolicySearchConfig, search_policy
from mtfx.environments.simulator.config import SimulatorConfig
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.world import load_world
from mtfx.models.export.policy import PolicyMetadata, PolicyModule, export_policy
from mtfx.models.fusion.config import FusionConfig, build_fusion


class Executor(base_executor.BaseExecutor):
    """See the component."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list],
        output_dict: dict[str, list],
        exec_properties: dict[str, Any],
    ) -> None:
        """Searches, and writes the policy as a SavedModel.

        Raises:
          DataError: if the simulator's artifact cannot be read.
          ValueError: if a setting is out of its range.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        world = load_world(artifact_utils.get_single_uri(input_dict["simulator"]))
        values = json_utils.loads(exec_properties["search"])
        settings = tuple((name, value) for name, value in values.pop("settings"))
        config = PolicySearchConfig(settings=settings, **values)
        fusion_config = FusionConfig.from_dict(json_utils.loads(exec_properties["fusion"]))
        rules = SimulatorConfig.from_dict(json_utils.loads(exec_properties["simulator_config"]))
        simulator = Simulator(world, rules)
        fusion = build_fusion(fusion_config, world.num_predictions)
        log = logging.getLogger("mtfx.progress")

        def progress(step: SearchStep) -> None:
            log.info(
                "%s: %d policies tried, best mean return %.4g",
                config.method,
                step.evaluations,
                step.best_value,
            )

        policy, result, held_out = search_policy(simulator, fusion, config, progress)
        found: dict[str, float | None] = {
            "held_out_value": held_out.value,
            # JSON has no NaN; a single session has no deviation.
            "held_out_standard_error": (held_out.standard_error if config.sessions > 1 else None),
        }
        if result is not None:
            found["value"] = result.value
            log.info(
                "%s: the policy found returned %.4g where it was chosen, and %.4g ± %.2g in %d "
                "sessions that the search has not seen",
                config.method,
                result.value,
                held_out.value,
                1.96 * held_out.standard_error,
                config.sessions,
            )
        export_policy(
            PolicyModule(policy, policy.variables, simulator.state_dim),
            path_utils.serving_model_dir(artifact_utils.get_single_uri(output_dict["model"])),
            PolicyMetadata(
                method=config.method,
                state_dim=simulator.state_dim,
                action_dim=fusion.action_dim,
                prediction_names=world.prediction_names,
                fusion=fusion_config.to_dict(),
                config={
                    "search": dataclasses.asdict(config),
                    "simulator": rules.to_dict(),
                    **found,
                },
                code_version=exec_properties["code_version"],
            ),
        )
