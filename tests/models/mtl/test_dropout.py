"""Dropout: its rate, its scale, its independence."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from mtfx.models.mtl.blocks import ParallelMlp
from mtfx.models.mtl.dropout import keep_masks, keep_scale

SEED = tf.constant([3, 14])


def masks(count: int, batch: int, units: int, rate: float, seed=SEED) -> np.ndarray:
    return np.stack(keep_masks(count, tf.constant(batch), units, rate, seed, "float32"))


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.5, 0.9])
def test_the_share_of_dropped_units_is_the_rate(rate):
    kept = masks(4, 1000, 64, rate)
    assert set(np.unique(kept)) == {0.0, 1.0}
    # Five standard deviations around the rate, which is rounded to 1/256.
    tolerance = 5 * np.sqrt(rate * (1 - rate) / kept[0].size) + 1 / 512
    for member in kept:
        assert np.mean(member) == pytest.approx(1 - rate, abs=tolerance)
    assert keep_scale(rate) == pytest.approx(1 / (1 - rate), rel=0.03)


def test_units_rows_and_members_are_dropped_independently():
    kept = masks(3, 4000, 48, 0.5)
    pairs = [
        (kept[0, :, :-1], kept[0, :, 1:]),
        (kept[0, :-1], kept[0, 1:]),
        (kept[0], kept[1]),
        (kept[1], kept[2]),
    ]
    for one, other in pairs:
        correlation = np.corrcoef(one.ravel(), other.ravel())[0, 1]
        assert abs(correlation) < 5 / np.sqrt(one.size)


def test_masks_depend_on_the_seed_alone():
    np.testing.assert_array_equal(masks(2, 10, 7, 0.3), masks(2, 10, 7, 0.3))
    assert not np.array_equal(masks(2, 10, 7, 0.3), masks(2, 10, 7, 0.3, SEED + 1))


@pytest.mark.parametrize(("count", "batch", "units"), [(1, 1, 1), (2, 3, 5), (8, 1, 16), (3, 0, 4)])
def test_any_shape(count, batch, units):
    assert masks(count, batch, units, 0.2).shape == (count, batch, units)


def test_the_expected_output_is_that_without_dropout():
    layer = ParallelMlp(2, (16,), dropout=0.2, seed=0, name="experts")
    inputs = tf.constant(np.random.default_rng(0).normal(size=(1, 6)).astype(np.float32))
    many = tf.repeat(inputs, 20_000, axis=0)
    for calm, noisy in zip(layer(inputs), layer(many, training=True), strict=True):
        error = 5 * noisy.numpy().std(axis=0) / np.sqrt(20_000)
        assert np.all(np.abs(noisy.numpy().mean(axis=0) - calm.numpy()[0]) <= error + 1e-6)
