"""Features that were looked up ahead, and request sizes that XLA compiles, rank as examples do."""

import math
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from mtfx.datasets.fused_predictions import FusedPrediction, probabilities
from mtfx.datasets.request_state import RequestColumn
from mtfx.models.export.ranker import export_ranker
from mtfx.models.export.transformed import TransformedRanker
from mtfx.models.fusion.config import FusionConfig, build_fusion
from mtfx.models.request_state import RequestState
from tests.models.export.test_ranker import answer_with_tensorflow_alone
from tests.request_examples import example
from tests.tiny_ranking import (
    NAMES,
    NOW,
    REQUEST,
    STATE_CONFIG,
    STATE_DIM,
    TinyPolicy,
    TinyRankingModel,
    TransformedTinyRankingModel,
    by_hand,
    save_tiny,
    state_by_hand,
    write_vocabulary,
)

OWN_DIM = STATE_DIM - len(NAMES)

BUCKETS = (8, 3)


@pytest.fixture(scope="module")
def ranking(tmp_path_factory):
    directory = tmp_path_factory.mktemp("ranking")
    vocabulary = write_vocabulary(directory / "vocabulary.txt")
    model = save_tiny(TransformedTinyRankingModel(vocabulary), directory / "model")
    os.unlink(vocabulary)
    return model


def make(ranking, buckets=()):
    fusion = build_fusion(FusionConfig(beta=0.01), 2)
    state = RequestState(STATE_CONFIG)
    fused = probabilities(NAMES)
    ranker = TransformedRanker(ranking, fused, fusion, TinyPolicy(), STATE_DIM, request_state=state)
    ranker.compile_for(buckets)
    return ranker


@pytest.fixture(scope="module")
def plain(ranking, tmp_path_factory):
    path = tmp_path_factory.mktemp("plain") / "1"
    export_ranker(make(ranking), str(path), {})
    return path


@pytest.fixture(scope="module")
def compiled(ranking, tmp_path_factory):
    path = tmp_path_factory.mktemp("compiled") / "1"
    export_ranker(make(ranking, buckets=BUCKETS), str(path), {})
    return path


