"""Masks of unknown labels, for losses: see ``mtfx.datasets.labels``."""

from __future__ import annotations

import tensorflow as tf

from mtfx.datasets.labels import UNKNOWN


def known_mask(labels: tf.Tensor) -> tf.Tensor:
    """1 where a label is known and 0 where it is not: float32, shaped as the labels."""
    return tf.cast(tf.not_equal(labels, tf.cast(UNKNOWN, labels.dtype)), tf.float32)


def with_zeros(labels: tf.Tensor) -> tf.Tensor:
    """The labels with 0 in place of unknown ones, for a loss that the mask then multiplies.

    A loss of -1 may be NaN, and NaN times 0 is NaN: the label must be a possible one.
    """
    return tf.where(known_mask(labels) > 0, labels, tf.zeros_like(labels))
