"""A ranker is its parts, also in a process that has only TensorFlow."""

from __future__ import annotations

import base64
import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from mtfx.models.export.ranker import MASKED_SCORE, Ranker, export_ranker
from mtfx.models.fusion.config import FusionConfig, build_fusion
from tests.tiny_ranking import (
    NAMES,
    REQUEST,
    STATE,
    STATE_DIM,
    TinyPolicy,
    TinyRankingModel,
    by_hand,
    example,
    save_tiny,
    write_vocabulary,
)


@pytest.fixture(scope="module")
def ranking(tmp_path_factory):
    directory = tmp_path_factory.mktemp("ranking")
    vocabulary = write_vocabulary(directory / "vocabulary.txt")
    model = save_tiny(TinyRankingModel(vocabulary), directory / "model")
    os.unlink(vocabulary)  # it lives on as an asset
    return model


@pytest.fixture(scope="module")
def parts():
    return build_fusion(FusionConfig(beta=0.01), 2), TinyPolicy()


def exported(ranking, parts, directory, **settings):
    fusion, policy = parts
    export_ranker(
        Ranker(ranking, NAMES, fusion, policy, STATE_DIM, **settings), str(directory), {"seed": 3}
    )
    return tf.saved_model.load(str(directory)).signatures


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("ranker") / "1"


@pytest.fixture(scope="module")
def signatures(ranking, parts, directory):
    return exported(ranking, parts, directory)


def serve(signatures, state, examples):
    answer = signatures["serving_default"](
        state=tf.constant(state, tf.float32), examples=tf.constant(examples, tf.string)
    )
    return {name: value.numpy() for name, value in answer.items()}


ONLY_TENSORFLOW = """
import importlib.abc, json, sys

class Refuse(importlib.abc.MetaPathFinder):
    names = {"mtfx", "tf_agents", "tensorflow_transform", "tensorflow_probability",
             "tensorflow_recommenders"}
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.names:
            raise ImportError("only TensorFlow may be loaded here, not " + name)

sys.meta_path.insert(0, Refuse())
import base64
import tensorflow as tf

model = tf.saved_model.load(sys.argv[1])
request = json.load(sys.stdin)
answer = model.signatures["serving_default"](
    state=tf.constant(request["state"]),
    examples=tf.constant([base64.b64decode(e) for e in request["examples"]]),
)
json.dump({name: value.numpy().tolist() for name, value in answer.items()}, sys.stdout)
"""


@pytest.mark.usefixtures("signatures")
def test_a_process_that_has_only_tensorflow_gets_what_the_parts_give(directory):
    request = {"state": STATE, "examples": [base64.b64encode(e).decode() for e in REQUEST]}
    done = subprocess.run(
        [sys.executable, "-c", ONLY_TENSORFLOW, str(directory)],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=True,
        cwd=directory,
    )
    answer = json.loads(done.stdout)
    action, predictions, scores = by_hand()
    np.testing.assert_allclose(answer["action"], action, rtol=1e-5)
    np.testing.assert_allclose(answer["predictions"], predictions, rtol=1e-5)
    np.testing.assert_allclose(answer["scores"], scores, rtol=1e-5)
    assert answer["ranked_indices"] == np.argsort(-scores).tolist()
    np.testing.assert_allclose(answer["state"], STATE)


def test_names_types_and_shapes_are_fixed(signatures):
    found = {
        name: {
            output: (spec.dtype.name, spec.shape.as_list())
            for output, spec in signatures[name].structured_outputs.items()
        }
        for name in ("serving_default", "fuse")
    }
    assert found == {
        "serving_default": {
            "action": ("float32", [2]),
            "predictions": ("float32", [None, 2]),
            "ranked_indices": ("int32", [None]),
            "scores": ("float32", [None]),
            "state": ("float32", [3]),
        },
        "fuse": {
            "action": ("float32", [None, 2]),
            "ranked_indices": ("int32", [None, None]),
            "scores": ("float32", [None, None]),
        },
    }


def explore(signatures, seed, at_random, state=STATE):
    answer = signatures["explore"](
        state=tf.constant(state, tf.float32),
        examples=tf.constant(REQUEST),
        seed=tf.constant(seed, tf.int32),
        at_random=tf.constant(at_random),
    )
    return {name: value.numpy() for name, value in answer.items()}


