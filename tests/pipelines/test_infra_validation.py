"""InfraValidator as configured: TFX's own executor and client, in front of the stand-in server.

TF Serving's place is taken by the stand-in, which speaks its protocol; that Docker or Kubernetes
start it is TFX's affair.
"""

import shutil
from pathlib import Path
from typing import ClassVar

import pytest
import tensorflow as tf
from tfx.components.infra_validator import executor as infra_validator
from tfx.components.infra_validator.model_server_runners.base_runner import BaseModelServerRunner
from tfx.components.pusher import executor as pusher
from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.proto import infra_validator_pb2
from tfx.proto.pusher_pb2 import PushDestination
from tfx.types import channel_utils, standard_artifacts
from tfx.utils import proto_utils

from mtfx.errors import UserError
from mtfx.pipelines.fusion_config import FusionPipelineConfig
from mtfx.pipelines.infra_validation import DEFAULT_TAG, InfraValidation
from mtfx.serving.stand_in_server import StandInServer


class StandInRunner(BaseModelServerRunner):
    """Starts the stand-in where TFX would start a container."""

    started = 0
    failures: ClassVar[list[str]] = []

    def __init__(self, model_path, serving_binary, serving_spec):
        self._model_path, self._name = model_path, serving_spec.model_name
        self._image = serving_binary.image

    def __repr__(self):
        return f"stand-in for {self._image}"

    def Start(self):
        type(self).started += 1
        self._server = StandInServer(str(Path(self._model_path).parent), name=self._name)
        self.failures.extend(self._server.versions.failures.values())
        self._server.__enter__()

    def WaitUntilRunning(self, deadline):
        pass

    def GetEndpoint(self):
        return f"localhost:{self._server.grpc_port}"

    def GetLogs(self):
        return None

    def Stop(self):
        if hasattr(self, "_server"):
            self._server.__exit__()


def stage(platform="docker", tag="2.16.1-gpu"):
    model = channel_utils.as_channel([standard_artifacts.Model()])
    return InfraValidation(platform, tag).stage(model)


def specs(component):
    serving, validation = infra_validator_pb2.ServingSpec(), infra_validator_pb2.ValidationSpec()
    proto_utils.json_to_proto(component.exec_properties["serving_spec"], serving)
    proto_utils.json_to_proto(component.exec_properties["validation_spec"], validation)
    return serving, validation


@pytest.mark.parametrize("platform", ["docker", "kubernetes"])
def test_it_asks_for_the_serving_image_and_sends_no_requests_of_its_own(platform):
    component = stage(platform)
    serving, validation = specs(component)
    assert list(serving.tensorflow_serving.tags) == ["2.16.1-gpu"]
    assert serving.WhichOneof("serving_platform") == (
        "local_docker" if platform == "docker" else "kubernetes"
    )
    assert validation.max_loading_time_seconds >= 60
    assert component.exec_properties["request_spec"] is None
    assert "examples" not in component.inputs


def test_the_model_and_the_release_are_those_that_serve(checkout):
    serving, _ = specs(stage())
    config = (checkout / "serving" / "config" / "models.config").read_text()
    assert f'name: "{serving.model_name}"' in config
    assert f"ARG TAG={DEFAULT_TAG}\n" in (checkout / "serving" / "Dockerfile").read_text()


def test_there_is_none_by_default():
    assert FusionPipelineConfig(run_dir="run").infra_validation.stage(None) is None


@pytest.fixture
def model(tmp_path):
    module = tf.Module()
    module.v = tf.Variable(1.0)
    module.f = tf.function(
        lambda x: {"y": module.v * x}, input_signature=[tf.TensorSpec([], tf.float32)]
    )
    tf.saved_model.save(module, str(tmp_path / "model" / "Format-Serving"), signatures=module.f)
    return artifact(standard_artifacts.Model, tmp_path / "model")


def artifact(kind, path):
    made = kind()
    made.uri = str(path)
    return made


def validate(monkeypatch, tmp_path, model):
    monkeypatch.setattr(infra_validator.local_docker_runner, "LocalDockerRunner", StandInRunner)
    monkeypatch.setattr(StandInRunner, "started", 0)
    StandInRunner.failures.clear()
    component = stage()
    properties = dict(component.exec_properties)
    _, validation = specs(component)
    # A broken model is waited for until the end.
    validation.max_loading_time_seconds = 2
    properties["validation_spec"] = proto_utils.proto_to_json(validation)
    blessing = artifact(standard_artifacts.InfraBlessing, tmp_path / "blessing")
    context = BaseExecutor.Context(tmp_dir=str(tmp_path / "tmp"), unique_id="1")
    executor = component.executor_spec.executor_class(context)
    executor.Do({"model": [model]}, {"blessing": [blessing]}, properties)
    return blessing


def push(tmp_path, model, blessing):
    pushed = artifact(standard_artifacts.PushedModel, tmp_path / "pushed")
    base = tmp_path / "serving"
    destination = PushDestination(filesystem=PushDestination.Filesystem(base_directory=str(base)))
    pusher.Executor().Do(
        {"model": [model], "infra_blessing": [blessing]},
        {"pushed_model": [pushed]},
        {"push_destination": proto_utils.proto_to_json(destination)},
    )
    return list(base.glob("*/saved_model.pb"))


def test_a_model_that_is_served_is_blessed_and_pushed(monkeypatch, tmp_path, model):
    blessing = validate(monkeypatch, tmp_path, model)
    assert StandInRunner.started == 1
    assert not StandInRunner.failures
    assert blessing.get_int_custom_property("blessed") == 1
    assert len(push(tmp_path, model, blessing)) == 1


@pytest.mark.parametrize("damage", ["saved_model.pb", "variables"])
def test_a_broken_model_is_tried_again_and_not_pushed(monkeypatch, tmp_path, model, damage):
    damaged = Path(model.uri, "Format-Serving", damage)
    if damaged.is_dir():
        shutil.rmtree(damaged)
    else:
        damaged.write_bytes(damaged.read_bytes()[:50])
    blessing = validate(monkeypatch, tmp_path, model)
    # It was the server that could not load it, twice.
    assert StandInRunner.started == len(StandInRunner.failures) == 2
    assert blessing.get_int_custom_property("blessed") == 0
    assert push(tmp_path, model, blessing) == []


@pytest.mark.parametrize(
    ("platform", "tag", "message"),
    [
        ("podman", "1", "--infra-validator 'podman' is not one of none, docker, kubernetes"),
        ("docker", "a b", "--serving-tag 'a b' is no tag of an image"),
    ],
)
def test_wrong_values_are_named(platform, tag, message):
    with pytest.raises(UserError, match=message):
        InfraValidation(platform, tag)


def test_where_tf_serving_cannot_be_started_it_says_so_at_once(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(UserError, match="no Docker answers") as raised:
        InfraValidation("docker").check()
    assert "--infra-validator none" in raised.value.hint
    monkeypatch.delenv("KFP_POD_NAME", raising=False)
    with pytest.raises(UserError, match="KFP_POD_NAME"):
        InfraValidation("kubernetes").check()
    InfraValidation().check()
