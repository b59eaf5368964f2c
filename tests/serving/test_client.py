"""Both clients against the stand-in server; its answers are the SavedModel's own."""

import shutil
import socket

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

from mtfx.datasets.fused_predictions import probabilities
from mtfx.models.export.ranker import export_ranker
from mtfx.models.export.transformed import TransformedRanker
from mtfx.models.fusion.config import FusionConfig, build_fusion
from mtfx.models.request_state import RequestState
from mtfx.serving.client import GrpcRankerClient, RestRankerClient, ServedModel
from mtfx.serving.exploration import request_seed
from mtfx.serving.messages import Exploration, RankingError
from mtfx.serving.stand_in_server import StandInServer
from mtfx.serving.warmup import write_warmup
from tests import tiny_ranking
from tests.hashed_ranking import STATE_CONFIG
from tests.request_examples import candidates, example
from tests.tiny_ranking import (
    STATE_DIM,
    TinyPolicy,
    TransformedTinyRankingModel,
    save_tiny,
    write_vocabulary,
)


def clients(served, model=None, timeout_s=30.0):
    return [
        GrpcRankerClient(served.target, model, timeout_s=timeout_s),
        RestRankerClient(served.url, model, timeout_s=timeout_s),
    ]


def test_both_protocols_answer_as_the_saved_model(served, exported, ranking_request):
    model = tf.saved_model.load(str(exported / "2"))
    wanted = model.signatures["serving_default"](request=tf.constant(ranking_request))
    for client in clients(served):
        found = client.rank(ranking_request)
        for name, value in wanted.items():
            np.testing.assert_allclose(getattr(found, name), value, rtol=1e-6, err_msg=name)
        assert sorted(found.ranked_indices) == list(range(5))
        assert found.scores.dtype == np.float32
        client.close()
    assert clients(served)[0].rank(ranking_request).version == 2


def test_a_served_requests_state_is_what_anybody_computes_of_it(served, ranking_request):
    facts = RequestState(STATE_CONFIG).of_requests(tf.constant([ranking_request]))
    for client in clients(served):
        found = client.rank(ranking_request)
        own, means = found.state[: len(STATE_CONFIG.names)], found.state[-2:]
        np.testing.assert_allclose(own, facts.state[0], atol=1e-6)
        np.testing.assert_allclose(means, found.predictions.mean(axis=0), atol=1e-6)
        assert found.history_left_out == 0


@pytest.mark.parametrize("at_random", [False, True])
def test_exploring_draws_the_models_own_action_and_says_its_density(
    served, exported, ranking_request, at_random
):
    model = tf.saved_model.load(str(exported / "2"))
    seed = request_seed("request-1")
    wanted = model.signatures["explore"](
        request=tf.constant(ranking_request),
        seed=tf.constant(seed),
        at_random=tf.constant(at_random),
    )
    plain = clients(served)[0].rank(ranking_request)
    assert np.isnan(plain.log_density)
    for client in clients(served):
        found = client.rank(ranking_request, exploration=Exploration(seed, at_random))
        for name, value in wanted.items():
            np.testing.assert_allclose(getattr(found, name), value, rtol=1e-6, err_msg=name)
        assert np.isfinite(found.log_density)
        assert np.abs(found.action - plain.action).max() > 0


def test_labels_and_versions_choose_the_model(served, ranking_request):
    for model, version in (
        (ServedModel(label="stable"), 1),
        (ServedModel(label="canary"), 2),
        (ServedModel(version=1), 1),
    ):
        by_grpc, by_rest = (one.rank(ranking_request) for one in clients(served, model))
        assert by_grpc.version == version
        np.testing.assert_allclose(by_grpc.action, by_rest.action, rtol=1e-6)
    with pytest.raises(ValueError, match="not both"):
        ServedModel(label="stable", version=1)


@pytest.fixture(scope="module")
def looked_up(tmp_path_factory):
    """A client of a ranker that takes features which were looked up ahead."""
    directory = tmp_path_factory.mktemp("transformed")
    vocabulary = write_vocabulary(directory / "vocabulary.txt")
    ranking = save_tiny(TransformedTinyRankingModel(vocabulary), directory / "ranking")
    fusion = build_fusion(FusionConfig(beta=0.01), 2)
    ranker = TransformedRanker(
        ranking,
        probabilities(tiny_ranking.NAMES),
        fusion,
        TinyPolicy(),
        STATE_DIM,
        request_state=RequestState(tiny_ranking.STATE_CONFIG),
    )
    ranker.compile_for((4,))
    export_ranker(ranker, str(directory / "ranker" / "7"), {})
    with StandInServer(str(directory / "ranker"), poll_s=3600) as server:
        client = GrpcRankerClient(f"localhost:{server.grpc_port}", timeout_s=30.0)
        yield client
        client.close()


