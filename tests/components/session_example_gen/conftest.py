"""Runs the real executor of SessionExampleGen on files of a test's own."""

import dataclasses
import os

import pytest
import tensorflow as tf
from tfx.dsl.components.base import base_beam_executor
from tfx.types import standard_artifacts
from tfx.utils import proto_utils

from mtfx.components.session_example_gen.component import SessionExampleGen
from mtfx.components.session_example_gen.config import SessionExampleGenConfig
from mtfx.components.session_example_gen.executor import Executor
from mtfx.components.session_example_gen.summary import IngestionSummary
from mtfx.pipelines.beam_args import local_beam_args

VIEWS_START = 1_430_600_000_000
HOUR = 3_600_000
#: Without these TFX packs itself for remote workers at every run, which takes two seconds.
IN_PROCESS = local_beam_args()


@dataclasses.dataclass
class Generated:
    """What a run wrote."""

    uri: str
    summary: IngestionSummary
    quarantine: str

    def sessions(self, split):
        """The split's examples in file order, each a dict of lists."""
        files = sorted(tf.io.gfile.glob(os.path.join(self.uri, f"Split-{split}", "*")))
        found = []
        for record in tf.data.TFRecordDataset(files, compression_type="GZIP"):
            features = tf.train.Example.FromString(record.numpy()).features.feature
            found.append(
                {
                    name: list(getattr(value, value.WhichOneof("kind")).value)
                    for name, value in features.items()
                }
            )
        return found


@pytest.fixture
def generate(tmp_path):
    """Returns a function that runs SessionExampleGen."""
    runs = iter(range(100))

    def run(data_dir, dataset="retailrocket", beam_args=IN_PROCESS, **config):
        output = tmp_path / f"run-{next(runs)}"
        component = SessionExampleGen(
            str(data_dir),
            SessionExampleGenConfig(dataset, str(output / "quarantine"), **config),
        )
        properties = {
            key: proto_utils.proto_to_json(value) if hasattr(value, "DESCRIPTOR") else value
            for key, value in component.spec.exec_properties.items()
        }
        artifact = standard_artifacts.Examples()
        artifact.uri = str(output / "examples")
        context = base_beam_executor.BaseBeamExecutor.Context(
            beam_pipeline_args=list(beam_args), tmp_dir=str(output / "tmp"), unique_id="1"
        )
        Executor(context).Do({}, {"examples": [artifact]}, properties)
        summary = IngestionSummary.read(artifact.uri)
        return Generated(artifact.uri, summary, str(output / "quarantine" / "span-0.csv"))

    return run


@pytest.fixture
def shop(tmp_path):
    """A small shop in RetailRocket's layout: 40 sessions of 3 events, an hour apart."""
    directory = tmp_path / "shop [nov], *?"
    directory.mkdir()
    lines = ["timestamp,visitorid,event,itemid,transactionid"]
    for session in range(40):
        start = VIEWS_START + session * HOUR
        user = session % 5
        lines += [f"{start + step * 1000},{user},view,{10 + step}," for step in range(3)]
        if session % 4 == 0:
            lines.append(f"{start + 5000},{user},addtocart,11,")
    (directory / "events.csv").write_text("\n".join(lines) + "\n")
    return directory
