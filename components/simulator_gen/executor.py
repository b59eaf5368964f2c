"""Executor of SimulatorGen."""

from __future__ import annotations

import importlib
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils


class Executor(base_executor.BaseExecutor):
    """See the component."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list],
        output_dict: dict[str, list],
        exec_properties: dict[str, Any],
    ) -> None:
        """Calls the function that builds the world, with the places of its inputs and output."""
        self._log_startup(input_dict, output_dict, exec_properties)
        module, _, name = exec_properties["run_fn"].rpartition(".")
        run_fn = getattr(importlib.import_module(module), name)
        run_fn(
            artifact_utils.get_single_uri(input_dict["examples"]),
            artifact_utils.get_single_uri(input_dict["transform_graph"]),
            path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict["model"])),
            artifact_utils.get_single_uri(output_dict["simulator"]),
            exec_properties["config"],
        )
