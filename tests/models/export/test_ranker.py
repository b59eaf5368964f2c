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

from mtfx.datasets.fused_predictions import probabilities
from mtfx.models.export.ranker import MASKED_SCORE, Ranker, export_ranker
from mtfx.models.fusion.config import FusionConfig, build_fusion
from mtfx.models.request_state import RequestState
from tests.request_examples import example
from tests.tiny_ranking import (
    NAMES,
    NOW,
    REQUEST,
    STATE_CONFIG,
    STATE_DIM,
    TinyPolicy,
    TinyRankingModel,
    by_hand,
    save_tiny,
    state_by_hand,
    write_vocabulary,
)

#: Of nobody who is known, with an empty history.
STRANGER = example(item=list("ba"), timestamp_ms=NOW)


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


def made(ranking, parts, state_dim=STATE_DIM, names=NAMES, policy_model=None):
    state = RequestState(STATE_CONFIG)
    fused = probabilities(names)
    return Ranker(ranking, fused, *parts, state_dim, request_state=state, policy_model=policy_model)


def exported(ranking, parts, directory, policy_model=None):
    ranker = made(ranking, parts, policy_model=policy_model)
    export_ranker(ranker, str(directory), {"seed": 3})
    return tf.saved_model.load(str(directory)).signatures


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("ranker") / "1"


@pytest.fixture(scope="module")
def signatures(ranking, parts, directory):
    return exported(ranking, parts, directory)


