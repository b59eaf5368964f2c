"""Faults of serving, each tried: what comes in, what is loaded, and who answers or does not."""

import concurrent.futures
import contextlib
import dataclasses
import http.client
import json
import shutil
import socket
import time

import grpc
import numpy as np
import pytest
import requests
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from mtfx.datasets.fused_predictions import probabilities
from mtfx.models.export.ranker import Ranker, export_ranker
from mtfx.models.fusion.config import FusionConfig, build_fusion
from mtfx.models.request_state import RequestState
from mtfx.serving.client import GrpcRankerClient, RestRankerClient, ServedModel
from mtfx.serving.loaded_versions import LoadedVersions
from mtfx.serving.messages import RankingError
from mtfx.serving.stand_in_server import StandInServer
from tests.hashed_ranking import STATE_CONFIG, STATE_DIM
from tests.parsed_ranking import ITEMS, NAMES, save_parsed_ranking
from tests.request_examples import example

NOW = 1_700_000_000_000
GOOD = {"item": ["a", "b"], "price": [0.5, 0.25], "timestamp_ms": NOW}


def both(target, url, timeout_s=30.0):
    return GrpcRankerClient(target, timeout_s=timeout_s), RestRankerClient(url, timeout_s=timeout_s)


@pytest.fixture(scope="module")
def parsing(tmp_path_factory):
    """A server whose ranking model parses what it is sent; both clients of it."""
    directory = tmp_path_factory.mktemp("parsing")
    ranker = Ranker(
        tf.saved_model.load(save_parsed_ranking(directory / "ranking")),
        probabilities(NAMES),
        build_fusion(FusionConfig("formula1"), len(NAMES)),
        lambda states: tf.tanh(states[:, -len(NAMES) :]),
        STATE_DIM,
        request_state=RequestState(STATE_CONFIG),
    )
    export_ranker(ranker, str(directory / "ranker" / "1"), {})
    with StandInServer(str(directory / "ranker"), poll_s=3600) as server:
        yield both(f"localhost:{server.grpc_port}", f"http://localhost:{server.rest_port}")


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (b"\x00 no example", "parse|Parse"),
        (example(item=["a", "b"], price=[0.5, float("nan")]), "predictions must lie in"),
        (example(item=["a", "b"], price=[0.5, 7.0]), "predictions must lie in"),
        (example(item=["a", "b"], price=[0.5]), "item and price need the same number"),
        (example(timestamp_ms=NOW, age=3.0), "the request has no candidate"),
        (example(**GOOD, age=float("nan")), "state must not hold NaN"),
        (example(**GOOD, age=3), "age"),
        (example(**GOOD, age=[3.0, 4.0]), "age"),
        (
            example(**GOOD, history_timestamp_ms=[1, 2, 3], history_click=[1, 0]),
            "history_click and history_timestamp_ms need the same number",
        ),
        (
            example(**GOOD, history_timestamp_ms=[1, 2], history_watch_share=[0.5, float("nan")]),
            "history_watch_share holds what is no finite number",
        ),
    ],
    # Serialized examples as names would differ between the processes that run the tests.
    ids=[
        "no example",
        "candidate's NaN",
        "out of range",
        "lists of two lengths",
        "no candidate",
        "user's NaN",
        "another type",
        "two values",
        "histories of two lengths",
        "NaN watch share",
    ],
)
def test_a_malformed_request_is_the_requests_fault(parsing, bad, words):
    for client in parsing:
        with pytest.raises(RankingError, match=words) as raised:
            client.rank(bad)
        assert raised.value.kind == "invalid"
        assert len(client.rank(example(**GOOD)).scores) == 2


@pytest.mark.parametrize(
    ("columns", "left_out"),
    [
        ({}, 0),
        ({"history_timestamp_ms": [], "history_click": []}, 0),
        ({"history_timestamp_ms": [NOW - 5, NOW, NOW + 9], "history_click": [1, 0, 1]}, 2),
        ({"history_timestamp_ms": [NOW - place for place in range(9, 0, -1)]}, 5),
        ({"history_timestamp_ms": [NOW - 5], "history_none_such": [1]}, 0),
        ({"history_timestamp_ms": [NOW - 5, NOW - 4], "history_like": [1, 0], "other": "x"}, 0),
        ({"timestamp_ms": NOW + 10**12}, 0),
        ({"timestamp_ms": NOW + 10**12, "history_timestamp_ms": [NOW]}, 0),
        ({"timestamp_ms": [], "history_timestamp_ms": [NOW]}, 0),
        ({"age": 1e30, "town": "none such", "user_id_impressions": -7}, 0),
    ],
    ids=[
        "no user",
        "empty history",
        "newer than the request",
        "longer than H",
        "unknown feedback",
        "some feedback unknown",
        "future",
        "future, with a history",
        "no time",
        "strange values",
    ],
)
def test_an_odd_request_is_ranked_and_what_it_leaves_out_is_counted(parsing, columns, left_out):
    request = example(**(GOOD | columns))
    for client in parsing:
        found = client.rank(request)
        assert found.history_left_out == left_out
        assert sorted(found.ranked_indices) == [0, 1]
        assert np.isfinite(found.state).all()
        own = RequestState(STATE_CONFIG).of_requests(tf.constant([request])).state[0]
        np.testing.assert_allclose(found.state[: len(own)], own, atol=1e-6)


