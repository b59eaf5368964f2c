"""The stand-in's REST, asked as TF Serving is by clients that are not ours."""

import http.client
import itertools
import json
import socket

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from mtfx.serving.stand_in_rest import MAX_MESSAGE
from mtfx.serving.stand_in_server import StandInServer

BODY = json.dumps({"inputs": {"state": [1.0, 2.0]}}).encode()
PATH = "/v1/models/ranker:predict"


class Model(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="state")])
    def add(self, state):
        return {"scores": state + 1.0}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="state")])
    def two(self, state):
        return {"scores": state + 1.0, "name": tf.constant([b"\xff", b"a"])}

    @tf.function(input_signature=[tf.TensorSpec([], tf.string, name="request")])
    def text(self, request):
        return {"length": tf.strings.length(request), "request": request}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    base = tmp_path_factory.mktemp("base")
    model = Model()
    for version in ("3", "4"):
        tf.saved_model.save(
            model,
            str(base / version),
            {"serving_default": model.add, "two": model.two, "text": model.text},
        )
    (base / "5").mkdir()
    (base / "5" / "saved_model.pb").write_bytes(b"damaged")
    with StandInServer(str(base), labels={"stable": 3}, poll_s=3600) as one:
        yield one


def sent(server, text: bytes) -> bytes:
    """Everything that the server answers to these bytes until it closes the connection."""
    with socket.create_connection(("localhost", server.rest_port), timeout=10) as connection:
        connection.sendall(text)
        connection.shutdown(socket.SHUT_WR)
        answer = bytearray()
        while part := connection.recv(65536):
            answer += part
    return bytes(answer)


def post(headers: bytes, body: bytes) -> bytes:
    return b"POST " + PATH.encode() + b" HTTP/1.1\r\nHost: a\r\n" + headers + b"\r\n" + body


def ask(server, method, path, body=None):
    connection = http.client.HTTPConnection("localhost", server.rest_port, timeout=10)
    connection.request(method, path, body)
    answer = connection.getresponse()
    content = json.loads(answer.read())
    connection.close()
    return answer.status, content


@given(
    cuts=st.lists(st.integers(1, len(BODY) - 1), max_size=6),
    extension=st.sampled_from(["", ";a=b"]),
)
def test_a_body_in_chunks_is_read_whole_and_the_next_request_after_it(server, cuts, extension):
    places = [0, *sorted(set(cuts)), len(BODY)]
    parts = [BODY[a:b] for a, b in itertools.pairwise(places)]
    chunks = b"".join(b"%x%s\r\n%s\r\n" % (len(part), extension.encode(), part) for part in parts)
    chunked = post(b"Transfer-Encoding: chunked\r\n", chunks + b"0\r\nTrailer: b\r\n\r\n")
    plain = post(b"Content-Length: %d\r\n" % len(BODY), BODY)
    answer = sent(server, chunked + plain + chunked)
    assert answer.count(b"HTTP/1.1 200") == 3
    assert answer.count(b'{"outputs": [2.0, 3.0]}') == 3


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        (b"", BODY, 411),
        (b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n", 400),
        (b"Content-Length: 3\r\nContent-Length: 40\r\n", BODY, 400),
        (b"Content-Length: 400\r\n", BODY, 400),
        (b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n", 501),
        (b"Content-Encoding: gzip\r\nContent-Length: 3\r\n", b"abc", 501),
        (b"Transfer-Encoding: chunked\r\n", b"zz\r\nabc\r\n0\r\n\r\n", 400),
        (b"Transfer-Encoding: chunked\r\n", b"2\r\nabc\r\n0\r\n\r\n", 400),
        (b"Transfer-Encoding: chunked\r\n", b"ff\r\nabc", 400),
        (b"Transfer-Encoding: chunked\r\n", b"3\r\nabc\r\n", 400),
        (b"Transfer-Encoding: chunked\r\n", b"7fffffff\r\nabc\r\n", 400),
    ],
)
def test_a_body_that_cannot_be_read_closes_the_connection(server, headers, body, status):
    hidden = b"GET /v1/models/ranker HTTP/1.1\r\nHost: a\r\n\r\n"
    # Where the body is said to be longer than it is, what follows would be its rest.
    ends = status == 400 and body in (BODY, b"ff\r\nabc", b"3\r\nabc\r\n", b"7fffffff\r\nabc\r\n")
    answer = sent(server, post(headers, body) + (b"" if ends else hidden))
    assert answer.startswith(b"HTTP/1.1 %d" % status)
    assert answer.count(b"HTTP/1.1") == 1
    assert b'{"error": ' in answer
    assert b"Connection: close" in answer


