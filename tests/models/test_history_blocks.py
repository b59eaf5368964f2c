"""Blocks of histories, and what histories share, against loops."""

import numpy as np
import pytest
import tensorflow as tf

from mtfx.models.history_blocks import occupied_blocks, whole_histories


def sessions(lengths, length=7, past=(3,), seed=0, ids=2):
    """Histories of sessions' impressions, newest first: what was before, then one more each time.

    Returns ids and values with the age first, and the number of different earlier impressions.
    """
    rng = np.random.default_rng(seed)
    all_ids, all_values, different = [], [], 0
    for place, impressions in enumerate(lengths):
        before = past[place % len(past)]
        pool = rng.integers(0, 1000, (before + impressions, ids))
        for now in range(before, before + impressions):
            seen = np.arange(now - 1, max(now - 1 - length, -1), -1)
            of_one, values = np.full((length, ids), -1), np.full((length, 3), -1.0)
            of_one[: len(seen)] = pool[seen]
            values[: len(seen)] = rng.random((len(seen), 3))
            all_ids.append(of_one)
            all_values.append(values)
        different += min(before, length) + impressions - 1
    return np.stack(all_ids).astype(np.int32), np.stack(all_values).astype(np.float32), different


def check(ids, values, blocks):
    """Each earlier impression is in one block of its history, and the others are empty."""
    found = [[] for _ in ids]
    spread = blocks.each(tf.cast(blocks.past_ids, tf.float32)).numpy()
    for block, row in enumerate(blocks.row.numpy()):
        for place in range(blocks.ids.shape[1]):
            if blocks.values[block, place, 0] >= 0:
                own = blocks.ids[block, place].numpy()
                np.testing.assert_array_equal(spread[block, place], own)
                found[row].append((*own, *blocks.values[block, place].numpy()))
    for row, entries in enumerate(found):
        known = values[row, :, 0] >= 0
        wanted = np.concatenate([ids[row][known], values[row][known]], axis=1)
        np.testing.assert_array_equal(np.reshape(entries, wanted.shape), wanted)


@pytest.mark.parametrize("length", [1, 3, 7, 10, 23])
def test_blocks_hold_every_earlier_impression_and_no_other(length):
    ids, values, different = sessions((5, 1, 12, 3), length, past=(3, 0, 40))
    blocks = occupied_blocks(tf.constant(ids), tf.constant(values))
    check(ids, values, blocks)
    assert (np.diff(blocks.row.numpy()) >= 0).all()
    # Only what falls off a full history at its end is found anew nowhere.
    assert len(blocks.past_ids) == different


def test_histories_in_any_order_share_less_and_are_right():
    ids, values, different = sessions((6, 9, 4), past=(2, 7))
    order = np.random.default_rng(1).permutation(len(ids))
    blocks = occupied_blocks(tf.constant(ids[order]), tf.constant(values[order]))
    check(ids[order], values[order], blocks)
    assert different < len(blocks.past_ids) <= (values[:, :, 0] >= 0).sum()


def test_impressions_of_one_request_have_one_history():
    ids, values, _ = sessions((1,), past=(6,))
    blocks = occupied_blocks(tf.repeat(ids, 5, axis=0), tf.repeat(values, 5, axis=0))
    check(np.repeat(ids, 5, axis=0), np.repeat(values, 5, axis=0), blocks)
    assert len(blocks.past_ids) == 6


def test_an_impression_without_any_id_is_no_missing_one():
    ids, values, _ = sessions((4,), length=5, past=(2,))
    ids[2:, 2:] = -1  # the third history's last known has no id, as the place behind it
    values[1, 2:] = -1.0
    blocks = occupied_blocks(tf.constant(ids), tf.constant(values))
    check(ids, values, blocks)


def test_places_may_be_empty_in_between():
    ids, values, _ = sessions((8,), length=6)
    ids[2:6, 1], values[2:6, 1] = -1, -1.0
    check(ids, values, occupied_blocks(tf.constant(ids), tf.constant(values)))


@pytest.mark.parametrize("empty", ["all", "last", "none at all"])
def test_impressions_without_a_history_have_zeros(empty):
    ids, values, _ = sessions((4, 2))
    values[slice(None) if empty == "all" else slice(3, None)] = -1.0
    if empty == "none at all":
        ids, values = ids[:0], values[:0]
    blocks = occupied_blocks(tf.constant(ids), tf.constant(values))
    ones = tf.ones([len(blocks.ids), 1])
    count = (values[:, :, 0] >= 0).any(axis=1).astype(int)
    np.testing.assert_array_equal(blocks.add_up(ones).numpy()[:, 0], count)
    np.testing.assert_array_equal(blocks.highest(ones).numpy()[:, 0], count)


def test_sums_and_copies_are_of_the_right_impression():
    ids, values, _ = sessions((5, 2), length=23, past=(30, 0))
    blocks = occupied_blocks(tf.constant(ids), tf.constant(values))
    own = tf.range(7.0)[:, None]
    rows = blocks.row.numpy()
    np.testing.assert_array_equal(blocks.spread(own)[:, 0, 0], rows)
    repeated = blocks.repeat(own).numpy()
    assert repeated.shape == (len(rows), 10, 1)
    assert (repeated[:, :, 0] == rows[:, None]).all()
    wanted = np.bincount(rows, weights=rows + 1.0, minlength=7)
    np.testing.assert_array_equal(blocks.add_up(blocks.spread(own)[:, 0] + 1)[:, 0], wanted)


def test_whole_histories_are_one_block_each():
    ids, values, _ = sessions((2, 1), length=4)
    blocks = whole_histories(tf.constant(ids), tf.constant(values))
    np.testing.assert_array_equal(blocks.ids, ids)
    np.testing.assert_array_equal(blocks.values, values)
    np.testing.assert_array_equal(blocks.each(tf.cast(blocks.past_ids, tf.float32)), ids)
    own = tf.range(3.0)[:, None]
    np.testing.assert_array_equal(
        blocks.repeat(own), np.repeat(np.arange(3.0)[:, None, None], 4, axis=1)
    )
    assert blocks.add_up(own) is blocks.highest(own) is own
    assert len(blocks.past_ids) == len(ids) * 4
