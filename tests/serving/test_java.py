"""The Java example builds the same requests and gets the same rankings as Python."""

import base64
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from mtfx.serving.client import GrpcRankerClient
from mtfx.serving.request import RequestBuilder, RequestError
from mtfx.serving.request_fields import RequestField, merged
from mtfx.serving.stand_in_server import StandInServer
from tests.hashed_ranking import STATE_CONFIG, STATE_DIM

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ROOT / "serving" / "java"
NOW = 1_700_000_000_000
#: What Maven says of what it cannot fetch.
UNAVAILABLE = ("could not be resolved", "Could not resolve", "Could not transfer", "offline mode")
UNAVAILABLE += ("Failed to resolve artifact", "Cannot access")
COLUMNS = (
    RequestField("user_id", "string", "user", required=True),
    RequestField("hour", "int64", "context", per_candidate=True, required=True),
    RequestField("day_of_week", "int64", "context", required=True),
    RequestField("step", "int64", "context", required=True),
    RequestField("step_bucket", "string", "context", per_candidate=True, required=True),
    RequestField("history_item", "string", "history", default=""),
    RequestField("item", "string", "candidate", per_candidate=True, required=True),
    RequestField("price", "float32", "candidate", per_candidate=True, default=0.1),
)
PAST = [
    {"timestamp_ms": NOW - 60_000 * minutes, "item": f"item {minutes}", "click": minutes % 2}
    for minutes in (3, 90, 1, 31, 2, 64)
]
USER = {"user_id": "u1", "age": 31.7, "town": "Köln", "user_id_impressions": 40}
REQUESTS = [
    {
        "time_ms": NOW,
        "user": USER,
        "context": {"tab": 2},
        # One more than counts, in no order.
        "history": [{**PAST[0], "watch_share": 0.1, "feedback_ms": NOW - 9}, *PAST[1:]],
        "candidates": [{"item": name, "price": 0.1 * k} for k, name in enumerate("abcdé")],
    },
    # Nobody has seen this user.
    {"time_ms": NOW + 1, "user": {"user_id": "stranger"}, "candidates": [{"item": "a"}]},
    {
        "time_ms": NOW - 86_400_000 * 5,
        "user": {**USER, "age": 30, "town": None, "user_id_impressions": 7.0},
        "context": {"hour": 3, "step": 40},
        "history": [],
        "candidates": [{"item": f"candidate {k}", "price": 1e-42 * k} for k in range(300)],
    },
    {
        "time_ms": NOW,
        "user": {"user_id": "", "user_id_impressions": 2**62},
        "context": {"step": 0, "hour": 0, "day_of_week": 6, "step_bucket": "1", "tab": -1},
        "history": [{"timestamp_ms": NOW - 1, "watch_share": None}],
        "candidates": [{"item": "b", "price": 16777217}, {"item": "", "price": -0.0}],
    },
]
BARE = REQUESTS[1]
#: What is wrong with a request, and what its message names.
REFUSED = [
    ({**BARE, "candidates": []}, "candidate"),
    ({**BARE, "candidates": [{}]}, "item of candidate 0"),
    ({**BARE, "candidates": [{"item": "a"}, {"item": 3}]}, "item of candidate 1"),
    ({**BARE, "candidates": [{"item": "a", "cost": 3}]}, "'cost' of candidate 0"),
    ({**BARE, "candidates": [{"item": "a", "price": 1e39}]}, "price of candidate 0"),
    ({**BARE, "candidates": [{"item": "a", "price": float("nan")}]}, "price of candidate 0"),
    ({**BARE, "candidates": [{"item": "a", "price": True}]}, "price of candidate 0"),
    ({**BARE, "user": {}}, "user_id of the user"),
    ({**BARE, "user": {**USER, "user_id_impressions": 1.5}}, "user_id_impressions of the user"),
    ({**BARE, "user": {**USER, "user_id_impressions": 2**63}}, "user_id_impressions of the user"),
    ({**BARE, "context": {"colour": 1}}, "'colour'"),
    # Nothing follows from a place in the session that is not known.
    ({**BARE, "context": {"step": None}}, "hour of the context"),
    ({**BARE, "time_ms": NOW // 1000}, "timestamp_ms"),
    ({**BARE, "history": [{"item": "a"}]}, "timestamp_ms of earlier impression 0"),
    ({**BARE, "history": [{"timestamp_ms": NOW + 1}]}, "timestamp_ms of earlier impression 0"),
    ({**BARE, "history": [{"timestamp_ms": "now"}]}, "timestamp_ms of earlier impression 0"),
]


def maven(target, *options):
    """Compiles; gives the exit status and what Maven printed."""
    command = ["mvn", "-q", "-B", "-ntp", *options, f"-Dbuild.target={target}", "process-classes"]
    done = subprocess.run(
        command, cwd=PROJECT, timeout=300, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    return done.returncode, done.stdout.decode(errors="replace")


@pytest.fixture(scope="module")
def classpath(tmp_path_factory):
    """Of the compiled example."""
    for program in ("java", "mvn"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    target = tmp_path_factory.mktemp("java")
    failed, said = maven(target, "-o")
    if failed and any(words in said for words in UNAVAILABLE):
        try:
            failed, said = maven(target)
        except subprocess.TimeoutExpired:
            pytest.skip("Maven did not fetch the artifacts (150 MB) in five minutes")
        if failed and any(words in said for words in UNAVAILABLE):
            pytest.skip(f"Maven cannot fetch the artifacts: {said[:300]}")
    assert not failed, said
    return os.pathsep.join([str(target / "classes"), (target / "classpath").read_text()])


def with_columns(version, exported, columns):
    """Copies a ranker to ``version``, and says there what its requests hold."""
    shutil.copytree(exported / "1", version)
    metadata = version / "assets.extra" / "mtfx.json"
    metadata.parent.mkdir(exist_ok=True)
    fields = [field.to_dict() for field in merged(STATE_CONFIG.fields, columns)]
    # The ranking model of this one reads one more earlier impression than the state does.
    about = {"request_state": STATE_CONFIG.to_dict(), "history_length": STATE_CONFIG.length + 1}
    metadata.write_text(json.dumps({"request": fields, **about}))


@pytest.fixture(scope="module")
def base(exported, tmp_path_factory):
    """A server's directory with one version."""
    base = tmp_path_factory.mktemp("java_ranker") / "ranker"
    with_columns(base / "1", exported, COLUMNS)
    return base


def run(classpath, base, requests, *arguments):
    """What the example answers."""
    command = ["java", "-cp", classpath, "ranker.Main", str(base / "1"), *arguments]
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    done = subprocess.run(command, input=lines.encode(), capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def built(classpath, base):
    """The requests as Java builds them."""
    found = run(classpath, base, REQUESTS, "--build-only")
    return [base64.b64decode(one["request"]) for one in found]


def test_a_request_holds_what_was_given_and_what_follows_from_it(classpath, base):
    features = tf.train.Example.FromString(built(classpath, base)[0]).features.feature
    found = {
        name: list(getattr(feature, feature.WhichOneof("kind")).value)
        for name, feature in features.items()
    }
    assert found["user_id"] == [b"u1"]
    assert found["town"] == ["Köln".encode()]
    assert found["tab"] == [2]
    # A Tuesday, 22:13. The oldest of the five that count is 33 minutes older than the next.
    assert (found["hour"], found["day_of_week"]) == ([22] * 5, [1])
    assert (found["step"], found["step_bucket"]) == ([4], [b"4-7"] * 5)
    minutes = [64, 31, 3, 2, 1]
    assert found["history_timestamp_ms"] == [NOW - 60_000 * m for m in minutes]
    assert found["history_item"] == [f"item {m}".encode() for m in minutes]
    assert found["history_click"] == [m % 2 for m in minutes]
    assert found["history_like"] == [-1] * 5
    assert found["history_watch_share"] == list(np.float32([-1, -1, 0.1, -1, -1]))
    assert found["item"] == [b"a", b"b", b"c", b"d", "é".encode()]
    assert found["price"] == list(np.float32([0.0, 0.1, 0.2, 0.1 * 3, 0.4]))


def test_requests_are_the_same_bytes(classpath, base):
    builder = RequestBuilder.load(base / "1")
    for request, found in zip(REQUESTS, built(classpath, base), strict=True):
        assert found == builder.build(**request)


def test_what_one_refuses_the_other_does(classpath, base):
    builder = RequestBuilder.load(base / "1")
    found = run(classpath, base, [request for request, _ in REFUSED], "--build-only")
    for (request, named), one in zip(REFUSED, found, strict=True):
        with pytest.raises(RequestError, match=named):
            builder.build(**request)
        assert named in one.get("error", "not refused"), request


def test_rankings_in_process_over_grpc_and_in_python_are_equal(classpath, base):
    requests = built(classpath, base)
    loaded = tf.saved_model.load(str(base / "1")).signatures["serving_default"]
    here = [loaded(request=tf.constant(request)) for request in requests]
    in_process = run(classpath, base, REQUESTS)
    with StandInServer(str(base), poll_s=3600) as server:
        target = f"localhost:{server.grpc_port}"
        over_grpc = run(classpath, base, REQUESTS, "--target", target)
        client = GrpcRankerClient(target, timeout_s=30)
        served = [client.rank(request) for request in requests]
        client.close()
    # The libraries of the JVM are TensorFlow 2.16's.
    tolerance = 0.0 if tf.__version__.startswith("2.16.") else 1e-6
    for java, remote, python, answer in zip(in_process, over_grpc, here, served, strict=True):
        scores = python["scores"].numpy()
        np.testing.assert_allclose(np.float32(java["scores"]), scores, rtol=tolerance)
        np.testing.assert_array_equal(np.float32(remote["scores"]), answer.scores)
        np.testing.assert_array_equal(answer.scores, scores)
        for one in (java, remote):
            assert one["ranked_indices"] == python["ranked_indices"].numpy().tolist()
            assert one["state_size"] == STATE_DIM
            assert one["history_left_out"] == python["history_left_out"]
    assert [one["history_left_out"] for one in in_process] == [1, 0, 0, 0]


def test_the_program_of_the_guide_ranks(classpath, exported, tmp_path):
    guide = (ROOT / "docs" / "serving.md").read_text()
    [program] = re.findall(r"^```java\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    (tmp_path / "Rank.java").write_text(program)
    columns = (
        RequestField("user_id", "int64", "user", default=-1),
        RequestField("history_item_id", "int64", "history", default=-1),
        RequestField("item_id", "int64", "candidate", per_candidate=True, required=True),
        # What the ranking model of these tests reads.
        RequestField("item", "string", "candidate", per_candidate=True, default=""),
    )
    with_columns(tmp_path / "1", exported, columns)
    command = ["java", "-cp", classpath, "Rank.java", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120)
    assert done.stdout == b"[0, 1]\n", done.stderr.decode(errors="replace")[-3000:]
