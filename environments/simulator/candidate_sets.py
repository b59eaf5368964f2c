"""Candidate sets: a request's random choice of unwatched items, without sorting the pool."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

#: Rows of the table of permutations for each pool size, if they are not too many in all.
_ROWS, _LEAST_ROWS, _MOST_ENTRIES = 256, 16, 1 << 21
_SEED = 20220408


class CandidateSets(tf.Module):
    """Draws C distinct places among the n items that are left, for n = P, P - 1, ...

    A request takes a random row of a table of permutations of n places, and turns it round by a
    random offset. So every item that is left is offered with the chance C / n exactly, sets differ
    from request to request, and no request sorts or shuffles a pool. With 256 rows and 300 items
    there are 76,800 sets to draw from.
    """

    def __init__(self, pool_size: int, candidates: int, max_views: int) -> None:
        """Makes the table.

        Args:
          pool_size: P.
          candidates: C at most; P where that is less.
          max_views: Requests of a session, at most.
        """
        super().__init__(name="candidate_sets")
        self.pool_size = pool_size
        self.size = min(candidates, pool_size)
        self._sizes = min(max_views, pool_size)
        entries = self._sizes * self.size
        self._rows = int(np.clip(_MOST_ENTRIES // entries, _LEAST_ROWS, _ROWS))
        rng = np.random.default_rng(_SEED)
        table = np.zeros((self._sizes, self._rows, self.size), np.int32)
        for views in range(self._sizes):
            left = pool_size - views
            order = np.argsort(rng.random((self._rows, left), dtype=np.float32), axis=1)
            table[views, :, : min(left, self.size)] = order[:, : self.size]
        self._table = tf.constant(table.reshape(-1, self.size))

    def places(self, views: tf.Tensor, uniforms: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The places of a request's candidates among the items left.

        Args:
          views: Items watched, int32 `[batch]`; nothing is offered when they reach ``max_views``.
          uniforms: In [0, 1), float32 `[batch, 2]`.

        Returns:
          int32 `[batch, C]` distinct numbers below P - views, and bool `[batch, C]`, False where
          fewer are left: there the place is 0.
        """
        rows, offset, left = self._draw(views, uniforms)
        places = tf.gather(self._table, rows) + offset[:, tf.newaxis]
        wrapped = places - left[:, tf.newaxis]
        places = tf.where(wrapped < 0, places, wrapped)
        count = tf.where(views < self._sizes, self.pool_size - views, 0)
        mask = tf.range(self.size) < count[:, tf.newaxis]
        return tf.where(mask, places, 0), mask

    def place(self, views: tf.Tensor, uniforms: tf.Tensor, chosen: tf.Tensor) -> tf.Tensor:
        """One place of those that :meth:`places` gives: column ``chosen``, int32 `[batch]`."""
        rows, offset, left = self._draw(views, uniforms)
        place = tf.gather_nd(self._table, tf.stack([rows, chosen], axis=1)) + offset
        return tf.where(place < left, place, place - left)

    def _draw(
        self, views: tf.Tensor, uniforms: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        left = tf.maximum(self.pool_size - views, 1)
        number = tf.minimum(views, self._sizes - 1)
        row = tf.cast(uniforms[:, 0] * self._rows, tf.int32)
        offset = tf.cast(uniforms[:, 1] * tf.cast(left, tf.float32), tf.int32)
        # The product of a float just below 1 may round up to ``left``.
        return number * self._rows + row, tf.minimum(offset, left - 1), left