@pytest.mark.parametrize(("at_random", "deviation"), [(True, 0.5), (False, 0.1)])
def test_an_explored_request_tells_its_action_and_its_density(signatures, at_random, deviation):
    own, predictions, _ = by_hand()
    centre = np.zeros(2) if at_random else own
    drawn = []
    for number in range(30):
        answer = explore(signatures, [7, number], at_random)
        action = answer["action"]
        drawn.append(action)
        bounds = (-1 - centre) / deviation, (1 - centre) / deviation
        density = stats.truncnorm.logpdf(action, *bounds, loc=centre, scale=deviation).sum()
        np.testing.assert_allclose(answer["log_density"], density, rtol=1e-3, atol=1e-3)
        scores = np.log(predictions + 0.01) @ ((action + 1) / 2)
        np.testing.assert_allclose(answer["scores"], scores, rtol=1e-5)
        assert answer["ranked_indices"].tolist() == np.argsort(-scores).tolist()
    assert np.abs(drawn).max() <= 1
    assert 0.3 < np.std(drawn, axis=0).mean() / deviation < 1.3
    again = explore(signatures, [7, 3], at_random)["action"]
    np.testing.assert_array_equal(again, drawn[3])
    with pytest.raises(tf.errors.InvalidArgumentError, match="state"):
        explore(signatures, [7, 0], at_random, [math.nan, 0.0, 0.0])


def test_one_example_may_hold_all_candidates(signatures):
    one = serve(signatures, STATE, [example(["c", "a", "b"], 5.0)])
    many = serve(signatures, STATE, [example([item], 5.0) for item in "cab"])
    for name in one:
        np.testing.assert_array_equal(one[name], many[name])


@pytest.mark.parametrize("examples", [[], [example([])]], ids=["no example", "no item"])
def test_a_request_without_candidates_ranks_nothing(signatures, examples):
    answer = serve(signatures, STATE, examples)
    assert answer["predictions"].shape == (0, 2)
    assert answer["scores"].shape == answer["ranked_indices"].shape == (0,)
    np.testing.assert_allclose(answer["action"], by_hand()[0], rtol=1e-5)


