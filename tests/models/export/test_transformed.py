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

from mtfx.models.export.ranker import export_ranker
from mtfx.models.export.transformed import TransformedRanker
from mtfx.models.fusion.config import FusionConfig, build_fusion
from tests.tiny_ranking import (
    NAMES,
    REQUEST,
    STATE,
    STATE_DIM,
    TinyPolicy,
    TinyRankingModel,
    TransformedTinyRankingModel,
    by_hand,
    example,
    save_tiny,
    write_vocabulary,
)

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
    ranker = TransformedRanker(ranking, NAMES, fusion, TinyPolicy(), STATE_DIM)
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


def serve(signatures, examples, state=STATE):
    answer = signatures["serving_default"](
        state=tf.constant(state, tf.float32), examples=tf.constant(examples, tf.string)
    )
    return {name: value.numpy() for name, value in answer.items()}


def rank_transformed(signatures, items, age=0.0, state=STATE):
    answer = signatures["rank_transformed"](
        state=tf.constant(state, tf.float32),
        session_ids=tf.zeros([0], tf.int64),
        session_values=tf.constant([age]),
        impression_ids=tf.reshape(tf.constant(items, tf.int64), [-1, 1]),
        impression_values=tf.zeros([len(items), 0]),
    )
    return {name: value.numpy() for name, value in answer.items()}


def test_requests_in_all_forms_get_what_numpy_gives(signatures):
    action, predictions, scores = by_hand()
    answer = serve(signatures, REQUEST)
    np.testing.assert_allclose(answer["action"], action, rtol=1e-5)
    np.testing.assert_allclose(answer["predictions"], predictions, rtol=1e-5)
    np.testing.assert_allclose(answer["scores"], scores, rtol=1e-5)
    assert answer["ranked_indices"].tolist() == np.argsort(-scores).tolist()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 8, 9, 40])
def test_every_size_ranks_as_one_example_per_candidate_does(signatures, count):
    items = [k % 4 for k in range(count)]
    names = ["abcd"[item] for item in items]
    many = serve(signatures, [example([name], 5.0) for name in names])
    one = serve(signatures, [example(names, 5.0)])
    transformed = rank_transformed(signatures, items, 5.0)
    assert many["predictions"].shape == (count, 2)
    for name, value in many.items():
        np.testing.assert_allclose(one[name], value, rtol=1e-6)
        np.testing.assert_array_equal(transformed[name], one[name])


def test_transform_gives_what_rank_transformed_takes(signatures):
    examples = tf.constant([example(["c", "a"], 5.0), example(["unknown"])])
    found = {k: v.numpy().tolist() for k, v in signatures["transform"](examples=examples).items()}
    assert found == {
        "session_ids": [[], []],
        "session_values": [[5.0], [0.0]],
        "impression_ids": [[2], [0], [4]],
        "impression_values": [[], [], []],
        "row_lengths": [2, 1],
    }


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        ([example(["unknown"])], r"predictions must lie in \[0, 1\]"),
        ([example(["d"], 700.0)], r"predictions must lie in \[0, 1\]"),
        ([*REQUEST, example([])], "examples must each hold a candidate"),
        ([example([]), example([])], "examples must each hold a candidate"),
        ([*REQUEST, example(["a", "b"])], "examples must hold one candidate each"),
    ],
)
def test_a_bad_request_is_answered_by_the_name_of_its_input(signatures, examples, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        serve(signatures, examples)


@pytest.mark.parametrize(
    ("items", "age", "state", "message"),
    [
        ([0, 5], 0.0, STATE, r"impression_ids must lie in item \[0, 5\)"),
        ([0, -1], 0.0, STATE, r"impression_ids must lie in item \[0, 5\)"),
        ([0, 1], math.nan, STATE, r"predictions must lie in \[0, 1\]"),
        ([0, 1], 0.0, [math.nan, 0.0, 0.0], "state must not hold NaN"),
    ],
)
def test_bad_transformed_features_are_named(signatures, items, age, state, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        rank_transformed(signatures, items, age, state)


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


COUNT_PROGRAMS = """
import pathlib, sys
import tensorflow as tf

signatures = tf.saved_model.load(sys.argv[1]).signatures
rank, serve = signatures["rank_transformed"], signatures["serving_default"]
example = tf.train.Example()
example.features.feature["item"].bytes_list.value.append(b"a")
for sizes in sys.argv[3:]:
    for count in map(int, sizes.split(",")):
        rank(
            state=tf.constant([0.3, -0.8, 0.4]),
            session_ids=tf.zeros([0], tf.int64),
            session_values=tf.constant([1.0]),
            impression_ids=tf.zeros([count, 1], tf.int64),
            impression_values=tf.zeros([count, 0]),
        )
        # Warm-up requests are of serving_default alone: its programs have to be the others' too.
        serve(state=tf.zeros([3]), examples=tf.constant([example.SerializeToString()]))
    print(len(list(pathlib.Path(sys.argv[2]).glob("*before_optimizations.txt"))))
"""


@pytest.mark.slow
def test_xla_makes_one_program_per_bucket_and_none_for_larger_requests(compiled, tmp_path):
    sizes = ["1,2,3,0", "9,10,11", "4,8,7,5"]
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
    with pytest.raises(ValueError, match="exported without transform, checked, predict_trans"):
        make(older)
