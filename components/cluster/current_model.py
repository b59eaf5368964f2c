"""The model that is pushed now, found where the Pusher put it, and what compares with it.

A resolver that finds nothing leaves a channel empty. A backend of containers always passes on one
artifact, which :func:`CurrentModel` marks where it is empty and :func:`existing` leaves out.
"""

# What TFX's decorator takes for a component's interface are no types to a type checker.
# pyright: reportInvalidTypeArguments=false, reportArgumentType=false

import os
from typing import Any

from tfx.components.evaluator import component as evaluator_component
from tfx.components.evaluator import executor as evaluator_executor
from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.components.base import executor_spec
from tfx.dsl.io import fileio
from tfx.types import Artifact, standard_artifacts
from tfx.utils import io_utils, path_utils

#: Lies in the artifact of a first run, which has no current model.
NO_MODEL_FILE = "NO_MODEL"
_SAVED_MODEL = "saved_model.pb"


@component
def CurrentModel(  # noqa: N802 (TFX names a component by its function)
    push_dir: Parameter[str],
    model: OutputArtifact[standard_artifacts.Model],
):
    """Copies the highest version below a Pusher's directory, where a resolver has no store to ask.

    Only what was blessed is pushed, so this is the latest blessed model. It is copied because
    whoever serves it may remove old versions at any time.

    Args:
      push_dir: The Pusher's base directory.
      model: The model as a Trainer writes it, or ``NO_MODEL`` if nothing was pushed yet.
    """
    version = latest_version(push_dir)
    if version is None:
        io_utils.write_string_file(os.path.join(model.uri, NO_MODEL_FILE), f"none in {push_dir}\n")
        return
    source = os.path.join(str(push_dir), version)
    io_utils.copy_dir(source, path_utils.serving_model_dir(model.uri))


def latest_version(push_dir: str) -> str | None:
    """The name of the highest version; None if there is none. An incomplete push is none."""
    if not fileio.exists(push_dir):
        return None
    # Object stores list directories with a slash at the end.
    names = (str(name).rstrip("/") for name in fileio.listdir(push_dir))
    versions = (
        name
        for name in names
        if name.isdigit() and fileio.exists(os.path.join(push_dir, name, _SAVED_MODEL))
    )
    return max(versions, key=int, default=None)


def existing(models: list[Artifact]) -> list[Artifact]:
    """Those artifacts of :func:`CurrentModel` that hold a model; others are all kept."""
    return [model for model in models if not fileio.exists(os.path.join(model.uri, NO_MODEL_FILE))]


class EvaluatorExecutor(evaluator_executor.Executor):
    """TFX's, for a first run too."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list],
        output_dict: dict[str, list],
        exec_properties: dict[str, Any],
    ) -> None:
        """Evaluates; a first run is held to the absolute thresholds alone."""
        key = "baseline_model"
        inputs = {**input_dict, key: existing(input_dict.get(key) or [])}
        super().Do(inputs, output_dict, exec_properties)


class Evaluator(evaluator_component.Evaluator):
    """TFX's Evaluator whose ``baseline_model`` may hold no model, which TFX's tries to load."""

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(EvaluatorExecutor)
