"""A day of the simulated service, with a ranker that needs no model."""

import numpy as np
import polars as pl
import pytest
import tensorflow as tf

from mtfx.datasets.registry import load_dataset
from mtfx.datasets.request_state import RequestStateConfig
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.pipelines.rehearsal.service import SimulatedService
from mtfx.serving.exploration import ExplorationPlan
from mtfx.serving.messages import Ranking
from tests.simulator_worlds import random_world

START_MS = 1_700_000_000_000


class Requests:
    """Knows of an item its place in the user's pool, as ``duration_ms``."""

    spec = load_dataset("synthetic-video")
    state = RequestStateConfig(length=3)

    def __init__(self):
        self.known = {}

    def example(self, user, slots, derived, time_ms, history):
        self.known.setdefault(user, []).append(history["history_timestamp_ms"])
        example = tf.train.Example()
        example.features.feature["duration_ms"].float_list.value.extend(slots)
        return example.SerializeToString()

    def history(self, user):
        return {"history_timestamp_ms": [], "history_click": [], "history_watch_share": []}

    def remembered(self, user, slot, time_ms, feedback):
        assert {"click", "watch_share"} <= set(feedback)
        values = {f"history_{name}": value for name, value in feedback.items()}
        return values | {"history_timestamp_ms": time_ms}

    def columns(self, user):
        return {"duration_ms": np.arange(60.0)}


class LastFirst:
    """A client whose ranker shows the last candidate; ``explored`` counts what it explored for."""

    explored = 0

    def rank(self, request, *, exploration=None):
        feature = tf.train.Example.FromString(request).features.feature["duration_ms"]
        count = len(feature.float_list.value)
        self.explored += exploration is not None
        return Ranking(
            ranked_indices=np.arange(count, dtype=np.int32)[::-1],
            scores=np.arange(count, dtype=np.float32),
            predictions=np.zeros((count, 3), np.float32),
            action=np.zeros(3, np.float32),
            state=np.zeros(5, np.float32),
            version=7,
            log_density=float("nan") if exploration is None else -1.0,
        )


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder, client = tmp_path_factory.mktemp("service"), LastFirst()
    requests = Requests()
    service = SimulatedService(Simulator(random_world()), requests, ExplorationPlan(0.5), seed=3)
    return service.serve(1, 12, START_MS, client, folder), client, folder, requests


def test_what_was_shown_is_logged_as_it_was_sent(served):
    day, _, folder, _ = served
    [path] = (folder / "shown").glob("*.gz")
    shown = [
        tf.train.Example.FromString(record.numpy()).features.feature["duration_ms"]
        for record in tf.data.TFRecordDataset(str(path), "GZIP")
    ]
    # One item of each request, and the one that the log has.
    assert len(shown) == day.requests
    sent = [value for feature in shown for value in feature.float_list.value]
    source = next(c.source for c in Requests.spec.columns if c.name == "duration_ms")
    assert sent == day.impressions[source].to_list()


def test_every_request_is_logged_once_and_explored_with_by_arm(served):
    day, client, folder, _ = served
    requests = pl.read_parquet(folder / "requests" / "*.parquet")
    assert requests.height == day.requests == day.impressions.height
    explored = requests.filter(pl.col("behaviour_policy") != "policy")
    assert 0 < explored.height == client.explored < day.requests
    assert set(requests["policy_version"]) == {7}
    assert set(day.arms) > {"policy"}


def test_feedback_says_what_the_log_says(served):
    day, _, folder, _ = served
    feedback = pl.read_parquet(folder / "feedback" / "*.parquet")
    watched = feedback.filter(pl.col("name") == "watch_s")["value"].sum()
    assert watched == pytest.approx(day.watch_s.sum(), rel=1e-5)
    assert day.end_ms >= START_MS + 2_000


def test_a_history_grows_with_each_impression_and_keeps_the_newest(served):
    day, _, _, requests = served
    longest = max(requests.known.values(), key=len)
    assert longest[0] == []
    assert [len(times) for times in longest[:4]] == [0, 1, 2, 3]
    assert all(len(times) == 3 for times in longest[4:])
    assert all(times == sorted(times) and times[0] >= START_MS for times in longest[1:])
    assert sum(map(len, requests.known.values())) == day.requests
