"""A stand-in for TF Serving, for checks on a machine that has no TF Serving.

It speaks TF Serving's own protocols (PredictionService and ModelService over gRPC, and their REST)
in front of the same SavedModels, one request at a time and without batching. It is no server for
production: there is no isolation, no metrics, and Python in the path of every request.

    python -m mtfx.serving.stand_in_server --model-base-path run/serving/ranker
"""

from __future__ import annotations

import gc
import math
import threading
import time
from concurrent import futures
from http.server import ThreadingHTTPServer
from typing import Any

import click
import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from mtfx.serving.loaded_versions import LoadedVersions
from mtfx.serving.stand_in_models import RefusedError, StandInModels, invalid
from mtfx.serving.stand_in_rest import MAX_MESSAGE, rest_handler

NAME = "stand-in for TF Serving (local checks only)"
_SIGNATURE_DEF = "signature_def"


class _PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, models: StandInModels) -> None:
        self._models = models

    def Predict(self, request: Any, context: Any) -> Any:  # noqa: N802
        spec = request.model_spec
        if not context.is_active():
            # Whoever asked has stopped waiting while the request did.
            return predict_pb2.PredictResponse()
        try:
            version, outputs = self._models.predict(
                *_named(spec),
                spec.signature_name or "serving_default",
                {key: _array(key, value) for key, value in request.inputs.items()},
                request.output_filter,
            )
        except RefusedError as refused:
            context.abort(refused.code, str(refused))
            raise
        answer: Any = predict_pb2.PredictResponse()
        answer.model_spec.name = spec.name
        answer.model_spec.version.value = version
        for key, value in outputs.items():
            answer.outputs[key].CopyFrom(tf.make_tensor_proto(value))
        return answer

    def GetModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        try:
            if set(request.metadata_field) != {_SIGNATURE_DEF}:
                raise invalid(f"metadata_field is {list(request.metadata_field)}: {_SIGNATURE_DEF}")
            version, signatures = self._models.signature_defs(*_named(request.model_spec))
        except RefusedError as refused:
            context.abort(refused.code, str(refused))
            raise
        described: Any = get_model_metadata_pb2.SignatureDefMap()
        for key, value in signatures.items():
            described.signature_def[key].CopyFrom(value)
        answer: Any = get_model_metadata_pb2.GetModelMetadataResponse()
        answer.model_spec.name = request.model_spec.name
        answer.model_spec.version.value = version
        answer.metadata[_SIGNATURE_DEF].Pack(described)
        return answer


class _ModelService(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, models: StandInModels) -> None:
        self._models = models

    def GetModelStatus(self, request: Any, context: Any) -> Any:  # noqa: N802
        try:
            found = self._models.status(*_named(request.model_spec))
        except RefusedError as refused:
            context.abort(refused.code, str(refused))
            raise
        answer: Any = get_model_status_pb2.GetModelStatusResponse()
        for version, failure in found:
            status = answer.model_version_status.add()
            status.version = version
            status.state = get_model_status_pb2.ModelVersionStatus.AVAILABLE
            if failure is not None:
                status.state = get_model_status_pb2.ModelVersionStatus.END
                status.status.error_code = grpc.StatusCode.INVALID_ARGUMENT.value[0]
                status.status.error_message = failure
        return answer


def _named(spec: Any) -> tuple[str, int | None, str | None]:
    version = spec.version.value if spec.HasField("version") else None
    return spec.name, version, spec.version_label or None


def _array(name: str, proto: Any) -> np.ndarray:
    size = math.prod(axis.size for axis in proto.tensor_shape.dim)
    # One value may stand for all: a few bytes for any memory.
    if proto.tensor_shape.unknown_rank or not 0 <= size <= MAX_MESSAGE:
        raise invalid(f"input {name} has no size, or one of more than {MAX_MESSAGE} values")
    try:
        return tf.make_ndarray(proto)
    except (TypeError, ValueError, KeyError) as error:
        raise invalid(f"input {name} is no tensor: {error}") from error


class StandInServer:
    """Serves one model on this machine; a context manager.

    Attributes:
      grpc_port: Where PredictionService listens.
      rest_port: Where REST does.
      versions: What is loaded.
    """

    def __init__(
        self,
        base_path: str,
        *,
        name: str = "ranker",
        labels: dict[str, int] | None = None,
        grpc_port: int = 0,
        rest_port: int = 0,
        threads: int = 4,
        poll_s: float = 1.0,
    ) -> None:
        """Loads the model and begins to listen on this machine's own address.

        Args:
          base_path: Directory of versions.
          name: The model's.
          labels: Versions by label.
          grpc_port: 0 takes a free one.
          rest_port: Likewise.
          threads: Requests answered side by side.
          poll_s: Seconds between two looks at the directory.

        Raises:
          FileNotFoundError: if there is no such directory.
        """
        self.versions = LoadedVersions(base_path, labels)
        models = StandInModels(name, self.versions)
        self._grpc = grpc.server(
            futures.ThreadPoolExecutor(threads),
            options=[
                ("grpc.max_receive_message_length", MAX_MESSAGE),
                ("grpc.max_send_message_length", MAX_MESSAGE),
            ],
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            _PredictionService(models), self._grpc
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(_ModelService(models), self._grpc)
        self.grpc_port = self._grpc.add_insecure_port(f"localhost:{grpc_port}")
        self._poll_s, self._stopped = poll_s, threading.Event()
        handler = rest_handler(models, self._stopped)
        self._rest = ThreadingHTTPServer(("localhost", rest_port), handler)
        self.rest_port = self._rest.server_address[1]

    def __enter__(self) -> StandInServer:
        self._grpc.start()
        threading.Thread(target=self._rest.serve_forever, daemon=True).start()
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._grpc.stop(grace=None).wait()
        self._rest.shutdown()
        self._rest.server_close()

    def _watch(self) -> None:
        while not self._stopped.wait(self._poll_s):
            self.versions.refresh()


@click.command("stand_in_server")
@click.option("--model-base-path", required=True, help="Directory of versions.")
@click.option("--model-name", default="ranker", show_default=True)
@click.option("--port", default=8500, show_default=True, help="Of gRPC.")
@click.option("--rest-api-port", default=8501, show_default=True)
def main(model_base_path: str, model_name: str, port: int, rest_api_port: int) -> None:
    """Serve a ranker on this machine where TF Serving is not installed; for checks only."""
    # Requests side by side already fill the cores; an operation split over them waits for its parts
    # (docs/serving.md has the figures).
    tf.config.threading.set_intra_op_parallelism_threads(1)
    try:
        server = StandInServer(
            model_base_path, name=model_name, grpc_port=port, rest_port=rest_api_port
        )
    except (FileNotFoundError, RuntimeError, OSError) as error:
        raise click.ClickException(str(error)) from error
    with server:
        loaded = server.versions.versions()
        _keep_models_from_the_collector()
        click.echo(
            f"{NAME}: model {model_name}, versions {loaded}, gRPC {port}, REST {rest_api_port}"
        )
        while True:
            if server.versions.versions() != loaded:
                loaded = server.versions.versions()
                _keep_models_from_the_collector()
            time.sleep(1.0)


def _keep_models_from_the_collector() -> None:
    """A full garbage collection of a model's objects would stop every request for a second."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    main()
