"""Runs the real executors of InteractionGen on worlds and logs of a test's own."""

import dataclasses
import functools
import os

import pytest
import tensorflow as tf
from tfx.dsl.components.base import base_beam_executor
from tfx.types import channel_utils, standard_artifacts
from tfx.utils import proto_utils

from mtfx.components.artifacts import Simulator
from mtfx.components.interaction_gen.component import ServedInteractionGen, SimulatedInteractionGen
from mtfx.components.interaction_gen.config import SimulatedInteractionConfig
from mtfx.components.interaction_gen.executor import ServedExecutor, SimulatedExecutor
from mtfx.components.interaction_gen.summary import InteractionSummary
from mtfx.datasets.transitions.codec import TransitionBatch, concatenate
from mtfx.datasets.transitions.reader import read_blocks
from mtfx.datasets.transitions.spec import TransitionManifest
from mtfx.environments.simulator.config import SimulatorConfig
from mtfx.environments.simulator.world import save_world
from mtfx.pipelines.beam_args import local_beam_args
from tests.simulator_worlds import random_world

#: Without these TFX packs itself for remote workers at every run, which takes two seconds.
IN_PROCESS = local_beam_args()


@dataclasses.dataclass
class Generated:
    """What a run wrote."""

    uri: str
    artifact: standard_artifacts.Examples

    @property
    def manifest(self) -> TransitionManifest:
        return TransitionManifest.read(self.uri)

    @property
    def summary(self) -> InteractionSummary:
        return InteractionSummary.read(self.uri)

    def files(self, split: str) -> list[str]:
        return sorted(tf.io.gfile.glob(os.path.join(self.uri, f"Split-{split}", "*")))

    def batch(self, split: str) -> TransitionBatch:
        """The split's transitions in file order; none may be bad."""
        blocks = [
            block for path in self.files(split) for block in read_blocks(path, self.manifest.spec)
        ]
        assert not [fault for block in blocks for fault in block.faults]
        return concatenate([block.batch for block in blocks])


def _execute(executor, component, inputs, output, beam_args):
    properties = {
        key: proto_utils.proto_to_json(value) if hasattr(value, "DESCRIPTOR") else value
        for key, value in component.spec.exec_properties.items()
    }
    artifact = standard_artifacts.Examples()
    artifact.uri = str(output / "examples")
    context = base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=list(beam_args), tmp_dir=str(output / "tmp"), unique_id="1"
    )
    executor(context).Do(inputs, {"examples": [artifact]}, properties)
    return Generated(artifact.uri, artifact)


def small_config(**changes):
    """60 sessions in chunks of 25, with a candidate set that shrinks below C = 10."""
    values = {
        "sessions": 60,
        "sessions_per_chunk": 25,
        "simulator": SimulatorConfig(candidates=10, max_views=12),
        "code_version": "1.2.3",
        "seed": 5,
    }
    return SimulatedInteractionConfig(**{**values, **changes})


@pytest.fixture(scope="session")
def world_dir(tmp_path_factory):
    """A world whose pools of 15 items run low within a session."""
    directory = tmp_path_factory.mktemp("world")
    save_world(random_world(users=12, pool=15), directory)
    return directory


@pytest.fixture(scope="session")
def explore(tmp_path_factory, world_dir):
    """Returns a function that runs SimulatedInteractionGen, once with what is the same."""
    runs = iter(range(100))
    root = tmp_path_factory.mktemp("simulated")

    @functools.cache
    def run(config=None, policy_uri=None, beam_args=IN_PROCESS, world=world_dir):
        simulator = Simulator()
        simulator.uri = str(world)
        inputs = {"simulator": [simulator]}
        if policy_uri is not None:
            policy = standard_artifacts.Model()
            policy.uri = str(policy_uri)
            inputs["policy"] = [policy]
        channels = {key: channel_utils.as_channel(value) for key, value in inputs.items()}
        component = SimulatedInteractionGen(config=config or small_config(), **channels)
        output = root / f"run-{next(runs)}"
        return _execute(SimulatedExecutor, component, inputs, output, beam_args)

    return run


@pytest.fixture
def serve(tmp_path):
    """Returns a function that runs ServedInteractionGen; quarantine goes to its directory."""
    runs = iter(range(100))

    def run(data_dir, config, pattern="*", beam_args=IN_PROCESS):
        output = tmp_path / f"served-{next(runs)}"
        component = ServedInteractionGen(str(data_dir), config, pattern)
        return _execute(ServedExecutor, component, {}, output, beam_args)

    return run