def test_features_that_were_looked_up_ahead_rank_as_a_request_does(looked_up):
    now = {"age": 2.0, "timestamp_ms": tiny_ranking.NOW, "history_timestamp_ms": [5, 7]}
    # A user with the circumstances, and items; each is kept by itself.
    examples = [example(**now), example(item=["c", "a", "d"])]
    stored, version = looked_up.transform(examples)
    assert (version, stored["row_lengths"].tolist()) == (7, [0, 3])
    assert stored["history_left_out"].tolist() == [0, 0]
    features = {
        "request_state": stored["request_state"][0],
        "session_ids": stored["session_ids"][0],
        "session_values": stored["session_values"][0],
        "impression_ids": stored["impression_ids"],
        "impression_values": stored["impression_values"],
    }
    request = example(item=["c", "a", "d"], **now)
    found, wanted = looked_up.rank_transformed(features), looked_up.rank(request)
    fields = ("ranked_indices", "scores", "predictions", "action", "state", "version")
    for name in fields:
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
    assert (found.history_left_out, wanted.history_left_out) == (None, 0)
    tried = Exploration(request_seed("request-1"), at_random=True)
    explored = looked_up.rank_transformed(features, exploration=tried)
    wanted = looked_up.rank(request, exploration=tried)
    for name in (*fields, "log_density"):
        np.testing.assert_array_equal(getattr(explored, name), getattr(wanted, name))
    assert np.abs(explored.action - found.action).max() > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"session_ids": [[0]]}, "session_ids must be int64 with 1 axes"),
        ({"impression_ids": [[0.5]]}, "impression_ids must be int64 with 2 axes, got float64"),
        ({"impression_ids": np.asarray([[2**63]], np.uint64)}, "beyond int64"),
        ({"session_values": [1e300]}, "beyond float32"),
        ({"session_values": ["old"]}, "session_values must be float32"),
        ({"tag": [1]}, "the features are request_state, session_ids, session_values, impress"),
        ({"request_state": [0.0]}, "not compatible with expected shape"),
        ({"request_state": ["a"] * 10}, "request_state must be float32 with 1 axes"),
        ({"impression_ids": [[9]]}, "impression_ids must lie in item"),
        ({"impression_values": np.zeros([3, 0])}, "must have as many rows"),
        ({"session_ids": [1, 2]}, "not compatible with expected shape"),
        ({"durations": [[1.0]]}, "durations must be float32 with 1 axes"),
        # This ranker does not fuse play integrity.
        ({"durations": [1.0]}, "durations"),
    ],
)
def test_features_that_do_not_fit_are_invalid(looked_up, change, message):
    fitting = {
        "request_state": np.zeros([STATE_DIM - 2], np.float32),
        "session_ids": np.zeros([0], np.int64),
        "session_values": [1.0],
        "impression_ids": [[2]],
        "impression_values": np.zeros([1, 0], np.float32),
    }
    assert len(looked_up.rank_transformed(fitting).scores) == 1
    with pytest.raises(RankingError, match=message) as caught:
        looked_up.rank_transformed(fitting | change)
    assert caught.value.kind == "invalid"


def test_a_ranker_that_looks_nothing_up_says_so(served):
    with pytest.raises(RankingError, match="no signature 'transform'"):
        clients(served)[0].transform([b"x"])


def test_a_request_without_candidates_is_invalid(served):
    for client in clients(served):
        for empty in (b"", example(age=3.0)):
            with pytest.raises(RankingError, match="the request has no candidate") as raised:
                client.rank(empty)
            assert raised.value.kind == "invalid"


@pytest.mark.parametrize("count", [1, 10_000])
def test_one_and_ten_thousand_candidates_are_ranked(served, count):
    for client in clients(served):
        found = client.rank(candidates(count))
        assert sorted(found.ranked_indices) == list(range(count))


def test_every_byte_of_a_request_arrives(served, exported):
    # A proto may end in zeros, which NumPy's own strings lose.
    request = example(item=["b", "a\0\0"])
    assert request.endswith(b"\0\0")
    model = tf.saved_model.load(str(exported / "2"))
    wanted = model.signatures["serving_default"](request=tf.constant(request))
    for client in clients(served):
        np.testing.assert_allclose(client.rank(request).scores, wanted["scores"], rtol=1e-6)


