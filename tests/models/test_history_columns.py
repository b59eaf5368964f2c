"""Histories of impressions and of requests, against plain loops."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from mtfx.datasets.spec import Task
from mtfx.models.history_columns import HistoryColumns
from mtfx.models.input_features import InputFeature

IDS = (InputFeature("item", "categorical", 50), InputFeature("tag", "multivalued", 9, max_values=2))
VALUES = tuple(
    InputFeature(name, "numeric") for name in ("age_s", "click", "watch_ms", "watch_share", "size")
)
TASKS = (Task("click"), Task("watch_ms", "regression", unit=1000.0))


def history(length=3):
    inputs = (
        InputFeature("history_ids", "history_ids", length=length, columns=IDS),
        InputFeature("history_values", "history_values", length=length, columns=VALUES),
    )
    return HistoryColumns(inputs, TASKS)


def impressions(rng, count):
    return {
        "item": rng.integers(0, 50, count),
        "tag": rng.integers(-1, 9, count * 2),
        "click": rng.integers(0, 2, count).astype(np.float32),
        "watch_ms": rng.choice([-1.0, 0.0, 2500.0], count).astype(np.float32),
        "watch_share": rng.random(count).astype(np.float32),
        "size": rng.normal(size=count).astype(np.float32),
    }


def packed(columns):
    return history().pack({name: tf.constant(value) for name, value in columns.items()})


def row_of(columns, place, age, late=False):
    watch = columns["watch_ms"][place]
    return (
        [columns["item"][place], *columns["tag"][2 * place : 2 * place + 2]],
        [
            age,
            0.0 if late else columns["click"][place],
            -1.0 if late or watch < 0 else np.log1p(watch / 1000),
            -1.0 if late else columns["watch_share"][place],
            columns["size"][place],
        ],
    )


def filled(rows, length):
    ids, values = np.full((length, 3), -1), np.full((length, 5), -1.0)
    for place, (of_ids, of_values) in enumerate(rows[:length]):
        ids[place], values[place] = of_ids, of_values
    return ids, values


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), length=st.integers(1, 5), delayed=st.booleans())
def test_each_impression_sees_what_was_strictly_before_it(seed, length, delayed):
    rng = np.random.default_rng(seed)
    before, within = rng.integers(0, 4, 3), rng.integers(1, 4, 3)
    past, own = impressions(rng, before.sum()), impressions(rng, within.sum())
    # Few distinct times, so that some impressions have the same.
    past_times = [np.sort(rng.integers(0, 50, n)) * 1000 for n in before]
    own_times = [np.sort(rng.integers(50, 54, n)) * 1000 for n in within]
    came = [
        times + rng.integers(0, 3, len(times)) * 1000
        for times in (np.concatenate(past_times), np.concatenate(own_times))
    ]
    found = history(length).before_each_impression(
        packed(past),
        tf.RaggedTensor.from_row_lengths(np.concatenate(past_times).astype(np.int64), before),
        packed(own),
        tf.RaggedTensor.from_row_lengths(np.concatenate(own_times).astype(np.int64), within),
        tuple(map(tf.constant, came)) if delayed else None,
    )
    place = 0
    for session in range(3):
        first_past, first_own = before[:session].sum(), within[:session].sum()
        for now in own_times[session]:
            rows = []
            for source, times, first, arrived in (
                (own, own_times[session], first_own, came[1]),
                (past, past_times[session], first_past, came[0]),
            ):
                for index in reversed(range(len(times))):
                    if times[index] < now:
                        late = delayed and arrived[first + index] >= now
                        age = (now - times[index]) / 1000
                        rows.append(row_of(source, first + index, age, late))
            ids, values = filled(rows, length)
            np.testing.assert_array_equal(found["history_ids"][place], ids)
            np.testing.assert_allclose(found["history_values"][place], values, rtol=1e-6)
            place += 1


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), length=st.integers(1, 5))
def test_a_request_may_bring_its_history_in_any_order(seed, length):
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 6, 3)
    columns = impressions(rng, counts.sum())
    times = rng.permutation(100)[: counts.sum()].astype(np.int64) * 1000
    now = rng.integers(20, 90, 3).astype(np.int64) * 1000
    found = history(length).of_requests(
        packed(columns), tf.RaggedTensor.from_row_lengths(times, counts), tf.constant(now)
    )
    for request in range(3):
        first = counts[:request].sum()
        own = [p for p in range(first, first + counts[request]) if times[p] < now[request]]
        own.sort(key=lambda place: -times[place])
        ids, values = filled(
            [row_of(columns, p, (now[request] - times[p]) / 1000) for p in own], length
        )
        np.testing.assert_array_equal(found["history_ids"][request], ids)
        np.testing.assert_allclose(found["history_values"][request], values, rtol=1e-6)


def test_a_session_and_a_request_agree_on_the_history_before_a_first_impression():
    rng = np.random.default_rng(0)
    past, own = impressions(rng, 5), impressions(rng, 1)
    times = tf.RaggedTensor.from_row_lengths(np.arange(5, dtype=np.int64) * 1000, [5])
    own_times = tf.RaggedTensor.from_row_lengths(np.array([9000], np.int64), [1])
    columns = history()
    trained = columns.before_each_impression(packed(past), times, packed(own), own_times)
    served = columns.of_requests(packed(past), times, tf.constant([9000], tf.int64))
    for name, value in trained.items():
        np.testing.assert_array_equal(value, served[name])


def test_nothing_is_known_of_an_unknown_user():
    empty = history().empty(2)
    served = history().of_requests(
        packed(impressions(np.random.default_rng(0), 0)),
        tf.RaggedTensor.from_row_lengths(np.zeros(0, np.int64), [0, 0]),
        tf.constant([5, 6], tf.int64),
    )
    for name, value in empty.items():
        np.testing.assert_array_equal(value, served[name])
        assert (value.numpy() == -1).all()


def test_a_model_without_history_has_no_columns_of_one():
    with pytest.raises(ValueError, match="no history"):
        HistoryColumns(IDS, TASKS)
