"""The log's columns as world building takes them, against the frame's own values."""

import dataclasses

import numpy as np
import polars as pl
import pytest

from mtfx.datasets.logs.impressions import SESSION
from tests.planted_log import SPEC, planted_data


@pytest.fixture(scope="module")
def data():
    return planted_data(sessions=300)


def test_feedback_and_times_are_the_logs(data):
    frame = data.splits["test"]
    assert data.watch_column == "play_ms"
    np.testing.assert_array_equal(data.feedback(frame)[:, 0], frame["click"].to_numpy())
    np.testing.assert_allclose(data.watch_s(frame), frame["play_ms"].to_numpy() / 1000)
    np.testing.assert_allclose(data.duration_s(frame), 10 + 0.5 * frame["item_id"].to_numpy())


def test_what_the_log_lacks_is_unknown(data):
    spec = dataclasses.replace(
        SPEC,
        columns=tuple(c for c in SPEC.columns if c.role != "watch_time"),
    )
    bare = dataclasses.replace(data, spec=spec)
    frame = data.splits["test"].drop("duration_ms")
    assert bare.watch_s(frame) is None
    assert not bare.duration_s(frame).any()


def test_response_rows_are_in_the_frames_order(data):
    frame = data.splits["eval"]
    rows = data.response_rows(frame)
    np.testing.assert_array_equal(rows.features["item_id"], frame["item_id"].to_numpy())
    taken = rows.take(np.array([3, 1]))
    assert taken.features["user_id"].tolist() == frame["user_id"][[3, 1]].to_list()
    assert taken.watch_s.tolist() == rows.watch_s[[3, 1]].tolist()


def test_a_session_of_the_longest_length_counts_as_cut(data):
    longest = SPEC.session_rule.max_length
    frame = data.splits["train"]
    sessions = data.sessions("train")
    lengths = frame.group_by(SESSION).len().sort(SESSION)["len"].to_numpy()
    np.testing.assert_array_equal(sessions.cut, lengths >= longest)
    np.testing.assert_array_equal(np.diff(np.append(sessions.first, frame.height)), lengths)
    np.testing.assert_array_equal(np.flatnonzero(sessions.last), np.cumsum(lengths) - 1)


def test_inputs_come_in_the_order_asked_for(data):
    names = ("item_id", "user_id")
    assert tuple(feature.name for feature in data.inputs_of(names)) == names


def test_a_missing_feedback_is_named(data):
    with pytest.raises(pl.exceptions.ColumnNotFoundError, match="like"):
        data.feedback(data.splits["test"].drop("like"))
