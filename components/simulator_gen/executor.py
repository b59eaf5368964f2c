"""Executor of SimulatorGen."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from mtfx.environments.simulator.fitting.building import build_world, save_fitted_world
from mtfx.environments.simulator.fitting.config import WorldConfig
from mtfx.evaluation.reports.simulator import REPORT_DIRECTORY, write_simulator_report
from mtfx.evaluation.simulator.validation import validate_world

#: Written beside the world: the sessions that are compared.
LOG_FILE, SIMULATION_FILE = "log_sessions.npz", "simulated_sessions.npz"


class Executor(base_executor.BaseExecutor):
    """See the component."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list],
        output_dict: dict[str, list],
        exec_properties: dict[str, Any],
    ) -> None:
        """Builds the world from its inputs."""
        self._log_startup(input_dict, output_dict, exec_properties)
        build_simulator(
            artifact_utils.get_single_uri(input_dict["examples"]),
            artifact_utils.get_single_uri(input_dict["transform_graph"]),
            path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict["model"])),
            artifact_utils.get_single_uri(output_dict["simulator"]),
            WorldConfig.from_json(exec_properties["config"]),
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
