"""Batches of impressions from sessions in memory."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from mtfx.environments.sessions.table import SessionTable
from mtfx.trainers.ranking.input import table_batches


def _table(lengths: list[int]) -> SessionTable:
    rows = sum(lengths)
    return SessionTable(
        features={
            "session": tf.constant(np.repeat(np.arange(len(lengths)), lengths), tf.int64),
            "row": tf.range(rows, dtype=tf.float32),
        },
        labels=tf.stack([tf.range(rows, dtype=tf.float32), -tf.range(rows, dtype=tf.float32)], 1),
        lengths=np.array(lengths, np.int64),
    )


def _rows(batches: tf.data.Dataset) -> np.ndarray:
    """[impression, (session, row, first label, second label)]."""
    return np.concatenate(
        [
            np.column_stack([features["session"], features["row"], labels])
            for features, labels in batches
        ]
    )


@settings(max_examples=20)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=30), st.integers(1, 17), st.booleans())
def test_every_impression_comes_once_with_its_labels(lengths, batch_size, shuffle):
    table = _table(lengths)
    batches = table_batches(table, batch_size, shuffle=shuffle, seed=3)
    sizes = [len(labels) for _, labels in batches]
    whole, rest = divmod(sum(lengths), batch_size)
    assert sizes == [batch_size] * whole + [rest] * (rest > 0)
    rows = _rows(batches)
    numbers = np.arange(sum(lengths))
    expected = np.column_stack(
        [np.repeat(np.arange(len(lengths)), lengths), numbers, numbers, -numbers]
    )
    if shuffle:
        rows = rows[np.argsort(rows[:, 1])]
    np.testing.assert_array_equal(rows, expected)


def test_shuffling_moves_whole_sessions_by_the_seed_and_the_epoch():
    # More sessions than one step of the pipeline lists.
    table = _table([1 + number % 3 for number in range(5_000)])
    batches = table_batches(table, 64, shuffle=True, seed=1)
    first, second = _rows(batches)[:, 1], _rows(batches)[:, 1]
    again = _rows(table_batches(table, 64, shuffle=True, seed=1))[:, 1]
    other = _rows(table_batches(table, 64, shuffle=True, seed=2))[:, 1]
    np.testing.assert_array_equal(first, again)
    assert (first != second).any()
    assert (first != other).any()
    sessions = np.repeat(np.arange(5_000), table.lengths)[first.astype(int)]
    assert np.count_nonzero(np.diff(sessions)) == 4_999
    # A session ends up anywhere, not only near where it was.
    assert np.abs(np.corrcoef(np.arange(len(first)), first)[0, 1]) < 0.05


def test_features_keep_their_types():
    features, labels = next(iter(table_batches(_table([2, 3]), 4, shuffle=False, seed=0)))
    assert features["session"].dtype == tf.int64
    assert features["row"].dtype == labels.dtype == tf.float32
    assert labels.shape == [4, 2]