@pytest.mark.parametrize("request_", ["text", None, [b"x"], np.zeros(4), 7])
def test_malformed_requests_are_not_sent(request_):
    for client in (GrpcRankerClient("localhost:1"), RestRankerClient("http://localhost:1")):
        with pytest.raises(RankingError, match="not a serialized tf") as raised:
            client.rank(request_)
        assert raised.value.kind == "invalid"


def test_what_the_server_refuses_is_told_apart(served, ranking_request):
    for client in clients(served):
        with pytest.raises(RankingError) as raised:
            client.rank(b"no example")
        assert raised.value.kind == "invalid"
    for model in (ServedModel("other"), ServedModel(version=9), ServedModel(label="beta")):
        for client in clients(served, model):
            with pytest.raises(RankingError) as raised:
                client.rank(ranking_request)
            assert raised.value.kind == "not_found"
    for client in (GrpcRankerClient("localhost:1"), RestRankerClient("http://localhost:1")):
        with pytest.raises(RankingError) as raised:
            client.rank(ranking_request)
        assert raised.value.kind in ("unavailable", "timeout")


def test_a_late_answer_is_a_timeout(ranking_request):
    # Connections wait in the backlog of a socket that nobody reads: no answer, at any speed.
    with socket.create_server(("localhost", 0)) as silent:
        address = f"localhost:{silent.getsockname()[1]}"
        for client in (
            GrpcRankerClient(address, timeout_s=0.3),
            RestRankerClient(f"http://{address}", timeout_s=0.3),
        ):
            with pytest.raises(RankingError) as raised:
                client.rank(ranking_request)
            assert raised.value.kind == "timeout"


def test_an_oversized_request_is_refused_and_the_server_lives(served, ranking_request):
    small = GrpcRankerClient(served.target, timeout_s=30.0, max_message_mb=1)
    with pytest.raises(RankingError) as raised:
        small.rank(b"x" * 3_000_000)
    assert raised.value.kind == "invalid"
    assert len(small.rank(ranking_request).scores) == 5


def test_a_damaged_version_leaves_the_last_good_one(own_server, ranking_request):
    bad = own_server.base / "3"
    bad.mkdir()
    (bad / "saved_model.pb").write_bytes(b"damaged")
    (own_server.base / "4").mkdir()  # a push that was killed: no saved_model.pb yet
    own_server.server.versions.refresh()
    client = clients(own_server)[0]
    assert client.rank(ranking_request).version == 2
    channel = grpc.insecure_channel(own_server.target)
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "ranker"
    status = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(request)
    states = {one.version: one for one in status.model_version_status}
    assert states[2].state == get_model_status_pb2.ModelVersionStatus.AVAILABLE
    assert states[3].status.error_message
    assert 4 not in states


def test_a_directory_that_is_gone_leaves_what_is_loaded(own_server, ranking_request):
    own_server.base.rename(own_server.base.with_name("away"))
    own_server.server.versions.refresh()
    assert clients(own_server)[0].rank(ranking_request).version == 2


@pytest.mark.slow
def test_a_version_answers_its_warmup_requests_before_it_takes_traffic(own_server, ranking_request):
    for version, request in (("6", ranking_request), ("7", example(age=1.0))):
        shutil.copytree(own_server.base / "1", own_server.base / version)
        write_warmup(own_server.base / version, [request])
    own_server.server.versions.refresh()
    # The second one's has no candidate, so it is not served.
    assert clients(own_server)[0].rank(ranking_request).version == 6
    assert 7 in own_server.server.versions.failures


@pytest.mark.slow
def test_a_version_that_is_rolled_back_is_let_go(own_server, ranking_request):
    own_server.server.versions._labels.clear()
    shutil.copytree(own_server.base / "1", own_server.base / "5")
    own_server.server.versions.refresh()
    client = clients(own_server)[0]
    assert client.rank(ranking_request).version == 5
    shutil.rmtree(own_server.base / "5")
    own_server.server.versions.refresh()
    assert client.rank(ranking_request).version == 2


def test_a_model_that_is_no_ranker_is_named(tmp_path, ranking_request):
    class Other(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([], tf.string, name="request")])
        def serve(self, request):
            return {"answer": tf.strings.length(request)}

    from mtfx.serving.stand_in_server import StandInServer

    other = Other()
    tf.saved_model.save(other, str(tmp_path / "1"), signatures={"serving_default": other.serve})
    with StandInServer(str(tmp_path)) as server:
        client = GrpcRankerClient(f"localhost:{server.grpc_port}", timeout_s=30.0)
        with pytest.raises(RankingError, match="no ranker"):
            client.rank(ranking_request)