@pytest.mark.parametrize("before", [0, len(BODY)])
def test_a_body_that_is_too_large_is_refused_before_it_is_read(server, before):
    first = b"%x\r\n%s\r\n" % (before, BODY) if before else b""
    chunk = b"%x\r\n" % (MAX_MESSAGE - before + 1)
    for request in (
        post(b"Transfer-Encoding: chunked\r\n", first + chunk),
        post(b"Content-Length: %d\r\n" % (MAX_MESSAGE + 1), b""),
    ):
        answer = sent(server, request)
        assert answer.startswith(b"HTTP/1.1 400")
        assert b"is too large" in answer


def test_status_is_told_as_tf_serving_does(server):
    status, content = ask(server, "GET", "/v1/models/ranker")
    assert status == 200
    versions = {one["version"]: one for one in content["model_version_status"]}
    assert list(versions) == ["3", "4", "5"]
    fine = {"error_code": "OK", "error_message": ""}
    assert versions["4"] == {"version": "4", "state": "AVAILABLE", "status": fine}
    assert versions["5"]["state"] == "END"
    assert versions["5"]["status"]["error_message"]
    for path in ("/versions/3", "/labels/stable"):
        _, content = ask(server, "GET", f"/v1/models/ranker{path}")
        assert content == {"model_version_status": [versions["3"]]}


def test_metadata_names_every_input_and_output_with_its_type(server):
    status, content = ask(server, "GET", "/v1/models/ranker/metadata")
    assert status == 200
    assert content["model_spec"]["version"] == "4"
    signatures = content["metadata"]["signature_def"]["signature_def"]
    assert signatures["serving_default"]["inputs"]["state"]["dtype"] == "DT_FLOAT"
    assert set(signatures["two"]["outputs"]) == {"scores", "name"}
    assert signatures["two"]["method_name"] == "tensorflow/serving/predict"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/v1/models/none", None, 404),
        ("GET", "/v1/models/ranker/versions/9", None, 404),
        ("GET", "/v1/models/ranker/labels/none/metadata", None, 404),
        ("GET", "/", None, 404),
        ("GET", PATH, None, 405),
        ("POST", "/v1/models/ranker", b"{}", 405),
        ("POST", "/v1/models/ranker:classify", b"{}", 501),
        ("POST", "/v1/models/ranker:regress", b"{}", 501),
        ("POST", PATH, b'{"instances": [{"state": 1.0}]}', 501),
        ("POST", PATH, b'{"inputs": [1.0, 2.0]}', 501),
        ("POST", PATH, b'{"inputs": {"b64": "YQ=="}}', 501),
        ("POST", PATH, b'{"inputs": {"state": [7], "more": 1}}', 400),
        ("POST", PATH, b'{"inputs": {"state": {"b64": "YQ==", "c": 1}}}', 400),
        ("POST", PATH, b'{"inputs": {"state": ["1"]}}', 400),
        ("POST", PATH, b"[" * 100_000, 400),
        ("PUT", PATH, b"{}", 501),
    ],
)
def test_what_is_not_answered_is_said_in_json(server, method, path, body, status):
    found, content = ask(server, method, path, body)
    assert found == status
    assert isinstance(content["error"], str)


def test_outputs_are_named_where_there_are_several_and_bytes_are_base64(server):
    body = json.dumps({"inputs": {"state": [0.5]}, "signature_name": "two"})
    _, content = ask(server, "POST", PATH, body)
    np.testing.assert_allclose(content["outputs"]["scores"], [1.5])
    assert content["outputs"]["name"] == [{"b64": "/w=="}, "a"]


@pytest.mark.parametrize(
    ("value", "status", "outputs"),
    [
        ({"b64": "AGEA"}, 200, {"length": 3, "request": "\0a\0"}),
        ({"b64": "/w=="}, 200, {"length": 1, "request": {"b64": "/w=="}}),
        ({"b64": ""}, 200, {"length": 0, "request": ""}),
        ("a", 200, {"length": 1, "request": "a"}),
        ([{"b64": "YQ=="}], 400, None),
        ([], 400, None),
        (7, 400, None),
        ({"b64": ["YQ=="]}, 400, None),
    ],
)
def test_one_text_is_a_value_and_not_a_list(server, value, status, outputs):
    body = json.dumps({"signature_name": "text", "inputs": {"request": value}})
    found, content = ask(server, "POST", PATH, body)
    assert (found, content.get("outputs")) == (status, outputs)
