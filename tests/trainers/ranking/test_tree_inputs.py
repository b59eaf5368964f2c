"""Impressions as trees read them, and what they are told of the user's past."""

import numpy as np
import pytest
import tensorflow as tf

from mtfx.datasets.spec import Task
from mtfx.models.input_features import InputFeature
from mtfx.trainers.ranking.tree_inputs import (
    history_summaries,
    read_tree_inputs,
    tree_inputs,
    unpacked,
)

HISTORY_INPUTS = (
    InputFeature("item_id", "categorical", 40),
    InputFeature("tag", "multivalued", 10, max_values=2),
    InputFeature("tab", "categorical", 9, vocabulary="context"),
)
NAN = np.nan


def history():
    """Three impressions: two entries, one, none; length 3, newest first."""
    age = [[5, 60, -1], [7, -1, -1], [-1, -1, -1]]
    return {
        "item_id": np.array([3, 4, 0]),
        "tag": np.array([[1, 2], [5, -1], [-1, -1]]),
        "tab": np.array([0, 0, 0]),
        "history_age_s": np.array(age, np.float32),
        "history_item_id": np.array([[3, 9, 3], [4, 4, 4], [0, 0, 0]]),
        "history_tag": np.array([[[2, -1], [8, 1], [1, 1]], [[6, -1]] * 3, [[-1, -1]] * 3]),
        "history_tab": np.zeros((3, 3), np.int64),
        # The feedback of the first impression's newest entry is not known.
        "history_click": np.array([[-1, 1, 0], [0, 1, 1], [0, 0, 0]], np.float32),
        "history_watch_share": np.array([[0.5, 1.5, 9], [-1, 9, 9], [9, 9, 9]], np.float32),
    }


def test_the_past_is_summarised_by_entries_that_exist_and_feedback_that_is_known():
    found = history_summaries(history(), HISTORY_INPUTS)
    wanted = {
        "history_entries": [2, 1, 0],
        "history_since": [5, 7, NAN],
        "history_click_mean": [1, 0, NAN],
        "history_click_last": [1, 0, NAN],
        "history_watch_share_mean": [1, NAN, NAN],
        "history_watch_share_last": [0.5, NAN, NAN],
        "same_item_id": [1, 1, 0],
        "same_item_id_since": [5, 7, NAN],
        "same_item_id_history_click": [NAN, 0, NAN],
        "same_item_id_history_watch_share": [0.5, NAN, NAN],
        "same_tag": [2, 0, 0],
        "same_tag_since": [5, NAN, NAN],
        "same_tag_history_click": [1, NAN, NAN],
        "same_tag_history_watch_share": [1, NAN, NAN],
    }
    assert set(found) == set(wanted)
    for name, values in wanted.items():
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], values, name)


def test_without_a_history_there_are_no_summaries_and_vectors_become_columns():
    features = {"item_id": np.array([1, 2]), "age": np.float32([0.5, 1]), "counts": np.eye(2)}
    inputs = (
        InputFeature("item_id", "categorical", 3),
        InputFeature("age", "numeric"),
        InputFeature("counts", "numeric", max_values=2),
    )
    assert history_summaries(features, inputs) == {}
    batches = [(features, np.float32([[1], [0]]))] * 2
    found = tree_inputs(batches, inputs, (Task("click"),))
    assert set(found.numbers) == {"age", "counts_0", "counts_1"}
    assert (found.ids["item_id"].tolist(), found.ids["item_id"].dtype) == ([1, 2, 1, 2], np.int32)
    np.testing.assert_array_equal(found.numbers["counts_1"], [0, 1, 0, 1])
    np.testing.assert_array_equal(found.labels["click"], [1, 0, 1, 0])


def test_columns_of_the_history_are_read_as_a_history_only():
    columns = history()
    ids = (
        InputFeature("item_id", "categorical", 40),
        InputFeature("tag", "multivalued", 9, max_values=columns["history_tag"].shape[2]),
    )
    values = (InputFeature("age_s", "numeric"), InputFeature("click", "numeric"))
    length = columns["history_age_s"].shape[1]
    inputs = (
        *HISTORY_INPUTS,
        InputFeature("history_ids", "history_ids", length=length, columns=ids),
        InputFeature("history_values", "history_values", length=length, columns=values),
    )
    packed = {name: value for name, value in columns.items() if not name.startswith("history_")}
    packed["history_ids"] = np.concatenate(
        [columns["history_item_id"][:, :, None], columns["history_tag"]], axis=2
    )
    packed["history_values"] = np.stack(
        [columns["history_age_s"], columns["history_click"]], axis=2
    )
    found = tree_inputs([(packed, np.float32([[1], [0], [1]]))], inputs, (Task("click"),))
    assert set(found.ids) == {"item_id", "tag", "tab"}
    wanted = history_summaries(
        {n: v for n, v in columns.items() if n in unpacked(packed, inputs)}, HISTORY_INPUTS
    )
    for name, column in wanted.items():
        np.testing.assert_array_equal(found.numbers[name], column, name)


def test_an_empty_history_gives_nothing_but_zeros_and_nan():
    features = {n: v[:, :0] if n.startswith("history") else v for n, v in history().items()}
    found = history_summaries(features, HISTORY_INPUTS)
    assert found["history_entries"].tolist() == [0, 0, 0]
    assert np.isnan(found["history_since"]).all()


def test_no_impression_is_refused():
    with pytest.raises(ValueError, match="no impression"):
        tree_inputs([], HISTORY_INPUTS, (Task("click"),))


def test_the_sessions_of_a_file_are_read_in_its_order(tmp_path):
    path, rng = str(tmp_path / "sessions.gz"), np.random.default_rng(0)
    sessions = [(user, rng.integers(0, 9, 1 + user % 4)) for user in range(700)]
    with tf.io.TFRecordWriter(path, tf.io.TFRecordOptions("GZIP")) as writer:
        for user, items in sessions:
            example = tf.train.Example()
            example.features.feature["user"].int64_list.value.append(user)
            example.features.feature["item"].int64_list.value.extend(items)
            example.features.feature["click"].float_list.value.extend(items % 2)
            writer.write(example.SerializeToString())
    spec = {
        "user": tf.io.FixedLenFeature([1], tf.int64),
        "item": tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64),
        "click": tf.io.RaggedFeature(tf.float32, row_splits_dtype=tf.int64),
    }
    inputs = (InputFeature("user", "categorical", 700), InputFeature("item", "categorical", 9))
    found = read_tree_inputs(path, spec, inputs, (Task("click"),))
    items = np.concatenate([items for _, items in sessions])
    np.testing.assert_array_equal(found.ids["item"], items)
    np.testing.assert_array_equal(found.labels["click"], items % 2)
    rare = read_tree_inputs(path, spec, inputs, (Task("click"),), {"item": 2})
    np.testing.assert_array_equal(rare.ids["item"], np.where(items < 7, items, -1))
    np.testing.assert_array_equal(rare.ids["user"], found.ids["user"])
    np.testing.assert_array_equal(
        found.ids["user"], np.repeat(np.arange(700), [len(items) for _, items in sessions])
    )
