"""The first stages of the fusion pipeline alone: the simulator of a blessed ranking model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfx.orchestration.pipeline import Pipeline

from mtfx.environments.simulator.fitting.config import PredictionKind
from mtfx.environments.simulator.saved_simulator import DIRECTORY as SAVED_MODEL
from mtfx.evaluation.reports.kit.pages import PAGE_FILE
from mtfx.evaluation.reports.simulator import JSON_FILE, REPORT_DIRECTORY
from mtfx.files import read_json
from mtfx.pipelines import local_runner
from mtfx.pipelines.fusion_config import FusionPipelineConfig
from mtfx.pipelines.fusion_stages import pipeline_of, simulator_stages


@dataclasses.dataclass(frozen=True)
class SimulatorRun:
    """A finished run.

    Attributes:
      directory: The simulator's artifact.
      report: What its ``report.json`` holds.
    """

    directory: Path
    report: Mapping[str, Any]

    @property
    def page(self) -> Path:
        """The report to read."""
        return self.directory / REPORT_DIRECTORY / PAGE_FILE

    @property
    def saved_model(self) -> Path:
        """Directory of the SavedModel."""
        return self.directory / SAVED_MODEL


def create_simulator_pipeline(
    config: FusionPipelineConfig, predictions: PredictionKind = "model"
) -> Pipeline:
    """A pipeline that ends with the simulator; the fusion pipeline takes it from the cache."""
    return pipeline_of(config, list(simulator_stages(config, predictions)))


def run_simulator(
    config: FusionPipelineConfig,
    observer: local_runner.StageObserver,
    predictions: PredictionKind = "model",
) -> SimulatorRun:
    """Fits the simulator on this machine.

    Args:
      config: What to run; settings of later stages are not used.
      observer: Notified of each stage.
      predictions: See :class:`~mtfx.environments.simulator.fitting.config.WorldConfig`.

    Raises:
      StageError: if a stage fails.
    """
    result = local_runner.run(create_simulator_pipeline(config, predictions), observer)
    directory = Path(result.output("SimulatorGen", "simulator").uri)
    return SimulatorRun(directory, read_json(directory / REPORT_DIRECTORY / JSON_FILE))
