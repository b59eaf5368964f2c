"""Histories cut into blocks, and the earlier impressions that several histories share.

Most users have few earlier impressions, and few have as many as there is room for. A block costs
less than its impressions one by one: what belongs to the present impression is read, and sums are
written, once for each block.

The histories of a session's impressions differ by what happened in it. What belongs to an earlier
impression alone is computed once for all histories that it is part of.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

#: Added to the number of earlier impressions where sums over them are divided by it: the mean of
#: two says less than that of fifty.
PRIOR = 3.0
#: Earlier impressions of a block, at most. Longer ones leave more places empty.
_SIZE = 10


class HistoryBlocks(NamedTuple):
    """Earlier impressions in blocks of neighbours, each block of one impression's history.

    Attributes:
      ids: int32 `[block, size, ids]`, -1 where there is none.
      values: float32 `[block, size, values]`, the age first, -1 where there is no impression.
      row: Whose history it is, ascending, int32 `[block]`; None: each impression has one block, in
        order.
      count: Impressions; None with ``row``.
      past_ids: Each earlier impression's ids once, int32 `[past, ids]`.
      places: Where each is among these, int32 `[block, size]`, anywhere if there is none; None: in
        order.
    """

    ids: tf.Tensor
    values: tf.Tensor
    row: tf.Tensor | None
    count: tf.Tensor | None
    past_ids: tf.Tensor
    places: tf.Tensor | None

    def spread(self, own: tf.Tensor) -> tf.Tensor:
        """What belongs to the present impressions, `[batch, n]`, by block, `[block, 1, n]`."""
        return (own if self.row is None else tf.gather(own, self.row))[:, None]

    def repeat(self, own: tf.Tensor) -> tf.Tensor:
        """As :meth:`spread`, `[block, size, n]`, which is faster than broadcasting few columns."""
        size = self.values.shape[1]
        if self.row is None:
            return tf.repeat(own[:, None], size, axis=1)
        return tf.gather(own, tf.repeat(self.row[:, None], size, axis=1))

    def each(self, of_past: tf.Tensor) -> tf.Tensor:
        """What belongs to earlier impressions, `[past, n]`, by block, `[block, size, n]`."""
        if self.places is None:
            return tf.reshape(of_past, [-1, self.values.shape[1], of_past.shape[1]])
        return tf.gather(of_past, self.places)

    def add_up(self, rows: tf.Tensor) -> tf.Tensor:
        """Sums of what belongs to the blocks, `[block, n]`, by impression, `[batch, n]`."""
        return rows if self.row is None else self._of_all(tf.math.segment_sum(rows, self.row))

    def highest(self, rows: tf.Tensor) -> tf.Tensor:
        """As :meth:`add_up`, the highest values."""
        return rows if self.row is None else self._of_all(tf.math.segment_max(rows, self.row))

    def counted(
        self, known: tf.Tensor, numbers: tf.Tensor, same: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """What has no weight to learn: the number, the means and what recurs, each `[batch, ...]`.

        Args:
          known: 1 where there is an earlier impression, else 0, `[block, size, 1]`.
          numbers: Its numbers, the age first, 0 where there is none, `[block, size, n]`.
          same: Which ids recur, 0 or 1, `[block, size, ids]`.
        """
        # Over recurring ids one is added up, and every number but the age, if known.
        added = tf.concat([numbers, known, tf.nn.relu(numbers[..., 1:])], axis=-1)
        over = tf.concat([known, same], axis=-1)
        width, columns = added.shape[2], over.shape[2]
        sums = tf.reshape(tf.matmul(over, added, transpose_a=True), [-1, columns * width])
        sums = tf.reshape(self.add_up(sums), [-1, columns, width])
        total, number, _ = tf.split(sums[:, 0], [width // 2, 1, width // 2 - 1], axis=1)
        # A size of -1 says nothing where there are no columns.
        recurring = tf.reshape(
            sums[:, 1:, width // 2 :], [tf.shape(sums)[0], (columns - 1) * (width // 2)]
        )
        return tf.math.log1p(number) / 2, total / (number + PRIOR), tf.math.log1p(recurring)

    def _of_all(self, rows: tf.Tensor) -> tf.Tensor:
        # A segment operation knows nothing of the last impressions where they have no block.
        assert self.count is not None
        filled = tf.pad(rows, [[0, self.count - tf.shape(rows)[0]], [0, 0]])
        return tf.ensure_shape(filled, [None, rows.shape[1]])


def whole_histories(ids: tf.Tensor, values: tf.Tensor) -> HistoryBlocks:
    """One block for each impression, as long as the history, whether it is empty or not.

    Its shape does not depend on values, as XLA demands.

    Args:
      ids: int32 `[batch, length, ids]`.
      values: float32 `[batch, length, values]`.
    """
    return HistoryBlocks(ids, values, None, None, _flat(ids), None)


def occupied_blocks(ids: tf.Tensor, values: tf.Tensor) -> HistoryBlocks:
    """The blocks in which there is an earlier impression.

    Args:
      ids: int32 `[batch, length, ids]`.
      values: float32 `[batch, length, values]`, the age first, -1 where there is no impression.
    """
    count, length = tf.shape(values)[0], values.shape[1]
    size = min(_SIZE, length)
    blocks = -(-length // size)
    fresh, ends = _shared(ids, values)
    places = tf.maximum(ends[:, None] - 1 - tf.range(blocks * size), 0)
    places = tf.reshape(places, [count * blocks, size])
    missing = [[0, 0], [0, blocks * size - length], [0, 0]]
    cut_ids, cut_values = (
        tf.reshape(
            tf.pad(rows, missing, constant_values=tf.constant(-1, rows.dtype)),
            [count * blocks, size, rows.shape[2]],
        )
        for rows in (ids, values)
    )
    found = tf.where(tf.reduce_any(cut_values[:, :, 0] >= 0.0, axis=1))[:, 0]
    return HistoryBlocks(
        ids=tf.gather(cut_ids, found),
        values=tf.gather(cut_values, found),
        row=tf.cast(found // blocks, tf.int32),
        count=count,
        past_ids=tf.gather(_flat(ids), fresh),
        places=tf.gather(places, found),
    )


def _shared(ids: tf.Tensor, values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Each earlier impression once, where a history goes on with the one before it in the batch.

    It does if it is the same, or the same with one more in front, as from one impression of a
    session to the next. Their ids are compared, so that any order of a batch is right.

    Returns:
      Places in all histories, flat, int64 `[past]`: oldest first, history by history. And how many
      of these there are up to the newest of each history, int32 `[batch]`: its k-th newest is the
      k-th before that.
    """
    length, width = ids.shape[1], ids.shape[2]
    if not width:
        return tf.zeros([0], tf.int64), tf.zeros([tf.shape(ids)[0]], tf.int32)
    content = tf.reshape(ids, [-1, length * width])
    before, after = content[:-1], content[1:]
    # Impressions may have no id of any feature: what is equal may still be longer.
    places = tf.range(1, length + 1)
    span = tf.reduce_max(tf.where(values[:, :, 0] >= 0.0, places, 0), axis=1)
    grown = span[1:] - span[:-1]
    equal = tf.reduce_all(before == after, axis=1) & (grown <= 0)
    longer = tf.reduce_all(before[:, :-width] == after[:, width:], axis=1) & (grown <= 1)
    new = tf.where(equal, 0, tf.where(longer, tf.minimum(span[1:], 1), span[1:]))
    new = tf.concat([span[:1], new], axis=0)
    # From the oldest on.
    fresh = tf.where(tf.range(length, 0, -1) <= new[:, None])
    flat = fresh[:, 0] * length + (length - 1 - fresh[:, 1])
    return flat, tf.cumsum(new)


def _flat(rows: tf.Tensor) -> tf.Tensor:
    """`[batch, length, n]` to `[batch * length, n]`."""
    count, length, width = tf.shape(rows)[0], rows.shape[1], rows.shape[2]
    return tf.reshape(rows, [count * length, width])
