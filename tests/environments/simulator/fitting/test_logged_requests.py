"""Requests of a world's users, as a service would send them."""

import numpy as np
import pytest
import tensorflow as tf

from mtfx.datasets.feature_roles import user_requests
from mtfx.environments.simulator.fitting.logged_requests import LoggedRequests
from mtfx.environments.simulator.fitting.pools import Pools
from mtfx.models.request_state import RequestState
from tests.planted_log import planted_data


@pytest.fixture(scope="module")
def data():
    return planted_data()


@pytest.fixture(scope="module")
def requests(data):
    asked = user_requests(data.splits["test"], data.roles, users=5, seed=0)
    items = np.arange(15).reshape(5, 3)
    start = int(asked["timestamp_ms"][1])
    past = {
        "history_timestamp_ms": [start - 90_000, start - 60_000],
        "history_item_id": [3, 4],
        "history_duration_ms": [11_500.0, 12_000.0],
        "history_click": [1, 0],
        "history_like": [0, 0],
        "history_play_ms": [5_750.0, 12_000.0],
        "history_watch_share": [0.5, 1.0],
    }
    histories = {str(asked["session_id"][1]): past}
    return LoggedRequests(data, Pools(asked, items, (), 0.0, 0.0), histories)


def lists(request):
    features = tf.train.Example.FromString(request).features.feature
    return {
        name: list(getattr(feature, feature.WhichOneof("kind")).value)
        for name, feature in features.items()
        if feature.WhichOneof("kind")
    }


def test_a_request_has_the_user_once_and_the_candidates_as_lists(data, requests):
    found = lists(requests.example(1, [2, 0]))
    assert len(found["user_id"]) == len(found["timestamp_ms"]) == 1
    rows = [requests._pools.items[1, slot] for slot in (2, 0)]
    assert found["item_id"] == data.catalogue["item_id"].to_numpy()[rows].tolist()
    assert len(found["duration_ms"]) == len(found["step_bucket"]) == 2
    assert found["history_click"] == [1, 0]
    assert len(lists(requests.example(1))["item_id"]) == 3


def test_the_time_what_follows_from_it_and_the_history_can_be_the_services(requests):
    history = {name: values[:1] for name, values in requests.history(1).items()}
    found = lists(requests.example(1, [0], {"step_bucket": "9"}, 77, history))
    assert found["timestamp_ms"] == [77]
    assert found["step_bucket"] == [b"9"]
    assert found["history_item_id"] == [3]


def test_states_of_the_users_are_those_of_their_requests(requests):
    known = requests.user_requests()
    sent = [requests.example(user) for user in range(5)]
    facts = RequestState(requests.state).of_requests(tf.constant(sent))
    np.testing.assert_array_equal(known.attributes, facts.attributes)
    np.testing.assert_array_equal(known.past, facts.past.values)
    assert known.start_ms.tolist() == [requests.start_ms(user) for user in range(5)]
    assert (known.past_ms[1, :2] >= 0).all()
    assert (known.past_ms[0] == -1).all()


def test_an_impression_is_remembered_with_what_is_known_of_it(requests):
    row = requests.remembered(2, 1, 55, {"click": 1, "watch_share": 0.25})
    assert set(row) == set(requests.history(0))
    assert row["history_timestamp_ms"] == 55
    assert row["history_item_id"] == requests.columns(2)["item_id"][1]
    assert (row["history_click"], row["history_like"]) == (1, -1)
    assert row["history_watch_share"] == 0.25
