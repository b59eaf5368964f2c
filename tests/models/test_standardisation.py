"""The scale of statistics, and the trust in embeddings, against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from mtfx.models.config import StateConfig
from mtfx.models.features import StateRepresentation
from mtfx.models.input_features import InputFeature
from mtfx.models.keras import keras
from mtfx.models.standardisation import Standardisation, shrunk

INPUTS = (
    InputFeature("tag_statistics", "numeric", max_values=2),
    InputFeature("age", "numeric"),
    InputFeature("item_statistics", "numeric", max_values=3),
)


def batch(rows, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "tag_statistics": rng.normal([1, 2], [3, 0.5], (rows, 2)).astype(np.float32),
        "age": rng.normal(size=rows).astype(np.float32),
        "item_statistics": rng.normal([0, -1, 5], [0.01, 1, 2], (rows, 3)).astype(np.float32),
    }


def built(inputs=INPUTS):
    layer, found = keras.layers.Layer(), Standardisation(inputs)
    found.build(layer)
    return layer, found


def test_numbers_get_mean_0_and_deviation_1_at_most():
    _, found = built()
    batches = [batch(500, seed) for seed in (0, 1)]
    found.learn(batches)
    for name in ("tag_statistics", "item_statistics"):
        rows = np.concatenate([columns[name] for columns in batches])
        # Numbers that hardly differ stay small.
        scale = np.maximum(rows.std(axis=0), 0.2)
        wanted = np.clip((rows - rows.mean(axis=0)) / scale, -6, 6)
        np.testing.assert_allclose(found.apply(name, tf.constant(rows)), wanted, atol=1e-4)
    far = found.apply("tag_statistics", tf.constant([[1e6, -1e6]])).numpy()
    np.testing.assert_array_equal(far, [[6.0, -6.0]])


def test_before_it_learns_numbers_stay_as_they_are_but_for_the_farthest():
    _, found = built()
    numbers = tf.constant([[1.0, -2.0, 9.0]])
    np.testing.assert_array_equal(found.apply("item_statistics", numbers), [[1.0, -2.0, 6.0]])


def test_other_features_are_left_alone():
    layer, found = built()
    found.learn([batch(50)])
    numbers = tf.constant([[1.0], [80.0]])
    assert found.apply("age", numbers) is numbers
    assert [tuple(weight.shape) for weight in layer.non_trainable_weights] == [(5,), (5,)]
    assert not layer.trainable_weights


def test_without_statistics_there_are_no_weights():
    layer, found = built((InputFeature("age", "numeric"),))
    found.learn([batch(3)])
    assert not layer.weights


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
def test_an_embedding_counts_as_far_as_its_value_was_shown(dtype):
    count = np.array([0, 1, 100, 10_000], np.float32)
    statistics = np.stack([np.log1p(count) / 5, np.ones(4, np.float32)], axis=1)
    embedded = tf.cast(tf.ones([4, 3]) * [1, 2, -3], dtype)
    found = shrunk(embedded, tf.constant(statistics), 100.0)
    assert found.dtype == dtype
    wanted = np.array([[1, 2, -3]]) * (count / (count + 100))[:, None]
    np.testing.assert_allclose(tf.cast(found, tf.float32), wanted, rtol=1e-2, atol=1e-6)


def test_checkpoints_have_both_weights_by_name(tmp_path):
    inputs = (*INPUTS, InputFeature("item", "categorical", 9))
    columns = {name: tf.constant(value) for name, value in batch(20).items()}
    columns["item"] = tf.constant(np.arange(20) % 9)
    layers = [StateRepresentation(inputs, StateConfig(4, (), 6), seed=1) for _ in range(2)]
    states = [layer(columns) for layer in layers]
    np.testing.assert_array_equal(*states)
    layers[0].standardisation.learn([columns])
    path = tf.train.Checkpoint(state=layers[0]).save(str(tmp_path / "point"))
    saved = [name for name, _ in tf.train.list_variables(path)]
    for name in ("mean", "scale"):
        assert f"state/statistics_{name}/.ATTRIBUTES/VARIABLE_VALUE" in saved
    tf.train.Checkpoint(state=layers[1]).restore(path).assert_existing_objects_matched()
    np.testing.assert_array_equal(layers[0](columns), layers[1](columns))
