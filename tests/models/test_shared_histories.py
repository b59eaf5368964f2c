"""Which ids impressions share with a history that several of them have."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mtfx.models import shared_histories
from mtfx.models.input_features import InputFeature
from mtfx.models.shared_histories import SharedHistories

FEATURES = (
    InputFeature("item", "categorical", 5),
    InputFeature("author", "categorical", 5),
    InputFeature("tag", "multivalued", 5, max_values=3),
    InputFeature("tab", "categorical", 5),
)
WIDTHS = (1, 1, 3, 1)


def rows(low):
    return arrays(np.int32, (4, 6), elements=st.integers(low, 4))


def split(ids):
    return np.split(ids, np.cumsum(WIDTHS)[:-1], axis=-1)


@pytest.mark.parametrize("most", [5_000, 0])
@given(past=rows(-1), own=rows(0), missing=arrays(bool, (4, 3)))
@settings(deadline=None, max_examples=30)
def test_one_history_is_compared_as_several_are(most, past, own, missing):
    own = own.copy()
    own[:, 2:5][missing] = -1
    wanted = [
        [[bool({*a} & {*b} - {-1}) for a, b in zip(*map(split, pair), strict=True)] for pair in of]
        for of in ([(present, earlier) for earlier in past] for present in own)
    ]
    tensors = [tf.constant(part) for part in split(own)]
    before = shared_histories._MOST_IDS
    shared_histories._MOST_IDS = most
    try:
        one = [tf.constant(part[None]) for part in split(past)]
        single = SharedHistories(tf.zeros([4], tf.int64), single=True)
        assert single.same(FEATURES, one, tensors).numpy().tolist() == wanted
        two = [tf.constant(np.stack([np.zeros_like(part), part])) for part in split(past)]
        several = SharedHistories(tf.ones([4], tf.int64), single=False)
        assert several.same(FEATURES, two, tensors).numpy().tolist() == wanted
    finally:
        shared_histories._MOST_IDS = before


def test_sums_are_the_same_either_way():
    rng = np.random.default_rng(0)
    numbers = rng.random((1, 3, 2)).astype(np.float32)
    same = (rng.random((4, 3, 2)) < 0.5).astype(np.float32)
    known = np.ones((1, 3, 1), np.float32)
    session = tf.zeros([4], tf.int64)
    found = [SharedHistories(session, one).counted(numbers, known, same) for one in (True, False)]
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)
    added = np.concatenate([known, numbers[:, :, 1:]], axis=2)[0]
    recurring = np.log1p(np.einsum("blf,ln->bfn", same, added)).reshape(4, -1)
    np.testing.assert_allclose(found[0][:, -recurring.shape[1] :], recurring, atol=1e-6)
