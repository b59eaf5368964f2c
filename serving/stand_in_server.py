"""A stand-in for TF Serving, for checks on a machine that has no TF Serving.

It speaks TF Serving's own protocols (PredictionService and ModelService over gRPC, and prediction
over REST) in front of the same SavedModels, one request at a time and without batching. It is no
server for production: there is no isolation, no metrics, and Python in the path of every request.

    python -m serving.stand_in_server --model-base-path run/serving/ranker
"""

from __future__ import annotations

import base64
import contextlib
import gc
import json
import re
import threading
import time
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import click
import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from serving.loaded_versions import LoadedVersions, call

NAME = "stand-in for TF Serving (local checks only)"
_URL = re.compile(
    r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?:predict"
)
_MAX_MESSAGE = 64 * 1024 * 1024
_LENGTH = re.compile(r"[0-9]{1,12}")


class _RefusedError(Exception):
    """A request that is not answered; has the status of both protocols."""

    def __init__(self, code: grpc.StatusCode, http_status: int, message: str) -> None:
        super().__init__(message)
        self.code, self.http_status = code, http_status


class _Models:
    """Answers requests, whatever protocol they came by."""

    def __init__(self, name: str, versions: LoadedVersions) -> None:
        self.name, self.versions = name, versions

    def predict(
        self,
        name: str,
        version: int | None,
        label: str | None,
        signature: str,
        inputs: dict[str, Any],
    ) -> tuple[int, dict[str, np.ndarray]]:
        if name != self.name:
            raise _missing(f"no model {name!r} is served; {self.name!r} is")
        try:
            number, model = self.versions.get(version, label)
        except KeyError as error:
            raise _missing(str(error.args[0])) from error
        if signature not in model.signatures:
            known = ", ".join(sorted(model.signatures))
            raise _invalid(f"no signature {signature!r}; there are: {known}")
        function = model.signatures[signature]
        specs = function.structured_input_signature[1]
        if set(inputs) != set(specs):
            raise _invalid(
                f"signature {signature} takes {', '.join(sorted(specs))}, not "
                f"{', '.join(sorted(inputs)) or 'nothing'}"
            )
        try:
            outputs = call(function, inputs)
        except (tf.errors.InvalidArgumentError, ValueError, TypeError) as error:
            raise _invalid(str(error)) from error
        return number, {key: value.numpy() for key, value in outputs.items()}


class _PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, models: _Models) -> None:
        self._models = models

    def Predict(self, request: Any, context: Any) -> Any:  # noqa: N802
        spec = request.model_spec
        if not context.is_active():
            # Whoever asked has stopped waiting while the request did.
            return predict_pb2.PredictResponse()
        try:
            version, outputs = self._models.predict(
                spec.name,
                spec.version.value if spec.HasField("version") else None,
                spec.version_label or None,
                spec.signature_name or "serving_default",
                {key: tf.make_ndarray(value) for key, value in request.inputs.items()},
            )
        except _RefusedError as refused:
            context.abort(refused.code, str(refused))
            raise
        answer: Any = predict_pb2.PredictResponse()
        answer.model_spec.name = spec.name
        answer.model_spec.version.value = version
        for key, value in outputs.items():
            answer.outputs[key].CopyFrom(tf.make_tensor_proto(value))
        return answer


class _ModelService(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, models: _Models) -> None:
        self._models = models

    def GetModelStatus(self, request: Any, context: Any) -> Any:  # noqa: N802
        del request, context
        answer: Any = get_model_status_pb2.GetModelStatusResponse()
        for version in self._models.versions.versions():
            status = answer.model_version_status.add()
            status.version = version
            status.state = get_model_status_pb2.ModelVersionStatus.AVAILABLE
        for version, reason in self._models.versions.failures.items():
            status = answer.model_version_status.add()
            status.version = version
            status.state = get_model_status_pb2.ModelVersionStatus.END
            status.status.error_code = 3
            status.status.error_message = reason
        return answer


def _rest_handler(models: _Models, stopped: threading.Event) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            try:
                if stopped.is_set():
                    # Connections that are kept alive outlive the listener.
                    self.close_connection = True
                    raise _RefusedError(grpc.StatusCode.UNAVAILABLE, 503, "the server has stopped")
                length = self._length()
                self._answer(200, {"outputs": self._outputs(self.rfile.read(length))})
            except _RefusedError as refused:
                self._answer(refused.http_status, {"error": str(refused)})

        def _length(self) -> int:
            text = self.headers.get("Content-Length", "0")
            length = int(text) if _LENGTH.fullmatch(text) else -1
            if 0 <= length <= _MAX_MESSAGE:
                return length
            # Its body is not read, so that what follows on the connection is no request.
            self.close_connection = True
            raise _invalid(f"a request of {text[:20]} bytes is too large, or no size of one")

        def _outputs(self, body: bytes) -> dict[str, Any]:
            match = _URL.fullmatch(self.path)
            if match is None:
                raise _missing(f"{self.path} is not /v1/models/NAME:predict")
            try:
                content = json.loads(body)
                inputs = {key: _decoded(value) for key, value in content["inputs"].items()}
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise _invalid(f"the body is no request by column: {error!r}") from error
            version = match["version"]
            _, outputs = models.predict(
                match["name"],
                None if version is None else int(version),
                match["label"],
                content.get("signature_name", "serving_default"),
                inputs,
            )
            return {key: value.tolist() for key, value in outputs.items()}

        def _answer(self, status: int, content: dict[str, Any]) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if self.close_connection:
                self.send_header("Connection", "close")
            # Who asked may be gone: a client that waits no longer is no fault of ours.
            with contextlib.suppress(ConnectionError):
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing: one line per request helps nobody."""

    return Handler


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
        models = _Models(name, self.versions)
        self._grpc = grpc.server(
            futures.ThreadPoolExecutor(threads),
            options=[
                ("grpc.max_receive_message_length", _MAX_MESSAGE),
                ("grpc.max_send_message_length", _MAX_MESSAGE),
            ],
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            _PredictionService(models), self._grpc
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(_ModelService(models), self._grpc)
        self.grpc_port = self._grpc.add_insecure_port(f"localhost:{grpc_port}")
        self._poll_s, self._stopped = poll_s, threading.Event()
        handler = _rest_handler(models, self._stopped)
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


def _decoded(value: Any) -> Any:
    """A column of REST's JSON, with its base64 strings as bytes."""
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    if isinstance(value, dict):
        return base64.b64decode(value["b64"], validate=True)
    return value


def _invalid(message: str) -> _RefusedError:
    return _RefusedError(grpc.StatusCode.INVALID_ARGUMENT, 400, message)


def _missing(message: str) -> _RefusedError:
    return _RefusedError(grpc.StatusCode.NOT_FOUND, 404, message)


if __name__ == "__main__":
    main()