@pytest.mark.parametrize(
    ("state", "examples", "message"),
    [
        ([0.0, math.nan, 0.0], REQUEST, "state must not hold NaN"),
        (STATE, [*REQUEST, example(["unknown"])], r"predictions must lie in \[0, 1\]"),
        (STATE, [example(["d"], 700.0)], r"predictions must lie in \[0, 1\]"),
        (STATE, [*REQUEST, example([])], "examples must each hold a candidate"),
        (STATE, [example([]), example([])], "examples must each hold a candidate"),
        (STATE, [*REQUEST, example(["a", "b"])], "examples must hold one candidate each"),
        (STATE, [b"no proto"], "Could not parse example"),
    ],
)
def test_a_bad_request_is_answered_by_the_name_of_its_input(signatures, state, examples, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        serve(signatures, state, examples)


def fuse(signatures, state, predictions, mask):
    answer = signatures["fuse"](
        state=tf.constant(state, tf.float32),
        predictions=tf.constant(predictions, tf.float32),
        mask=tf.constant(mask),
    )
    return {name: value.numpy() for name, value in answer.items()}


def test_requests_of_different_sizes_are_fused_side_by_side(signatures, parts):
    fusion, policy = parts
    rng = np.random.default_rng(0)
    predictions = rng.uniform(0, 1, (3, 5, 2)).astype(np.float32)
    state = rng.normal(size=(3, 3)).astype(np.float32)
    sizes = [5, 2, 0]
    mask = np.arange(5) < np.array(sizes)[:, np.newaxis]
    padded = np.where(mask[..., np.newaxis], predictions, np.nan)
    answer = fuse(signatures, state, padded, mask)
    action = tf.clip_by_value(policy(state), -1, 1)
    scores = fusion.scores(tf.constant(predictions), action).numpy()
    np.testing.assert_allclose(answer["action"], action, rtol=1e-6)
    np.testing.assert_allclose(answer["scores"][mask], scores[mask], rtol=1e-6)
    assert np.all(answer["scores"][~mask] == MASKED_SCORE)
    for row, size in enumerate(sizes):
        expected = np.argsort(-scores[row, :size], kind="stable").tolist()
        assert answer["ranked_indices"][row].tolist() == expected + [-1] * (5 - size)


def test_equal_candidates_keep_their_order(signatures):
    answer = fuse(signatures, [STATE], np.full((1, 6, 2), 0.25), np.ones((1, 6), bool))
    assert answer["ranked_indices"].tolist() == [[0, 1, 2, 3, 4, 5]]


def test_no_request_and_no_candidate_are_fused_to_nothing(signatures):
    for shape in ((0, 4), (2, 0)):
        state, mask = np.zeros((shape[0], 3)), np.ones(shape, bool)
        answer = fuse(signatures, state, np.zeros((*shape, 2)), mask)
        assert answer["scores"].shape == answer["ranked_indices"].shape == shape


def test_predictions_from_raw_tensors_are_the_ranking_models(signatures, ranking):
    raw = {"item": tf.constant(["b", "d"]), "age": tf.constant([1.0, 2.0])}
    answer, own = (s["predict_tasks"](**raw) for s in (signatures, ranking.signatures))
    assert set(answer) == set(own) == {"click", "like", "watch_s"}
    for name, value in own.items():
        np.testing.assert_array_equal(answer[name], value)


def test_means_of_the_predictions_are_filled_into_the_state(ranking, parts):
    ranker = Ranker(ranking, NAMES, *parts, STATE_DIM, means_at=1)
    signatures = {"serving_default": ranker.serve}
    answer = serve(signatures, [0.3, math.nan, math.nan], REQUEST)
    state = [0.3, *by_hand()[1].mean(axis=0)]
    np.testing.assert_allclose(answer["state"], state, rtol=1e-6)
    np.testing.assert_allclose(answer["scores"], by_hand(state)[2], rtol=1e-5)
    np.testing.assert_allclose(serve(signatures, [0.3, 9, 9], [])["state"], [0.3, 0, 0])


@pytest.mark.slow
def test_a_policy_that_was_saved_is_joined_too(ranking, parts, tmp_path):
    fusion, policy = parts
    spec = tf.TensorSpec([None, STATE_DIM], tf.float32, name="state")
    function = tf.function(lambda state: {"action": policy(state)}, input_signature=[spec])
    policy.actions = function
    tf.saved_model.save(policy, str(tmp_path / "policy"), signatures={"actions": function})
    loaded = tf.saved_model.load(str(tmp_path / "policy"))

    def act(state):
        return loaded.signatures["actions"](state=state)["action"]

    signatures = exported(ranking, (fusion, act), tmp_path / "1", policy_model=loaded)
    np.testing.assert_allclose(serve(signatures, STATE, REQUEST)["scores"], by_hand()[2], rtol=1e-5)
    assert json.loads((tmp_path / "1" / "assets.extra" / "mtfx.json").read_text()) == {"seed": 3}


def test_a_policy_that_gives_nan_is_named(ranking, parts):
    ranker = Ranker(ranking, NAMES, parts[0], lambda s: s[:, :2] / 0.0, STATE_DIM)
    with pytest.raises(tf.errors.InvalidArgumentError, match="action must not hold NaN"):
        serve({"serving_default": ranker.serve}, [0.0, 1.0, 1.0], REQUEST)


def test_parts_that_do_not_fit_are_refused(ranking, parts, tmp_path):
    fusion, policy = parts
    with pytest.raises(ValueError, match="does not predict share; it predicts: click, like, watch"):
        Ranker(ranking, ("click", "share"), fusion, policy, STATE_DIM)
    with pytest.raises(ValueError, match=r"takes 2 predictions, .* has 3: click, like, watch_s"):
        Ranker(ranking, (*NAMES, "watch_s"), fusion, policy, STATE_DIM)
    with pytest.raises(ValueError, match="2 means from 2 on do not fit into a state of size 3"):
        Ranker(ranking, NAMES, fusion, policy, STATE_DIM, means_at=2)
    with pytest.raises(ValueError, match=r"action must have 2 axes, the last of size 2"):
        exported(ranking, (fusion, TinyPolicy(actions=4)), tmp_path / "1")
    assert not (tmp_path / "1").exists()
    module = tf.Module()
    tf.saved_model.save(module, str(tmp_path / "empty"))
    with pytest.raises(ValueError, match="ranking model has no signature 'serving_default'"):
        Ranker(tf.saved_model.load(str(tmp_path / "empty")), NAMES, fusion, policy, STATE_DIM)
