"""HeadroomEstimator: what could be gained in a simulator by fusing its predictions better."""

# What TFX's decorator takes for a component's interface are no types to a type checker.
# pyright: reportInvalidTypeArguments=false, reportArgumentType=false

import json
import logging
import os

import tensorflow as tf
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts

from mtfx.components.artifacts import Simulator as SimulatorArtifact
from mtfx.environments.simulator.config import SimulatorConfig
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.world import load_world
from mtfx.evaluation.simulator.headroom import headroom
from mtfx.models.fusion.config import FusionConfig

HEADROOM_FILE = "headroom.json"


@component
def HeadroomEstimator(  # noqa: N802 (TFX names a component by its function)
    simulator: InputArtifact[SimulatorArtifact],
    headroom_estimate: OutputArtifact[standard_artifacts.ModelEvaluation],
    fusion: Parameter[str],
    simulator_config: Parameter[str],
    sessions: Parameter[int],
    seed: Parameter[int],
    code_version: Parameter[str] = "",
):
    """Values equal weights, the best formula, the best functions and the truth; see ``headroom``.

    Args:
      simulator: The world.
      headroom_estimate: Holds ``headroom.json``, a list of rows.
      fusion: The formula of equal weights, a ``FusionConfig`` as JSON.
      simulator_config: The rules of the sessions, a ``SimulatorConfig`` as JSON.
      sessions: How many.
      seed: Of everything random.
      code_version: Part of the cache key.

    Raises:
      DataError: if the simulator's artifact cannot be read.
      ValueError: if the world has less than two users.
    """
    rules = SimulatorConfig.from_dict(json.loads(simulator_config))
    rows = headroom(
        Simulator(load_world(simulator.uri), rules),
        sessions,
        formula=FusionConfig.from_json(fusion),
        seed=seed,
        on_progress=lambda part: logging.getLogger("mtfx.progress").info("headroom: %s", part),
    )
    headroom_estimate.set_string_custom_property("code_version", code_version)
    tf.io.gfile.makedirs(headroom_estimate.uri)
    with tf.io.gfile.GFile(os.path.join(headroom_estimate.uri, HEADROOM_FILE), "w") as file:
        file.write(json.dumps([row.to_json() for row in rows], indent=1))
