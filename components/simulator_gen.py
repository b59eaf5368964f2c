"""SimulatorGen: a world of simulated users, from a log and a ranking model."""

# What TFX's decorator takes for a component's interface are no types to a type checker.
# pyright: reportInvalidTypeArguments=false, reportArgumentType=false

import logging
import os
import time
from pathlib import Path
from typing import Any

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from mtfx.components.artifacts import Simulator
from mtfx.environments.simulator.fitting.building import build_world, save_fitted_world
from mtfx.environments.simulator.fitting.config import WorldConfig
from mtfx.evaluation.reports.simulator import REPORT_DIRECTORY, write_simulator_report
from mtfx.evaluation.simulator.validation import validate_world

#: Written beside the world: the sessions that are compared.
LOG_FILE, SIMULATION_FILE = "log_sessions.npz", "simulated_sessions.npz"


@component
def SimulatorGen(  # noqa: N802 (TFX names a component by its function)
    examples: InputArtifact[standard_artifacts.Examples],
    transform_graph: InputArtifact[standard_artifacts.TransformGraph],
    model: InputArtifact[standard_artifacts.Model],
    simulator: OutputArtifact[Simulator],
    config: Parameter[str],
):
    """Fits a response model and a retrieval model, and tabulates what they say of some users.

    Args:
      examples: Sessions, all splits.
      transform_graph: That the ranking model was trained with.
      model: The ranking model, whose predictions are tabulated.
      simulator: See :func:`build_simulator`.
      config: A ``mtfx.environments.simulator.fitting.config.WorldConfig`` as JSON.
    """
    build_simulator(
        examples.uri,
        transform_graph.uri,
        path_utils.serving_model_path(model.uri),
        simulator.uri,
        WorldConfig.from_json(config),
    )


def build_simulator(
    examples: str, transform_graph: str, model: str, output: str, config: WorldConfig
) -> dict[str, Any]:
    """Builds a world, compares it with the log, and writes both.

    Args:
      examples: URI of SessionExampleGen's artifact.
      transform_graph: URI of the Transform output that the ranking model was trained with.
      model: Directory of the ranking SavedModel.
      output: Directory to write ``world.json``, ``world.npz``, ``fit.json``, the compared
        sessions, the comparison (``report/index.html`` and ``report/report.json``), and the
        simulator as a SavedModel (``saved_model``) to.
      config: What to build.

    Returns:
      What ``fit.json`` holds.

    Raises:
      ValueError: if the log or the model does not suit.
      DataError: if files are damaged.
    """
    begin = time.monotonic()
    fitted = build_world(examples, transform_graph, model, config)
    report = validate_world(fitted.data, config, fitted.pools, fitted.respond, fitted.summary)
    sessions = len(report.simulation.lengths)
    logging.getLogger("mtfx.progress").info(
        "%s sessions simulated", f"{sessions:,}", extra={"rows": sessions}
    )
    fitted.summary["seconds"] = time.monotonic() - begin
    save_fitted_world(fitted, config, output)
    report.log.save(os.path.join(output, LOG_FILE))
    report.simulation.save(os.path.join(output, SIMULATION_FILE))
    write_simulator_report(Path(output, REPORT_DIRECTORY), report)
    return fitted.summary
