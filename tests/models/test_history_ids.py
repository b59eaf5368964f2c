"""Embeddings of earlier impressions' ids, and what two impressions have in common."""

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mtfx.models import history_ids
from mtfx.models.history_ids import mean_embedding, overlap
from mtfx.models.input_features import InputFeature
from mtfx.models.keras import keras

IDS = arrays(np.int32, (5, 3), elements=st.integers(-1, 4))


def table():
    layer = keras.layers.Embedding(6, 2)
    layer.build([None])
    return layer


def test_the_mean_is_over_the_ids_that_are_there(monkeypatch):
    layer, tag = table(), InputFeature("tag", "multivalued", 6, max_values=3)
    ids = np.array([[1, 4, -1], [-1, -1, -1], [2, 2, 5]], np.int32)
    rows = layer.embeddings.numpy()
    wanted = [(rows[1] + rows[4]) / 2, np.zeros(2), (2 * rows[2] + rows[5]) / 3]
    np.testing.assert_allclose(mean_embedding(layer, tag, tf.constant(ids)), wanted, atol=1e-7)
    monkeypatch.setattr(history_ids, "_DENSE_ROWS", 0)
    np.testing.assert_allclose(mean_embedding(layer, tag, tf.constant(ids)), wanted, atol=1e-7)


def test_one_value_has_its_own_embedding():
    layer, item = table(), InputFeature("item", "categorical", 6)
    found = mean_embedding(layer, item, tf.constant([[3], [0]]))
    np.testing.assert_array_equal(found, layer.embeddings.numpy()[[3, 0]])


@given(IDS, IDS)
@settings(deadline=None, max_examples=30)
def test_an_overlap_is_an_id_that_both_have(past, own):
    wanted = [bool({*a} & {*b} - {-1}) for a, b in zip(past, own, strict=True)]
    assert overlap(tf.constant(past), tf.constant(own)).numpy().tolist() == wanted
