"""Ids of earlier impressions: their embeddings, and whether two impressions have one in common."""

from __future__ import annotations

import tensorflow as tf

from mtfx.models.input_features import InputFeature
from mtfx.models.keras import keras

#: Tables of more rows than this get sparse gradients.
_DENSE_ROWS = 50_000


def mean_embedding(
    layer: keras.layers.Embedding, column: InputFeature, ids: tf.Tensor
) -> tf.Tensor:
    """The mean of the embeddings of the ids that are there.

    Args:
      layer: The table.
      column: The ids' feature.
      ids: int32 `[past, max_values]`, -1 where there is none.

    Returns:
      float32 `[past, embedding]`; of a feature with one value, which always is there, its own.
    """
    if column.vocabulary_size <= _DENSE_ROWS:
        # The product's gradient is dense: one sum, where a sparse one has to find equal rows.
        table = tf.convert_to_tensor(layer.embeddings) * 1.0
        found = tf.gather(table, tf.maximum(ids, 0))
    else:
        found = layer(tf.maximum(ids, 0))
    if column.width == 1:
        return tf.squeeze(found, axis=-2)
    known = tf.cast(ids >= 0, found.dtype)[..., None]
    total = tf.reduce_sum(found * known, axis=-2)
    return tf.math.divide_no_nan(total, tf.reduce_sum(known, axis=-2))


def overlap(past: tf.Tensor, own: tf.Tensor) -> tf.Tensor:
    """Whether two rows of ids have one in common.

    Args:
      past: int32 `[..., max_values]`, -1 where there is none.
      own: int32 `[..., max_values]`, likewise.

    Returns:
      bool `[...]`, of both shapes broadcast.
    """
    # What is missing is equal to nothing.
    own = tf.where(own >= 0, own, -2)
    return tf.reduce_any(past[..., :, None] == own[..., None, :], axis=[-2, -1])
