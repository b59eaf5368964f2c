"""Transitions to records and back, against protos read by hand."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from mtfx.datasets.transitions.codec import (
    batch_from_parsed,
    concatenate,
    encode_transitions,
    feature_spec,
)
from tests.transition_batches import SPEC, random_batch


def test_records_hold_the_columns():
    batch = random_batch()
    records = encode_transitions(batch, SPEC)
    assert len(records) == batch.size
    start = 0
    for row, record in enumerate(records):
        feature = tf.train.Example.FromString(record).features.feature
        count = batch.candidate_count[row]
        assert feature["candidate_count"].int64_list.value == [count]
        np.testing.assert_array_equal(
            feature["predictions"].float_list.value,
            batch.predictions[start : start + count].ravel(),
        )
        start += count
        np.testing.assert_array_equal(feature["state"].float_list.value, batch.state[row])
        assert feature["session_id"].bytes_list.value == [batch.session_id[row].encode()]
        assert feature["timestamp_ms"].int64_list.value == [batch.timestamp_ms[row]]


def parsed(records):
    return batch_from_parsed(tf.io.parse_example(records, feature_spec(SPEC)), SPEC)


def assert_equal(left, right):
    for field in dataclasses.fields(left):
        np.testing.assert_array_equal(
            getattr(left, field.name), getattr(right, field.name), err_msg=field.name
        )


def test_records_come_back():
    batch = random_batch(seed=1)
    names = np.char.add("é", batch.session_id)
    batch = dataclasses.replace(batch, session_id=names)
    assert_equal(parsed(encode_transitions(batch, SPEC)), batch)


def test_rows_take_their_candidates_along():
    batch = random_batch(seed=2)
    order = np.random.default_rng(0).permutation(batch.size)
    records = encode_transitions(batch, SPEC)
    assert_equal(batch.rows(order), parsed([records[row] for row in order]))
    odd = order % 2 == 1
    parts = concatenate([batch.rows(order[odd]), batch.rows(order[~odd])])
    assert_equal(parts, batch.rows(np.concatenate([order[odd], order[~odd]])))
    assert_equal(batch.rows(batch.step == 0), batch.rows(np.flatnonzero(batch.step == 0)))


def test_no_rows_make_no_records():
    assert encode_transitions(random_batch().rows(np.array([], int)), SPEC) == []
    with pytest.raises(ValueError, match="no transitions"):
        concatenate([])


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("state", np.zeros((3, 4), np.float32)),
        ("reward", np.zeros(2, np.float32)),
        ("predictions", np.zeros((3, 2), np.float32)),
    ],
)
def test_a_column_of_another_size_is_refused(column, values):
    batch = dataclasses.replace(random_batch(), **{column: values})
    if column == "reward":  # its length is the batch's, so another column is named
        column = "action"
    with pytest.raises(ValueError, match="shape"):
        encode_transitions(batch, SPEC)
