"""Requests made of sessions, and a ranker that is not its parts."""

import dataclasses

import pytest
import tensorflow as tf

from mtfx.components.ranker_exporter.checking import check_answers
from mtfx.components.ranker_exporter.warmup_requests import (
    merged_request,
    read_sessions,
    warmup_requests,
)
from mtfx.datasets.fused_predictions import probabilities
from mtfx.errors import DataError
from mtfx.models.export.policy import PolicyMetadata, PolicyModule, SavedPolicy, export_policy
from mtfx.models.export.ranker import Ranker, export_ranker
from mtfx.models.fusion.config import FusionConfig
from mtfx.models.request_state import RequestState
from tests.hashed_ranking import NAMES, STATE_CONFIG, STATE_DIM, save_ranking
from tests.request_examples import candidates, example


def session(user, items, tags=None):
    features = {
        "user_id": tf.train.Feature(int64_list=tf.train.Int64List(value=[user])),
        "item_id": tf.train.Feature(int64_list=tf.train.Int64List(value=items)),
        "tag": tf.train.Feature(bytes_list=tf.train.BytesList(value=tags or [b"t"] * len(items))),
        "empty": tf.train.Feature(),
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


SESSIONS = [session(1, [10]), session(2, [20, 21, 22], [b"a", b"b", b"c"]), session(3, [30, 31])]


def lists(example):
    features = tf.train.Example.FromString(example).features.feature
    return {
        "user_id": list(features["user_id"].int64_list.value),
        "item_id": list(features["item_id"].int64_list.value),
        "tag": list(features["tag"].bytes_list.value),
    }


def test_a_request_has_one_user_and_the_items_of_many_sessions():
    assert lists(merged_request(SESSIONS, 3)) == {
        "user_id": [1],
        "item_id": [10, 20, 21],
        "tag": [b"t", b"a", b"b"],
    }
    again = lists(merged_request(SESSIONS, 9))
    assert again["user_id"] == [1]
    assert again["item_id"] == [10, 20, 21, 22, 30, 31, 10, 20, 21]
    assert lists(merged_request(SESSIONS[1:], 1))["user_id"] == [2]
    with pytest.raises(DataError, match="item_id"):
        merged_request([session(1, [])], 3)


def test_a_request_has_one_time_and_the_first_users_history():
    past = {"history_timestamp_ms": [5, 6], "history_click": [1, 0]}
    first = example(user_id=1, item_id=[10, 11], timestamp_ms=[80, 90], **past)
    second = example(user_id=2, item_id=[20], timestamp_ms=[70], history_timestamp_ms=[9])
    merged = tf.train.Example.FromString(merged_request([first, second], 3)).features.feature
    found = {name: list(feature.int64_list.value) for name, feature in merged.items()}
    assert found == {"user_id": [1], "item_id": [10, 11, 20], "timestamp_ms": [80], **past}
    # A request of the first session alone has its first impression's time too.
    alone = tf.train.Example.FromString(merged_request([first], 1)).features.feature
    assert list(alone["timestamp_ms"].int64_list.value) == [80]


def test_sizes_are_taken_in_turn():
    requests = warmup_requests(SESSIONS, sizes=(1, 2, 4))
    assert [len(lists(request)["item_id"]) for request in requests] == [1, 2, 4]
    assert [lists(request)["user_id"] for request in requests] == [[1], [2], [3]]


def test_files_without_sessions_are_an_error(tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "a.gz"), "GZIP") as writer:
        writer.write(SESSIONS[0])
    assert read_sessions([str(tmp_path / "*")]) == SESSIONS[:1]
    with pytest.raises(DataError, match="no session in"):
        read_sessions([str(tmp_path / "none*")])


def policy(directory, scale):
    config = FusionConfig("formula1")
    export_policy(
        PolicyModule(lambda states: tf.tanh(scale * states[:, -2:]), [], STATE_DIM),
        str(directory),
        PolicyMetadata("fixed", STATE_DIM, 2, NAMES, config.to_dict()),
    )
    return SavedPolicy(str(directory))


def test_a_ranker_that_is_not_its_parts_is_not_served(tmp_path):
    ranking = tf.saved_model.load(save_ranking(tmp_path / "ranking"))
    joined, fused = policy(tmp_path / "policy", 1.0), probabilities(NAMES)
    ranker = Ranker(
        ranking,
        fused,
        joined.fusion(2),
        joined.act,
        STATE_DIM,
        request_state=RequestState(STATE_CONFIG),
        policy_model=joined.model,
    )
    export_ranker(ranker, str(tmp_path / "ranker"), {})
    requests = [candidates(3, age=7.0, town="Ulm")]
    parts = joined, ranking, STATE_CONFIG, fused
    check_answers(str(tmp_path / "ranker"), requests, *parts)
    other = policy(tmp_path / "o", -1.0), ranking, STATE_CONFIG, fused
    with pytest.raises(ValueError, match="other action for warm-up request 0"):
        check_answers(str(tmp_path / "ranker"), requests, *other)
    without = dataclasses.replace(STATE_CONFIG, utc_offset_hours=7.0)
    with pytest.raises(ValueError, match="other state for warm-up request 0"):
        check_answers(str(tmp_path / "ranker"), requests, joined, ranking, without, fused)
    turned = (fused[0], dataclasses.replace(fused[1], kind="negative"))
    with pytest.raises(ValueError, match="other state for warm-up request 0"):
        check_answers(str(tmp_path / "ranker"), requests, joined, ranking, STATE_CONFIG, turned)