def test_unknown_ids_are_ranked_as_unknown(parsing):
    for client in parsing:
        found = client.rank(example(item=["a", "none such", "c"], price=[0.5, 0.5, 0.5]))
        np.testing.assert_allclose(found.predictions[:, 0], [0.1, 0.9, 0.3], rtol=1e-6)


@pytest.mark.parametrize("count", [1, 10_000])
def test_few_and_many_candidates_are_ranked_over_both_protocols(parsing, count):
    items = [ITEMS[place % 3] for place in range(count)]
    for client in parsing:
        found = client.rank(example(item=items, price=[0.5] * count))
        assert sorted(found.ranked_indices) == list(range(count))


def raw_request(**inputs):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "ranker"
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


@pytest.mark.parametrize(
    "message",
    [
        raw_request(),
        raw_request(state=[0.0] * 4, examples=[b"x"]),
        raw_request(request=b"x", more=[1.0]),
        raw_request(request=[example(item="a")]),
        raw_request(request=[example(item="a"), example(item="b")]),
        raw_request(request=[]),
        raw_request(request=1.0),
    ],
)
def test_what_no_client_of_ours_would_send_is_refused(served, ranking_request, message):
    with grpc.insecure_channel(served.target) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        with pytest.raises(grpc.RpcError) as raised:
            stub.Predict(message, timeout=30.0)
        assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        message.model_spec.signature_name = "train"
        with pytest.raises(grpc.RpcError, match="no signature 'train'"):
            stub.Predict(message, timeout=30.0)
    assert len(both(served.target, served.url)[0].rank(ranking_request).scores) == 5


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/models/ranker:predict", b"{", 400),
        ("/v1/models/ranker:predict", b"[]", 400),
        ("/v1/models/ranker:predict", b'{"inputs": {"request": {"b64": "?"}}}', 400),
        ("/v1/models/ranker:predict", b'{"inputs": {}, "signature_name": 3}', 400),
        ("/v1/models/ranker:predict", b'{"inputs": {"request": NaN}}', 400),
        ("/v1/models/ranker:predict", b'{"inputs": {"request": [{"b64": "YQ=="}]}}', 400),
        ("/v1/models/ranker:predict", b'{"inputs": {"request": {"b64": 7}}}', 400),
        ("/v1/models/../../etc/passwd:predict", b"{}", 404),
        ("/v1/models/..%2F..%2Fetc:predict", b'{"inputs": {}}', 404),
        ("/v1/models/ranker/versions/..:predict", b"{}", 404),
        ("/v1/models/ranker/versions/99999999999999999999:predict", b'{"inputs": {}}', 404),
        ("/v1/models/ranker/labels/..:predict", b'{"inputs": {}}', 404),
        ("/etc/passwd", b"{}", 404),
    ],
)
def test_rest_refuses_paths_and_bodies_that_are_no_request(served, path, body, status):
    connection = http.client.HTTPConnection("localhost", served.server.rest_port, timeout=30)
    connection.request("POST", path, body)
    answer = connection.getresponse()
    assert answer.status == status
    assert "error" in json.loads(answer.read())
    connection.close()


@pytest.mark.parametrize("length", ["99999999999", "-1", "many", "9" * 40])
def test_a_body_whose_size_is_wrong_is_not_read(served, ranking_request, length):
    connection = http.client.HTTPConnection("localhost", served.server.rest_port, timeout=30)
    connection.putrequest("POST", "/v1/models/ranker:predict")
    connection.putheader("Content-Length", length)
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, "size" in answer.read().decode()) == (400, True)
    assert connection.sock is None  # closed: nothing after it can pass for a request
    assert len(both(served.target, served.url)[1].rank(ranking_request).scores) == 5


@pytest.mark.parametrize("name", ["../other", "a/b", "..", "", "a:b", "a?b", "a%2Fb", "a\nb"])
def test_names_that_are_paths_are_refused_before_anything_is_sent(name):
    with pytest.raises(ValueError, match=r"model .* must consist of"):
        ServedModel(name)
    with pytest.raises(ValueError, match=r"label .* must consist of"):
        ServedModel(label=name)


def truncated(version):
    [data] = (version / "variables").glob("variables.data*")
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])


def without_index(version):
    (version / "variables" / "variables.index").unlink()


def bad_warmup(version):
    (version / "assets.extra").mkdir(exist_ok=True)
    (version / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"no records")


