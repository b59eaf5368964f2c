"""xMTF's pairwise losses against loops over pairs in NumPy."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from mtfx.models import pairwise

SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 3))


def case(shape, seed):
    """Predictions with ties, values, mask."""
    rng = np.random.default_rng(seed)
    predictions = rng.integers(0, 4, shape).astype(np.float32) / 4
    values = rng.normal(size=shape).astype(np.float32)
    return predictions, values, rng.random(shape[:2]) < 0.8


def hinge_by_hand(predictions, values, mask, margin=0.0):
    """(17), summed over predictions, and its derivative."""
    losses, slopes = np.zeros(len(values)), np.zeros(values.shape)
    for b, i, j, k in np.ndindex(values.shape[0], *[values.shape[1]] * 2, values.shape[2]):
        if mask[b, i] and mask[b, j] and predictions[b, i, k] < predictions[b, j, k]:
            gap = margin + float(values[b, i, k]) - float(values[b, j, k])
            losses[b] += max(0.0, gap)
            slopes[b, i, k] += gap > 0
            slopes[b, j, k] -= gap > 0
    return losses, slopes


def bpr_by_hand(labels, scores, mask):
    """(16) and its derivative."""
    losses, slopes = np.zeros(len(scores)), np.zeros(scores.shape)
    for b, i, j in np.ndindex(scores.shape[0], *[scores.shape[1]] * 2):
        if mask[b, i] and mask[b, j] and labels[b, i] < labels[b, j]:
            gap = float(scores[b, j]) - float(scores[b, i])
            losses[b] -= np.log(1 / (1 + np.exp(-gap)))
            slopes[b, i] += 1 / (1 + np.exp(gap))
            slopes[b, j] -= 1 / (1 + np.exp(gap))
    return losses, slopes


def value_and_gradient(function, scores):
    scores = tf.constant(scores)
    with tf.GradientTape() as tape:
        tape.watch(scores)
        losses = function(scores)
    return losses.numpy(), tape.gradient(losses, scores).numpy()


@settings(max_examples=25)
@given(shape=SHAPES, seed=st.integers(0, 1000), margin=st.sampled_from([0.0, 0.3, 2.0]))
def test_monotonicity_loss(shape, seed, margin):
    predictions, values, mask = case(shape, seed)
    labels, present = tf.constant(predictions), tf.constant(mask)
    found = value_and_gradient(
        lambda x: pairwise.monotonicity_loss(labels, x, present, margin), values
    )
    by_hand = hinge_by_hand(predictions, values, mask, margin)
    for one, wanted in zip(found, by_hand, strict=True):
        np.testing.assert_allclose(one, wanted, rtol=1e-4, atol=1e-5)


@settings(max_examples=25)
@given(shape=SHAPES, seed=st.integers(0, 1000))
def test_transfer_loss(shape, seed):
    predictions, values, mask = case(shape, seed)
    labels, scores = predictions.sum(axis=2), values[..., 0]
    found = value_and_gradient(
        lambda x: pairwise.transfer_loss(tf.constant(labels), x, tf.constant(mask)), scores
    )
    for one, wanted in zip(found, bpr_by_hand(labels, scores, mask), strict=True):
        np.testing.assert_allclose(one, wanted, rtol=1e-4, atol=1e-5)


@settings(max_examples=25)
@given(shape=SHAPES, seed=st.integers(0, 1000))
def test_order_loss(shape, seed):
    predictions, values, mask = case(shape, seed)
    labels, scores = predictions[..., :1], values[..., :1]
    found = value_and_gradient(
        lambda x: pairwise.order_loss(tf.constant(labels[..., 0]), x, tf.constant(mask)),
        scores[..., 0],
    )
    value, slopes = hinge_by_hand(labels, scores, mask)
    np.testing.assert_allclose(found[0], value, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[1], slopes[..., 0], rtol=1e-4, atol=1e-5)


def test_chunks_change_nothing(monkeypatch):
    predictions, values, mask = case((7, 5, 3), 0)
    arguments = (tf.constant(predictions), tf.constant(values), tf.constant(mask))
    whole = pairwise.monotonicity_loss(*arguments)
    # Fewer pairs than a single row has: rows one by one.
    for pairs in (1, 60):
        monkeypatch.setattr(pairwise, "_PAIRS_AT_ONCE", pairs)
        np.testing.assert_allclose(pairwise.monotonicity_loss(*arguments), whole, rtol=1e-6)


def test_labels_get_no_gradient():
    labels = tf.constant([[0.1, 0.2, 0.3]])
    with tf.GradientTape() as tape:
        tape.watch(labels)
        loss = pairwise.transfer_loss(labels, 2.0 * labels[:, ::-1], tf.ones([1, 3], tf.bool))
    # Only by way of the scores.
    found = tape.gradient(loss, labels).numpy()
    _, slopes = bpr_by_hand(labels.numpy(), 2 * labels.numpy()[:, ::-1], np.ones((1, 3), bool))
    np.testing.assert_allclose(found, 2 * slopes[:, ::-1], rtol=1e-5, atol=1e-6)


def test_the_gradient_of_each_request_is_weighted_by_what_comes_after():
    predictions, values, mask = case((3, 5, 2), 4)
    weights = tf.constant([1.0, -2.0, 0.5])
    _, found = value_and_gradient(
        lambda x: (
            weights * pairwise.monotonicity_loss(tf.constant(predictions), x, tf.constant(mask))
        ),
        values,
    )
    _, slopes = hinge_by_hand(predictions, values, mask)
    np.testing.assert_allclose(found, weights.numpy()[:, None, None] * slopes, atol=1e-5)


def test_violations_are_a_share_of_the_pairs_that_differ():
    predictions = tf.constant([[[0.1, 0.5], [0.2, 0.5], [0.3, 0.5], [0.9, 0.1]]])
    values = tf.constant([[[1.0, 3.0], [3.0, 1.0], [2.0, 2.0], [9.0, 0.0]]])
    mask = tf.constant([[True, True, True, False]])
    np.testing.assert_allclose(pairwise.violations(predictions, values, mask), [1 / 3, 0.0])
    np.testing.assert_allclose(
        pairwise.violations(predictions, values, tf.ones([1, 4], tf.bool)), [1 / 6, 0.0]
    )
    # The pair that is broken is so by 1.
    np.testing.assert_allclose(pairwise.violations(predictions, values, mask, 0.9), [1 / 3, 0.0])
    np.testing.assert_allclose(pairwise.violations(predictions, values, mask, 1.1), [0.0, 0.0])


@pytest.mark.parametrize(("size", "pairs"), [(0, 0), (1, 0), (2, 1), (5, 10)])
def test_pairs_are_counted_once(size, pairs):
    mask = tf.range(6)[tf.newaxis] < size
    np.testing.assert_array_equal(pairwise.num_pairs(mask), [pairs])


def test_a_request_without_candidates_costs_nothing():
    empty = tf.zeros([2, 4], tf.bool)
    zeros = tf.zeros([2, 4, 3])
    np.testing.assert_array_equal(pairwise.monotonicity_loss(zeros, zeros, empty), [0, 0])
    nothing = tf.zeros([0, 4])
    assert pairwise.transfer_loss(nothing, nothing, empty[:0]).shape == [0]
