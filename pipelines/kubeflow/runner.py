"""Compilation of a pipeline for Kubeflow Pipelines 2, and the check of its outcome."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from google.protobuf import json_format
from kfp import components as kfp_components
from kfp.pipeline_spec import pipeline_spec_pb2
from tfx.components import Pusher
from tfx.components.trainer.executor import GenericExecutor
from tfx.dsl.components.base import base_component
from tfx.orchestration.data_types import RuntimeParameter
from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner as tfx_runner
from tfx.orchestration.pipeline import Pipeline

from mtfx.components.cluster.current_model import CurrentModel
from mtfx.components.cluster.example_gen import SpanExampleGen
from mtfx.errors import UserError
from mtfx.files import write_atomically
from mtfx.pipelines.kubeflow.config import KubeflowConfig

#: What a container runs, before the arguments of its stage.
COMMAND = ("python", "-m", "mtfx.components.cluster.entry_point")
_ResourceSpec = pipeline_spec_pb2.PipelineDeploymentConfig.PipelineContainerSpec.ResourceSpec
#: Stages whose inputs are files that the backend knows nothing of: never taken from its cache.
_UNCACHED: Any = (SpanExampleGen, CurrentModel, Pusher)


@dataclasses.dataclass(frozen=True)
class CompiledPipeline:
    """A pipeline spec on disk.

    Attributes:
      path: The YAML file.
      name: The pipeline's name.
      stages: Ids of its stages.
      parameters: Defaults of its runtime parameters by name; None where a run has to give a value.
    """

    path: Path
    name: str
    stages: tuple[str, ...]
    parameters: Mapping[str, str | int | None]


def compile_pipeline(
    pipeline: Pipeline, cluster: KubeflowConfig, output_dir: str
) -> CompiledPipeline:
    """Writes ``OUTPUT/NAME.yaml``, complete or not at all.

    Args:
      pipeline: Of stages that a cluster's backend can run, see ``mtfx.components.cluster``.
      cluster: Images and resources.
      output_dir: Made if missing.

    Raises:
      UserError: if the backend would refuse the spec, or the directory cannot be written.
    """
    runner = tfx_runner.KubeflowV2DagRunner(
        tfx_runner.KubeflowV2DagRunnerConfig(
            default_image=_images(pipeline, cluster),
            default_commands=list(COMMAND),
            use_pipeline_spec_2_1=True,
        )
    )
    _give_resources(pipeline, cluster)
    try:
        job: dict[str, Any] = runner.run(pipeline, write_out=False)
    except (NotImplementedError, TypeError) as error:
        raise UserError(
            f"Kubeflow's runner cannot take a stage of {pipeline.pipeline_info.pipeline_name}: "
            f"{error}",
        ) from error
    spec = job["pipelineSpec"]
    _complete(spec, pipeline)
    check_spec(spec)
    path = Path(output_dir, f"{pipeline.pipeline_info.pipeline_name}.yaml")
    _write(spec, path)
    inputs = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    return CompiledPipeline(
        path=path,
        name=spec["pipelineInfo"]["name"],
        stages=tuple(component.id for component in pipeline.components),
        parameters={name: inputs[name].get("defaultValue") for name in sorted(inputs)},
    )


def check_spec(spec: dict[str, Any]) -> None:
    """Checks a pipeline spec as a backend reads it.

    Args:
      spec: As JSON types.

    Raises:
      UserError: if it is no pipeline spec, refers to what it does not have, or has a stage that is
        neither a container nor an importer, which Kubeflow's backend refuses.
    """
    name = spec.get("pipelineInfo", {}).get("name", "")
    try:
        parsed: Any = pipeline_spec_pb2.PipelineSpec()
        deployment: Any = pipeline_spec_pb2.PipelineDeploymentConfig()
        json_format.ParseDict(spec, parsed)
        json_format.ParseDict(spec["deploymentSpec"], deployment)
        kfp_components.load_component_from_text(yaml.safe_dump(spec))
    except (json_format.ParseError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"pipeline {name}: the KFP SDK cannot read the spec: {error}") from error
    tasks = parsed.root.dag.tasks
    for task_name, task in tasks.items():
        component = parsed.components.get(task.component_ref.name)
        label = component.executor_label if component else ""
        executor = deployment.executors.get(label)
        kind = executor.WhichOneof("spec") if executor else None
        if kind not in ("container", "importer"):
            raise UserError(
                f"pipeline {name}: stage {task_name} is of kind {kind}, which no "
                "Kubeflow backend runs"
            )
        for key, source in task.inputs.artifacts.items():
            produced = source.task_output_artifact
            producer = tasks.get(produced.producer_task)
            outputs = (
                parsed.components[producer.component_ref.name].output_definitions.artifacts
                if producer
                else ()
            )
            if produced.output_artifact_key not in outputs:
                raise UserError(
                    f"pipeline {name}: input {key} of stage {task_name} is the output "
                    f"{produced.output_artifact_key} of {produced.producer_task}, which has none"
                )
        for key, value in task.inputs.parameters.items():
            wanted = value.component_input_parameter
            if wanted and wanted not in parsed.root.input_definitions.parameters:
                raise UserError(
                    f"pipeline {name}: parameter {key} of stage {task_name} is the run's {wanted}, "
                    "which it does not have"
                )


def _trains(component: Any) -> bool:
    executor = getattr(component.executor_spec, "executor_class", object)
    return issubclass(executor, GenericExecutor)


def _images(pipeline: Pipeline, cluster: KubeflowConfig) -> dict[str, str]:
    images = {tfx_runner._DEFAULT_IMAGE_PATH_KEY: cluster.image}
    for component in pipeline.components:
        if cluster.gpu_image and _trains(component):
            images[component.id] = cluster.gpu_image
    return images


def _give_resources(pipeline: Pipeline, cluster: KubeflowConfig) -> None:
    for component in pipeline.components:
        if not isinstance(component, base_component.BaseComponent):
            continue
        resources = _ResourceSpec(cpu_limit=cluster.cpus, memory_limit=cluster.memory_gb)
        if cluster.gpus and _trains(component):
            resources.accelerator.type = cluster.gpu_type
            resources.accelerator.count = cluster.gpus
        component.with_platform_config(resources)


def _complete(spec: dict[str, Any], pipeline: Pipeline) -> None:
    """Adds what TFX leaves out: defaults of parameters, and which stages not to cache."""
    inputs = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    for component in pipeline.components:
        for value in component.exec_properties.values():
            if isinstance(value, RuntimeParameter) and value.default is not None:
                inputs[value.name] |= {"defaultValue": value.default, "isOptional": True}
        if isinstance(component, _UNCACHED):
            spec["root"]["dag"]["tasks"][component.id].pop("cachingOptions", None)


def _write(spec: dict[str, Any], path: Path) -> None:
    try:
        write_atomically(path, yaml.safe_dump(spec, sort_keys=True, allow_unicode=True))
    except OSError as error:
        raise UserError(
            f"--output-dir {path.parent} cannot be written: {error.strerror}"
        ) from error