def empty(version):
    (version / "saved_model.pb").write_bytes(b"")


def other_format(version):
    (version / "saved_model.pb").write_bytes(json.dumps({"model": 1}).encode())


def test_a_corrupted_directory_leaves_the_last_good_version(own_server, ranking_request, caplog):
    versions = own_server.server.versions
    client = both(own_server.target, own_server.url)[0]
    damages = (truncated, without_index, bad_warmup, empty, other_format)
    for number, damage in enumerate(damages, start=10):
        shutil.copytree(own_server.base / "1", own_server.base / str(number))
        damage(own_server.base / str(number))
        versions.refresh()
        assert client.rank(ranking_request).version == 2, damage
        assert versions.failures[number]
    versions.refresh()  # not tried again while they stay as they are
    said = [record.getMessage() for record in caplog.records]
    for number in versions.failures:
        assert sum(f"version {number} cannot be loaded" in text for text in said) == 1
    mended = own_server.base / "14"
    shutil.rmtree(mended)
    shutil.copytree(own_server.base / "1", mended, copy_function=shutil.copy)
    versions.refresh()
    assert client.rank(ranking_request).version == 14
    assert 14 not in versions.failures


def test_directories_that_are_no_versions_are_left_alone(own_server):
    for name in ("²", "٣", "1.5", "-1", "latest", "9" * 30):
        shutil.copytree(own_server.base / "1", own_server.base / name)
    own_server.server.versions.refresh()
    assert own_server.server.versions.versions() == [1, 2]


def test_a_version_that_is_rolled_back_while_it_loads_is_not_served(exported, tmp_path):
    base = tmp_path / "served"
    shutil.copytree(exported, base)

    def load(path):
        if path.endswith("/9"):
            shutil.rmtree(path)
        return tf.saved_model.load(path)

    versions = LoadedVersions(base, load=load)
    shutil.copytree(base / "1", base / "9")
    versions.refresh()
    assert (versions.versions(), list(versions.failures)) == ([2], [9])


@pytest.mark.slow
def test_nobody_notices_that_a_version_is_rolled_back(own_server, ranking_request):
    own_server.server.versions._labels.clear()
    shutil.copytree(own_server.base / "1", own_server.base / "5")
    own_server.server.versions.refresh()
    client = both(own_server.target, own_server.url)[0]
    stop, seen = time.monotonic() + 20.0, []

    def ask():
        while time.monotonic() < stop:
            seen.append(client.rank(ranking_request).version)
            if seen[-1] == 2:
                return

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(ask) for _ in range(2)]
        while seen.count(5) < 20:
            time.sleep(0.01)
        shutil.rmtree(own_server.base / "5")
        own_server.server.versions.refresh()
        for one in asking:
            one.result()  # raises what a request raised
    assert set(seen) == {5, 2}


def test_a_server_that_never_answers_costs_the_timeout_and_no_more():
    with socket.create_server(("localhost", 0)) as silent:
        port = silent.getsockname()[1]
        for client in both(f"localhost:{port}", f"http://localhost:{port}", timeout_s=0.3):
            begin = time.monotonic()
            with pytest.raises(RankingError) as raised:
                client.rank(b"x")
            assert raised.value.kind in ("timeout", "unavailable")
            assert time.monotonic() - begin < 3.0
            client.close()


@pytest.mark.slow
def test_clients_find_a_server_that_comes_back(exported, ranking_request):
    with StandInServer(str(exported), poll_s=3600) as first:
        ports = {"grpc_port": first.grpc_port, "rest_port": first.rest_port}
        clients = both(f"localhost:{first.grpc_port}", f"http://localhost:{first.rest_port}")
        for client in clients:
            client.rank(ranking_request)
    for client in clients:
        with pytest.raises(RankingError) as raised:
            client.rank(ranking_request, timeout_s=0.5)
        assert raised.value.kind in ("unavailable", "timeout")
    with StandInServer(str(exported), poll_s=3600, **ports):
        for client in clients:
            assert len(patient(client, ranking_request).scores) == 5


def patient(client, ranking_request):
    """Asks again, as the kind of the error says one may."""
    end = time.monotonic() + 10.0
    while True:
        with contextlib.suppress(RankingError):
            return client.rank(ranking_request)
        assert time.monotonic() < end, "no answer in 10 s"
        time.sleep(0.2)


def test_a_rest_answer_that_is_no_json_is_the_servers_fault(monkeypatch):
    @dataclasses.dataclass
    class Page:
        status_code: int = 502
        text: str = "<html>Bad gateway</html>"

        def json(self):
            raise requests.JSONDecodeError("no JSON", self.text, 0)

    client = RestRankerClient("http://localhost:1")
    monkeypatch.setattr(client._session, "post", lambda *_, **__: Page())
    with pytest.raises(RankingError, match="does not answer in JSON") as raised:
        client.rank(b"x")
    assert raised.value.kind == "server"
