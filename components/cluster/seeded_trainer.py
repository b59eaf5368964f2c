"""The Trainer with its seed as a parameter of the run."""

from __future__ import annotations

from typing import Any

from tfx.components.trainer import executor as trainer_executor
from tfx.dsl.components.base import base_component, executor_spec
from tfx.orchestration.data_types import RuntimeParameter
from tfx.proto import trainer_pb2
from tfx.types import channel, standard_artifacts, standard_component_specs
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.utils import json_utils

SEED = "seed"


class SeededTrainerSpec(ComponentSpec):
    """Inputs, outputs and parameters of SeededTrainer."""

    PARAMETERS = {  # noqa: RUF012 (TFX's convention)
        "run_fn": ExecutionParameter(type=str),
        "train_args": ExecutionParameter(type=trainer_pb2.TrainArgs),
        "eval_args": ExecutionParameter(type=trainer_pb2.EvalArgs),
        "custom_config": ExecutionParameter(type=str),
        SEED: ExecutionParameter(type=int),
    }
    INPUTS = {  # noqa: RUF012
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": ChannelParameter(type=standard_artifacts.TransformGraph, optional=True),
    }
    OUTPUTS = {  # noqa: RUF012
        "model": ChannelParameter(type=standard_artifacts.Model),
        "model_run": ChannelParameter(type=standard_artifacts.ModelRun),
    }


class Executor(trainer_executor.GenericExecutor):
    """TFX's, with the seed put in its place."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list],
        output_dict: dict[str, list],
        exec_properties: dict[str, Any],
    ) -> None:
        """Trains; see ``tfx.components.Trainer``."""
        properties = dict(exec_properties)
        seed = properties.pop(SEED)
        key = standard_component_specs.CUSTOM_CONFIG_KEY
        properties[key] = json_utils.dumps(with_seed(json_utils.loads(properties[key]), seed))
        super().Do(input_dict, output_dict, properties)


def with_seed(value: Any, seed: int) -> Any:
    """A configuration of JSON types with every ``seed`` in it, at any depth, replaced."""
    if isinstance(value, dict):
        return {
            name: seed if name == SEED else with_seed(item, seed) for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [with_seed(item, seed) for item in value]
    return value


class SeededTrainer(base_component.BaseComponent):
    """A Trainer whose configuration is fixed but for the seed.

    TFX's Trainer has its configuration in one parameter, JSON in a string, and its spec is closed:
    a run that shall only have another seed would have to give all of it.
    """

    SPEC_CLASS = SeededTrainerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        run_fn: str,
        examples: channel.BaseChannel,
        custom_config: dict[str, Any],
        seed: int | RuntimeParameter,
        transform_graph: channel.BaseChannel | None = None,
    ):
        """Makes the component.

        Args:
          run_fn: Importable name of the function that trains.
          examples: With the splits ``train`` and ``eval``.
          custom_config: For ``run_fn``.
          seed: Takes the place of every ``seed`` in ``custom_config``.
          transform_graph: The examples' transform, if they have one.
        """
        super().__init__(
            SeededTrainerSpec(
                run_fn=run_fn,
                examples=examples,
                transform_graph=transform_graph,
                train_args=trainer_pb2.TrainArgs(splits=["train"]),
                eval_args=trainer_pb2.EvalArgs(splits=["eval"]),
                custom_config=json_utils.dumps(custom_config),
                seed=seed,
                model=channel.Channel(type=standard_artifacts.Model),
                model_run=channel.Channel(type=standard_artifacts.ModelRun),
            )
        )
