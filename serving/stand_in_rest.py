"""REST as TF Serving speaks it, for its stand-in: prediction by column, status and metadata.

What TF Serving does beyond that (rows of ``instances``, an input without its name, ``:classify``,
``:regress``, compressed bodies) is answered with 501, so that nobody takes the stand-in's limits
for a fault of the model.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler
from typing import Any

import grpc
import numpy as np
from google.protobuf import json_format

from mtfx.serving.stand_in_models import (
    RefusedError,
    StandInModels,
    invalid,
    missing,
    unsupported,
)

MAX_MESSAGE = 64 * 1024 * 1024
_URL = re.compile(
    r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
    r"(?P<what>:predict|:classify|:regress|/metadata)?"
)
_LENGTH = re.compile(r"[0-9]{1,12}")
_CHUNK_LENGTH = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n")
_LONGEST_LINE = 8192


def rest_handler(models: StandInModels, stopped: threading.Event) -> type[BaseHTTPRequestHandler]:
    """A request handler for :class:`http.server.ThreadingHTTPServer`.

    Args:
      models: What is served.
      stopped: Set when the server has stopped: connections that are kept alive outlive its
        listener.
    """

    class Handler(_Handler):
        def __init__(self, *arguments: Any) -> None:
            self.models, self.stopped = models, stopped
            super().__init__(*arguments)

    return Handler


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    models: StandInModels
    stopped: threading.Event

    def do_GET(self) -> None:
        self._answered(self._got)

    def do_POST(self) -> None:
        self._answered(self._posted)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answers what http.server itself refuses in JSON, as everything else is."""
        del explain
        self.close_connection = True
        self._answer(code, {"error": message or self.responses.get(code, ("error",))[0]})

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: one line per request helps nobody."""

    def _answered(self, ask: Any) -> None:
        try:
            body = self._body()
            if self.stopped.is_set():
                self.close_connection = True
                raise RefusedError(grpc.StatusCode.UNAVAILABLE, 503, "the server has stopped")
            self._answer(200, ask(body))
        except RefusedError as refused:
            self._answer(refused.http_status, {"error": str(refused)})

    def _body(self) -> bytes:
        """The request's body, whole.

        http.server leaves it to its handlers, chunks included. Whatever is not read to its end
        closes the connection, so that no body is taken for the next request.
        """
        lengths = self.headers.get_all("Content-Length", [])
        codings = self.headers.get_all("Transfer-Encoding", [])
        try:
            if "Content-Encoding" in self.headers:
                raise unsupported("the stand-in reads no compressed bodies")
            if codings:
                return self._chunks(codings, lengths)
            if not lengths:
                if self.command == "GET":
                    return b""
                raise RefusedError(
                    grpc.StatusCode.INVALID_ARGUMENT, 411, "the request says no Content-Length"
                )
            text = lengths[0]
            length = int(text) if len(lengths) == 1 and _LENGTH.fullmatch(text) else -1
            if not 0 <= length <= MAX_MESSAGE:
                raise invalid(f"a request of {text[:20]} bytes is too large, or no size of one")
            return self._read(length)
        except RefusedError:
            self.close_connection = True
            raise

    def _chunks(self, codings: list[str], lengths: list[str]) -> bytes:
        """A body in chunks (RFC 9112, section 7.1)."""
        if [coding.strip().lower() for coding in codings] != ["chunked"]:
            raise unsupported(f"the stand-in does not read Transfer-Encoding {codings[0][:40]!r}")
        if lengths:
            raise invalid("a request has either Content-Length or Transfer-Encoding, not both")
        body = bytearray()
        while True:
            match = _CHUNK_LENGTH.fullmatch(self.rfile.readline(_LONGEST_LINE))
            if match is None:
                raise invalid("a chunk of the body does not begin with its length")
            length = int(match[1], 16)
            if length == 0:
                break
            if len(body) + length > MAX_MESSAGE:
                raise invalid(f"a request of more than {MAX_MESSAGE} bytes is too large")
            body += self._read(length)
            if self.rfile.readline(3) not in (b"\r\n", b"\n"):
                raise invalid("a chunk of the body is longer than its length")
        while (line := self.rfile.readline(_LONGEST_LINE)) not in (b"\r\n", b"\n"):
            if not line.endswith(b"\n"):
                raise invalid("the body ends before its last chunk does")
        return bytes(body)

    def _read(self, length: int) -> bytes:
        found = self.rfile.read(length)
        if len(found) < length:
            raise invalid(f"the body ends after {len(found)} of {length} bytes")
        return found

    def _asked(self) -> tuple[str, int | None, str | None, str]:
        match = _URL.fullmatch(self.path)
        if match is None:
            raise missing(f"{self.path} is no path of a model, such as /v1/models/NAME:predict")
        version = None if match["version"] is None else int(match["version"])
        return match["name"], version, match["label"], match["what"] or ""

    def _got(self, body: bytes) -> dict[str, Any]:
        del body
        name, version, label, what = self._asked()
        if what == "":
            found = self.models.status(name, version, label)
            return {"model_version_status": [_status(*entry) for entry in found]}
        if what == "/metadata":
            number, signatures = self.models.signature_defs(name, version, label)
            return _metadata(name, number, signatures)
        raise RefusedError(
            grpc.StatusCode.INVALID_ARGUMENT, 405, f"{self.path} is asked with POST, not GET"
        )

    def _posted(self, body: bytes) -> dict[str, Any]:
        name, version, label, what = self._asked()
        if what in (":classify", ":regress"):
            raise unsupported(f"the stand-in has no {what[1:]}; rankers are asked with :predict")
        if what != ":predict":
            raise RefusedError(
                grpc.StatusCode.INVALID_ARGUMENT, 405, f"{self.path} is asked with GET, not POST"
            )
        signature, inputs = _request(body)
        _, outputs = self.models.predict(name, version, label, signature, inputs)
        found = {key: _encoded(value) for key, value in outputs.items()}
        # TF Serving names outputs only where there are several.
        return {"outputs": found if len(found) > 1 else next(iter(found.values()))}

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


def _request(body: bytes) -> tuple[str, dict[str, Any]]:
    try:
        content = json.loads(body)
        rows = "instances" in content
        named = {} if rows else content["inputs"]
        # TF Serving takes the only input of a signature without its name.
        alone = not isinstance(named, dict) or set(named) == {"b64"}
        inputs = {} if alone else {key: _decoded(value) for key, value in named.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise invalid(f"the body is no request by column: {error!r}") from error
    if rows:
        raise unsupported("the stand-in reads requests by column ('inputs'), not by 'instances'")
    if alone:
        raise unsupported("the stand-in reads inputs by name: {'inputs': {'request': ...}}")
    signature = content.get("signature_name", "serving_default")
    if not isinstance(signature, str):
        raise invalid(f"signature_name is {str(signature)[:40]!r}, which is no text")
    return signature, inputs


def _decoded(value: Any) -> Any:
    """A column of JSON, with its base64 strings as bytes."""
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    if isinstance(value, dict):
        if set(value) != {"b64"}:
            raise ValueError(f"an object of an input is {{'b64': ...}}, not {sorted(value)}")
        return base64.b64decode(value["b64"], validate=True)
    return value


def _encoded(value: np.ndarray | bytes) -> Any:
    """An output for JSON; text that is no UTF-8 goes as base64, as from TF Serving."""

    def text(item: Any) -> Any:
        if isinstance(item, list):
            return [text(inner) for inner in item]
        try:
            return item.decode() if isinstance(item, bytes) else item
        except UnicodeDecodeError:
            return {"b64": base64.b64encode(item).decode()}

    if isinstance(value, bytes):
        # NumPy's own strings would lose zeros at its end.
        return text(value)
    listed = np.asarray(value).tolist()
    return text(listed) if np.asarray(value).dtype.kind in "OSU" else listed


def _status(version: int, failure: str | None) -> dict[str, Any]:
    code = "OK" if failure is None else "INVALID_ARGUMENT"
    return {
        "version": str(version),
        "state": "AVAILABLE" if failure is None else "END",
        "status": {"error_code": code, "error_message": failure or ""},
    }


def _metadata(name: str, version: int, signatures: dict[str, Any]) -> dict[str, Any]:
    described = {
        key: json_format.MessageToDict(value, preserving_proto_field_name=True)
        for key, value in signatures.items()
    }
    return {
        "model_spec": {"name": name, "signature_name": "", "version": str(version)},
        "metadata": {"signature_def": {"signature_def": described}},
    }
