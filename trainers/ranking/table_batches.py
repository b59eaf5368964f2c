"""Batches of impressions from sessions in memory."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from mtfx.environments.sessions.table import SessionTable

#: Sessions whose impressions are listed by one step of the input pipeline.
_SESSIONS = 4096


def table_batches(
    table: SessionTable, batch_size: int, *, shuffle: bool, seed: int
) -> tf.data.Dataset:
    """Batches of impressions, as those of :func:`mtfx.trainers.ranking.input.impression_batches`.

    For training that passes over the same sessions many times: they are parsed once. What is
    shuffled is sessions, all of them, and their impressions stay together.

    Args:
      table: The sessions.
      batch_size: Impressions per batch; the last may have fewer.
      shuffle: Whether to shuffle the sessions, anew in every epoch.
      seed: Of shuffling.

    Returns:
      Pairs of ``{feature name: [batch]}`` (int64 ids or float32; `[batch, max_values]` of a
      multivalued feature) and labels float32 `[batch, task]`.
    """
    starts = np.concatenate([[0], np.cumsum(table.lengths)[:-1]])
    spans = tf.constant(np.stack([starts, starts + table.lengths], axis=1), tf.int64)

    def rows(sessions: tf.Tensor) -> tf.Tensor:
        chosen = tf.gather(spans, sessions)
        return tf.ragged.range(chosen[:, 0], chosen[:, 1]).flat_values

    def impressions(chosen: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        features = {name: tf.gather(column, chosen) for name, column in table.features.items()}
        return features, tf.gather(table.labels, chosen)

    sessions = tf.data.Dataset.range(table.num_sessions)
    if shuffle:
        sessions = sessions.shuffle(table.num_sessions, seed=seed, reshuffle_each_iteration=True)
    listed = sessions.batch(_SESSIONS).map(rows).rebatch(batch_size)
    return listed.map(
        impressions, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    ).prefetch(tf.data.AUTOTUNE)
