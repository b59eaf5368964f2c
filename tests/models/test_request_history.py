"""Histories of requests, and what joins them."""

import numpy as np
import pytest
import tensorflow as tf

from mtfx.datasets.request_state import RequestStateConfig
from mtfx.models.request_history import MOST_WATCHED, Past, newest
from tests.models.test_request_state import NOW, STATE, request

CONFIG = RequestStateConfig(feedback=("click",), watch_share=True, feedback_time=True, length=3)


def lists(**columns):
    kinds = {"history_watch_share": tf.float32}
    return {
        name: tf.ragged.constant(values, kinds.get(name, tf.int64), row_splits_dtype=tf.int64)
        for name, values in columns.items()
    }


def found(now, **columns):
    return newest(lists(**columns), CONFIG, tf.constant(now, tf.int64))


def test_the_newest_come_first_and_what_is_late_is_left_out():
    past, count = found(
        [100, 100],
        history_timestamp_ms=[[10, 50, 100, 40, 30], []],
        history_click=[[1, 0, 1, 1, 0], []],
        history_watch_share=[[0.1, 0.2, 0.3, 0.4, 9.0], []],
        history_feedback_ms=[[10, 100, 100, 99, 31], []],
    )
    assert past.times_ms.numpy().tolist() == [[50, 40, 30], [-1, -1, -1]]
    assert count.numpy().tolist() == [4, 0]
    # The first's feedback has not come: none, and a share that nobody knows.
    expected = [[0, -1], [1, 0.4], [0, MOST_WATCHED]]
    np.testing.assert_allclose(past.values[0], expected, rtol=1e-6)
    assert (past.values[1].numpy() == -1).all()


def test_a_list_that_a_request_lacks_is_unknown():
    past, _ = found(
        [9],
        history_timestamp_ms=[[1, 2]],
        history_click=[[]],
        history_watch_share=[[0.5, 0.25]],
        history_feedback_ms=[[]],
    )
    assert past.values.numpy()[0].tolist() == [[-1, 0.25], [-1, 0.5], [-1, -1]]


def test_lists_of_other_lengths_are_refused():
    with pytest.raises(tf.errors.InvalidArgumentError, match="history_click and history_time"):
        found(
            [9],
            history_timestamp_ms=[[1, 2]],
            history_click=[[1]],
            history_watch_share=[[]],
            history_feedback_ms=[[]],
        )


def test_past_that_grows_gives_the_state_of_a_request_that_says_so():
    sent = STATE.of_requests(
        tf.constant(
            [
                request(
                    timestamp_ms=[NOW],
                    history_timestamp_ms=[NOW - 40_000, NOW - 10_000],
                    history_click=[1, 0],
                    history_like=[0, 1],
                    history_watch_share=[0.5, 2.0],
                )
            ]
        )
    )
    empty = Past(tf.fill([1, 4], tf.constant(-1, tf.int64)), tf.fill([1, 4, 3], -1.0))
    past = empty.followed_by(tf.constant([NOW - 40_000], tf.int64), tf.constant([[1.0, 0.0, 0.5]]))
    past = past.followed_by(tf.constant([NOW - 10_000], tf.int64), tf.constant([[0.0, 1.0, 2.0]]))
    grown = STATE.of_parts(sent.attributes, sent.now_ms, past)
    assert np.array_equal(grown, sent.state)