@pytest.fixture(scope="module", params=["plain", "compiled"])
def directory(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def signatures(directory):
    return tf.saved_model.load(str(directory)).signatures


def serve(signatures, request):
    answer = signatures["serving_default"](request=tf.constant(request))
    return {name: value.numpy() for name, value in answer.items()}


def rank_transformed(signatures, items, age=0.0, request_state=None):
    own = np.zeros(OWN_DIM) if request_state is None else request_state
    answer = signatures["rank_transformed"](
        request_state=tf.constant(own, tf.float32),
        session_ids=tf.zeros([0], tf.int64),
        session_values=tf.constant([age]),
        impression_ids=tf.reshape(tf.constant(items, tf.int64), [-1, 1]),
        impression_values=tf.zeros([len(items), 0]),
    )
    return {name: value.numpy() for name, value in answer.items()}


def test_a_request_gets_what_numpy_gives(signatures):
    state, action, predictions, scores = by_hand()
    answer = serve(signatures, REQUEST)
    np.testing.assert_allclose(answer["state"], state, atol=1e-6)
    np.testing.assert_allclose(answer["action"], action, rtol=1e-5)
    np.testing.assert_allclose(answer["predictions"], predictions, rtol=1e-5)
    np.testing.assert_allclose(answer["scores"], scores, rtol=1e-5)
    assert answer["ranked_indices"].tolist() == np.argsort(-scores).tolist()
    assert answer["history_left_out"] == 1


@pytest.mark.parametrize("count", [1, 2, 3, 4, 8, 9, 40, 10_000])
def test_every_size_is_ranked_and_looked_up_ahead_likewise(signatures, count):
    items = [k % 4 for k in range(count)]
    request = example(item=["abcd"[item] for item in items], age=5.0, timestamp_ms=NOW)
    one = serve(signatures, request)
    assert one["predictions"].shape == (count, 2)
    assert sorted(one["ranked_indices"]) == list(range(count))
    np.testing.assert_allclose(one["state"], state_by_hand(request, one["predictions"]), atol=1e-6)
    transformed = rank_transformed(signatures, items, 5.0, one["state"][:OWN_DIM])
    assert set(transformed) == set(one) - {"history_left_out"}
    for name, value in transformed.items():
        np.testing.assert_array_equal(value, one[name])


def test_transform_gives_what_rank_transformed_takes(signatures):
    examples = [
        REQUEST,
        example(item="unknown"),
        example(age=5.0, timestamp_ms=NOW),  # a user's part alone
    ]
    found = {k: v.numpy() for k, v in signatures["transform"](examples=examples).items()}
    own = RequestState(STATE_CONFIG).of_requests(tf.constant(examples)).state
    np.testing.assert_allclose(found.pop("request_state"), own, atol=1e-6)
    assert {name: value.tolist() for name, value in found.items()} == {
        "session_ids": [[], [], []],
        "session_values": [[2.0], [0.0], [5.0]],
        "impression_ids": [[2], [0], [3], [1], [4]],
        "impression_values": [[], [], [], [], []],
        "row_lengths": [4, 1, 0],
        "history_left_out": [1, 0, 0],
    }


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (example(item="unknown"), r"predictions must lie in \[0, 1\]"),
        (example(item="d", age=700.0), r"predictions must lie in \[0, 1\]"),
        (example(age=1.0), "the request has no candidate"),
        (b"", "the request has no candidate"),
        (b"no proto", "Could not parse example"),
    ],
    ids=["unknown", "share", "no candidate", "empty", "no proto"],
)
def test_a_bad_request_is_answered_by_the_name_of_its_input(signatures, request_, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        serve(signatures, request_)


@pytest.mark.parametrize(
    ("items", "age", "request_state", "message"),
    [
        ([0, 5], 0.0, None, r"impression_ids must lie in item \[0, 5\)"),
        ([0, -1], 0.0, None, r"impression_ids must lie in item \[0, 5\)"),
        ([0, 1], math.nan, None, r"predictions must lie in \[0, 1\]"),
        ([0, 1], 0.0, [math.nan] * OWN_DIM, "state must not hold NaN"),
        ([], 0.0, None, "the request has no candidate"),
    ],
)
def test_bad_transformed_features_are_named(signatures, items, age, request_state, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        rank_transformed(signatures, items, age, request_state)


def operations(directory, function):
    """Names of all operations of an exported function, those of the functions it calls too."""
    model: saved_model_pb2.SavedModel = saved_model_pb2.SavedModel()
    model.ParseFromString((directory / "saved_model.pb").read_bytes())
    (graph,) = model.meta_graphs
    functions = {f.signature.name: f for f in graph.graph_def.library.function}
    waiting = [next(n for n in functions if n.startswith(f"__inference_{function}_"))]
    seen, found = set(), set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for node in functions[name].node_def:
            found.add(node.op)
            called = (v.func.name for v in node.attr.values() if v.HasField("func"))
            waiting.extend(c for c in called if c in functions)
    return found


def test_strings_end_where_the_features_are_looked_up(directory):
    strings = re.compile("String|Lookup|Parse|HashBucket")
    assert {op for op in operations(directory, "serve") if strings.search(op)}
    for function in ("rank_transformed", "explore_transformed"):
        found = operations(directory, function)
        assert "MatMul" in found
        assert not {op for op in found if strings.search(op)}


COUNT_PROGRAMS = f"""
OWN_DIM = {OWN_DIM}
import pathlib, sys
import tensorflow as tf

signatures = tf.saved_model.load(sys.argv[1]).signatures
rank, serve = signatures["rank_transformed"], signatures["serving_default"]
example = tf.train.Example()
example.features.feature["item"].bytes_list.value.append(b"a")
for sizes in sys.argv[3:]:
    for count in map(int, sizes.split(",")):
        rank(
            request_state=tf.zeros([OWN_DIM]),
            session_ids=tf.zeros([0], tf.int64),
            session_values=tf.constant([1.0]),
            impression_ids=tf.zeros([count, 1], tf.int64),
            impression_values=tf.zeros([count, 0]),
        )
        # Warm-up requests are of serving_default alone: its programs have to be the others' too.
        serve(request=tf.constant(example.SerializeToString()))
    print(len(list(pathlib.Path(sys.argv[2]).glob("*before_optimizations.txt"))))
"""


@pytest.mark.slow
def test_xla_makes_one_program_per_bucket_and_none_for_larger_requests(compiled, tmp_path):
    sizes = ["1,2,3", "9,10,11", "4,8,7,5"]
    done = subprocess.run(
        [sys.executable, "-c", COUNT_PROGRAMS, compiled, tmp_path / "dump", *sizes],
        env={
            **os.environ,
            "XLA_FLAGS": f"--xla_dump_to={tmp_path / 'dump'} --xla_dump_hlo_as_text",
        },
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["1", "1", "2"]


def test_what_cannot_be_compiled_for_is_refused(ranking, tmp_path):
    for buckets in ((0,), (4, 4)):
        with pytest.raises(ValueError, match="buckets are different positive numbers"):
            make(ranking, buckets=buckets)
    vocabulary = write_vocabulary(tmp_path / "vocabulary.txt")
    older = save_tiny(TinyRankingModel(vocabulary), tmp_path / "older")
    with pytest.raises(ValueError, match="exported without transform, checked, predict_request"):
        make(older)


LENGTH = RequestColumn("length", "float32")
ALL_KINDS = (
    FusedPrediction("click", "click"),
    FusedPrediction("like", "like", "negative"),
    FusedPrediction("watch_s", "watch_s", "regression", scale=20.0),
    FusedPrediction("play_integrity", "watch_s", "play_integrity", 0.5, duration=LENGTH),
)


@pytest.fixture(scope="module")
def fused(ranking, tmp_path_factory):
    """A ranker that fuses all kinds of predictions, and the function that fuses them."""
    directory = tmp_path_factory.mktemp("fused") / "1"
    fusion, state = build_fusion(FusionConfig("formula1"), 4), RequestState(STATE_CONFIG)
    policy = TinyPolicy(4, len(STATE_CONFIG.state_names([one.name for one in ALL_KINDS])))
    ranker = TransformedRanker(ranking, ALL_KINDS, fusion, policy, OWN_DIM + 4, request_state=state)
    ranker.compile_for((4,))
    export_ranker(ranker, str(directory), {})
    return directory, fusion


MIXED = example(
    item=list("cadb"), age=2.0, timestamp_ms=NOW, length=[50.0, 10.0, 0.0, 20.0], user_impressions=9
)


def test_every_kind_of_prediction_is_fused_alike_in_every_signature(fused):
    directory, fusion = fused
    signatures = tf.saved_model.load(str(directory)).signatures
    answer = serve(signatures, MIXED)
    raw = signatures["predict_tasks"](item=tf.constant(list("cadb")), age=tf.fill([4], 2.0))
    click, like, watch = (raw[name].numpy() for name in ("click", "like", "watch_s"))
    length = np.array([50, 10, 1, 20])
    share = np.where([1, 1, 0, 1], watch / length, 0.5)
    wanted = np.stack([click, 1 - like, watch / (watch + 20), share / (share + 0.5)], axis=1)
    np.testing.assert_allclose(answer["predictions"], wanted, rtol=1e-5)
    np.testing.assert_allclose(answer["state"][OWN_DIM:], wanted.mean(axis=0), rtol=1e-5)
    scores = fusion.scores(
        tf.constant(wanted[None], tf.float32), tf.constant(answer["action"][None])
    )
    np.testing.assert_allclose(answer["scores"], scores[0], rtol=1e-5)
    looked_up = signatures["transform"](examples=tf.constant([MIXED]))
    assert looked_up["durations"].numpy().tolist() == [50.0, 10.0, 0.0, 20.0]
    features = {
        name: value if name.startswith(("impression", "durations")) else value[0]
        for name, value in looked_up.items()
        if name not in ("row_lengths", "history_left_out")
    }
    ahead = signatures["rank_transformed"](**features)
    explored = signatures["explore_transformed"](
        **features, seed=tf.constant([1, 2]), at_random=tf.constant(True)
    )
    for name in ("predictions", "state"):
        np.testing.assert_allclose(ahead[name], answer[name], rtol=1e-6)
        np.testing.assert_allclose(explored[name], answer[name], rtol=1e-6)
    np.testing.assert_allclose(ahead["scores"], answer["scores"], rtol=1e-6)


def test_a_fresh_process_fuses_as_the_library_does(fused):
    answer = answer_with_tensorflow_alone(fused[0], MIXED)
    own = serve(tf.saved_model.load(str(fused[0])).signatures, MIXED)
    for name in ("predictions", "scores", "action", "state"):
        np.testing.assert_allclose(answer[name], own[name], rtol=1e-6, atol=1e-7)


def test_a_request_without_its_durations_is_refused(fused):
    signatures = tf.saved_model.load(str(fused[0])).signatures
    assert "durations" in signatures["rank_transformed"].structured_input_signature[1]
    for length in ([], [5.0]):
        request = example(item=list("ca"), age=2.0, timestamp_ms=NOW, length=length)
        with pytest.raises(tf.errors.InvalidArgumentError, match="a value for each candidate"):
            serve(signatures, request)