def serve(signatures, request):
    answer = signatures["serving_default"](request=tf.constant(request))
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
request = tf.constant(base64.b64decode(sys.stdin.read()))
answer = model.signatures["serving_default"](request=request)
json.dump({name: value.numpy().tolist() for name, value in answer.items()}, sys.stdout)
"""


def answer_with_tensorflow_alone(directory, request):
    done = subprocess.run(
        [sys.executable, "-c", ONLY_TENSORFLOW, str(directory)],
        input=base64.b64encode(request).decode(),
        capture_output=True,
        text=True,
        check=True,
        cwd=directory,
    )
    return json.loads(done.stdout)


@pytest.mark.usefixtures("signatures")
def test_a_process_that_has_only_tensorflow_gets_what_the_parts_give(directory):
    answer = answer_with_tensorflow_alone(directory, REQUEST)
    state, action, predictions, scores = by_hand()
    np.testing.assert_allclose(answer["state"], state, atol=1e-6)
    np.testing.assert_allclose(answer["action"], action, rtol=1e-5)
    np.testing.assert_allclose(answer["predictions"], predictions, rtol=1e-5)
    np.testing.assert_allclose(answer["scores"], scores, rtol=1e-5)
    assert answer["ranked_indices"] == np.argsort(-scores).tolist()
    assert answer["history_left_out"] == 1


@pytest.mark.usefixtures("signatures")
def test_it_ranks_for_an_unknown_user_whose_history_is_empty(directory):
    answer = answer_with_tensorflow_alone(directory, STRANGER)
    assert sorted(answer["ranked_indices"]) == [0, 1]
    np.testing.assert_allclose(
        answer["state"], state_by_hand(STRANGER, answer["predictions"]), atol=1e-6
    )
    assert answer["history_left_out"] == 0


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
            "history_left_out": ("int32", []),
            "predictions": ("float32", [None, 2]),
            "ranked_indices": ("int32", [None]),
            "scores": ("float32", [None]),
            "state": ("float32", [STATE_DIM]),
        },
        "fuse": {
            "action": ("float32", [None, 2]),
            "ranked_indices": ("int32", [None, None]),
            "scores": ("float32", [None, None]),
        },
    }


def explore(signatures, seed, at_random, request=REQUEST):
    answer = signatures["explore"](
        request=tf.constant(request),
        seed=tf.constant(seed, tf.int32),
        at_random=tf.constant(at_random),
    )
    return {name: value.numpy() for name, value in answer.items()}


@pytest.mark.parametrize(("at_random", "deviation"), [(True, 0.5), (False, 0.1)])
def test_an_explored_request_tells_its_action_and_its_density(signatures, at_random, deviation):
    state, own, predictions, _ = by_hand()
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
        np.testing.assert_allclose(answer["state"], state, atol=1e-6)
        assert answer["history_left_out"] == 1
    assert np.abs(drawn).max() <= 1
    assert 0.3 < np.std(drawn, axis=0).mean() / deviation < 1.3
    again = explore(signatures, [7, 3], at_random)["action"]
    np.testing.assert_array_equal(again, drawn[3])
    with pytest.raises(tf.errors.InvalidArgumentError, match="state"):
        explore(signatures, [7, 0], at_random, example(item="a", balance=math.nan))


@pytest.mark.parametrize("count", [1, 10_000])
def test_few_and_many_candidates_are_ranked(signatures, count):
    answer = serve(signatures, example(item=["abcd"[k % 4] for k in range(count)], age=1.0))
    assert answer["predictions"].shape == (count, 2)
    assert sorted(answer["ranked_indices"]) == list(range(count))
    assert np.all(np.diff(answer["scores"][answer["ranked_indices"]]) <= 0)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (b"", "the request has no candidate"),
        (example(age=3.0, timestamp_ms=NOW), "the request has no candidate"),
        (example(item="a", balance=math.nan), "state must not hold NaN"),
        (example(item=["a", "unknown"]), r"predictions must lie in \[0, 1\]"),
        (example(item=["d"], age=700.0), r"predictions must lie in \[0, 1\]"),
        (example(item=["a"], user_impressions=0.5), "user_impressions"),
        (example(item=["a"], history_timestamp_ms=[1, 2], history_click=1), "history_click"),
        (b"no proto", "Could not parse example"),
    ],
    ids=["empty", "no candidate", "state", "unknown", "share", "type", "lengths", "no proto"],
)
def test_a_bad_request_is_answered_by_the_name_of_its_input(signatures, request_, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        serve(signatures, request_)


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
    state = rng.normal(size=(3, STATE_DIM)).astype(np.float32)
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
    answer = fuse(
        signatures, np.zeros((1, STATE_DIM)), np.full((1, 6, 2), 0.25), np.ones((1, 6), bool)
    )
    assert answer["ranked_indices"].tolist() == [[0, 1, 2, 3, 4, 5]]


def test_no_request_and_no_candidate_are_fused_to_nothing(signatures):
    for shape in ((0, 4), (2, 0)):
        state, mask = np.zeros((shape[0], STATE_DIM)), np.ones(shape, bool)
        answer = fuse(signatures, state, np.zeros((*shape, 2)), mask)
        assert answer["scores"].shape == answer["ranked_indices"].shape == shape


def test_predictions_from_raw_tensors_are_the_ranking_models(signatures, ranking):
    raw = {"item": tf.constant(["b", "d"]), "age": tf.constant([1.0, 2.0])}
    answer, own = (s["predict_tasks"](**raw) for s in (signatures, ranking.signatures))
    assert set(answer) == set(own) == {"click", "like", "watch_s"}
    for name, value in own.items():
        np.testing.assert_array_equal(answer[name], value)


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
    np.testing.assert_allclose(serve(signatures, REQUEST)["scores"], by_hand()[3], rtol=1e-5)
    assert json.loads((tmp_path / "1" / "assets.extra" / "mtfx.json").read_text()) == {"seed": 3}


def test_a_policy_that_gives_nan_is_named(ranking, parts):
    ranker = made(ranking, (parts[0], lambda s: s[:, :2] / 0.0))
    with pytest.raises(tf.errors.InvalidArgumentError, match="action must not hold NaN"):
        serve({"serving_default": ranker.serve}, REQUEST)


def test_parts_that_do_not_fit_are_refused(ranking, parts, tmp_path):
    with pytest.raises(ValueError, match=r"takes 2 predictions, .* has 3: click, like, watch_s"):
        made(ranking, parts, names=(*NAMES, "watch_s"))
    own = STATE_DIM - len(NAMES)
    for size in (3, own):
        with pytest.raises(ValueError, match=f"size {size}, but a request has {own} numbers and 2"):
            made(ranking, parts, size)
    with pytest.raises(ValueError, match=r"action must have 2 axes, the last of size 2"):
        exported(ranking, (parts[0], TinyPolicy(actions=4)), tmp_path / "1")
    assert not (tmp_path / "1").exists()
