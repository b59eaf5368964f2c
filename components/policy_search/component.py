"""PolicySearch as a TFX component."""

# What TFX's decorator takes for a component's interface are no types to a type checker.
# pyright: reportInvalidTypeArguments=false, reportArgumentType=false

import json
import logging

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from mtfx.agents.search.base import SearchStep
from mtfx.components.artifacts import Simulator as SimulatorArtifact
from mtfx.components.policy_search.search import PolicySearchConfig, search_policy
from mtfx.environments.simulator.config import SimulatorConfig
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.world import load_world
from mtfx.models.export.policy import PolicyMetadata, PolicyModule, export_policy
from mtfx.models.fusion.config import FusionConfig, build_fusion


@component
def PolicySearch(  # noqa: N802 (TFX names a component by its function)
    simulator: InputArtifact[SimulatorArtifact],
    model: OutputArtifact[standard_artifacts.Model],
    search: Parameter[str],
    fusion: Parameter[str],
    simulator_config: Parameter[str],
    code_version: Parameter[str] = "",
):
    """Searches for weights, or a network that gives them, by simulated sessions.

    Args:
      simulator: Where policies are tried.
      model: Like the fusion Trainer's: a SavedModel with the signature ``actions``.
      search: What is searched, and how: a
        :class:`~mtfx.components.policy_search.search.PolicySearchConfig` as JSON.
      fusion: The function whose weights the actions are, a ``FusionConfig`` as JSON.
      simulator_config: The rules of the sessions, a ``SimulatorConfig`` as JSON.
      code_version: Recorded with the policy, and part of the cache key.

    Raises:
      DataError: if the simulator's artifact cannot be read.
      ValueError: if a setting is out of its range.
    """
    world = load_world(simulator.uri)
    config = PolicySearchConfig.from_json(search)
    fusion_config = FusionConfig.from_dict(json.loads(fusion))
    rules = SimulatorConfig.from_dict(json.loads(simulator_config))
    simulated = Simulator(world, rules)
    function = build_fusion(fusion_config, world.num_predictions)
    log = logging.getLogger("mtfx.progress")

    def progress(step: SearchStep) -> None:
        log.info(
            "%s: %d policies tried, best mean return %.4g",
            config.method,
            step.evaluations,
            step.best_value,
        )

    policy, result, held_out = search_policy(simulated, function, config, progress)
    found: dict[str, float | None] = {
        "held_out_value": held_out.value,
        # JSON has no NaN; a single session has no deviation.
        "held_out_standard_error": held_out.standard_error if config.sessions > 1 else None,
    }
    if result is not None:
        found["value"] = result.value
        log.info(
            "%s: the policy found returned %.4g where it was chosen, and %.4g ± %.2g in %d "
            "sessions of users that the search has not seen",
            config.method,
            result.value,
            held_out.value,
            1.96 * held_out.standard_error,
            config.sessions,
        )
    export_policy(
        PolicyModule(policy, policy.variables, simulated.state_dim),
        path_utils.serving_model_dir(model.uri),
        PolicyMetadata(
            method=config.method,
            state_dim=simulated.state_dim,
            action_dim=function.action_dim,
            prediction_names=world.prediction_names,
            fusion=fusion_config.to_dict(),
            config={"search": config.to_dict(), "simulator": rules.to_dict(), **found},
            code_version=code_version,
        ),
    )
