"""The entry point gives executors local paths, and the backend its own addresses again."""

import json
from pathlib import Path

import pytest
from tfx.dsl.components.base import base_beam_executor, base_executor
from tfx.orchestration.kubeflow.v2.compiler_utils import get_artifact_schema
from tfx.types import artifact_utils, standard_artifacts

from mtfx.components.artifacts import Simulator
from mtfx.components.cluster import entry_point

SEEN = []


class Copying(base_executor.BaseExecutor):
    """Reads and writes files as Python does."""

    def Do(self, input_dict, output_dict, exec_properties):
        SEEN.append(exec_properties)
        source = Path(artifact_utils.get_single_uri(input_dict["model"]))
        made = artifact_utils.get_single_instance(output_dict["simulator"])
        Path(made.uri).mkdir(parents=True)
        Path(made.uri, "copy").write_text((source / "weights").read_text())
        made.set_string_custom_property("made_of", str(source))


class Distributed(base_beam_executor.BaseBeamExecutor):
    """Only looks."""

    def Do(self, input_dict, output_dict, exec_properties):
        SEEN.append(artifact_utils.get_single_uri(input_dict["model"]))


def run(executor, tmp_path):
    SEEN.clear()
    output_file = tmp_path / "out" / "output.json"

    def of(uri, kind):
        schema = get_artifact_schema(kind)
        text = schema.decode() if isinstance(schema, bytes) else schema
        return {"artifacts": [{"name": "a", "uri": uri, "type": {"instanceSchema": text}}]}

    executor_input = {
        "inputs": {
            "artifacts": {"model": of("gs://bucket/model", standard_artifacts.Model)},
            "parameterValues": {"days": 3.0, "where": "gs://bucket/data"},
        },
        "outputs": {
            "artifacts": {"simulator": of("gs://bucket/made", Simulator)},
            "outputFile": str(output_file),
        },
    }
    inputs_spec = {"parameters": {"days": {"parameterType": "NUMBER_INTEGER"}}}
    flags = [
        f"--executor_class_path={executor.__module__}.{executor.__name__}",
        f"--json_serialized_invocation_args={json.dumps(executor_input)}",
        f"--json_serialized_inputs_spec_args={json.dumps(inputs_spec)}",
    ]
    entry_point.main(entry_point.parse_flags(flags))
    return json.loads(output_file.read_text())["artifacts"]["simulator"]["artifacts"][0]


@pytest.fixture(autouse=True)
def roots(monkeypatch, tmp_path):
    monkeypatch.setattr(entry_point, "LOCAL_ROOTS", {"gs://": f"{tmp_path}/gcs/"})
    (tmp_path / "gcs" / "bucket" / "model").mkdir(parents=True)
    (tmp_path / "gcs" / "bucket" / "model" / "weights").write_text("w")


def test_an_executor_reads_and_writes_where_the_launcher_puts_things(tmp_path):
    made = run(Copying, tmp_path)
    assert (tmp_path / "gcs" / "bucket" / "made" / "copy").read_text() == "w"
    assert made["uri"] == "gs://bucket/made"
    assert made["metadata"]["made_of"] == "gs://bucket/model"
    # A run's parameters are addresses still, and whole numbers are whole.
    assert SEEN == [{"days": 3, "where": "gs://bucket/data"}]


def test_beam_s_executors_keep_the_addresses_for_workers_elsewhere(tmp_path):
    run(Distributed, tmp_path)
    assert SEEN == ["gs://bucket/model"]


@pytest.mark.parametrize("address", ["gs://b/x", "s3://b/x", "minio://mlpipeline/v2/x"])
def test_the_launcher_s_paths(monkeypatch, address):
    monkeypatch.undo()
    scheme, rest = address.split("://")
    local = f"/{'gcs' if scheme == 'gs' else scheme}/{rest}"
    assert entry_point.to_local(address) == local
    assert entry_point.to_address(local) == address
    assert entry_point.to_local("/data/x") == "/data/x"
