"""Histories that many impressions share, as a request's candidates do: one product for all of them.

What belongs to an earlier impression alone is computed once. For each pair of an earlier and a
present impression there is left which ids the two have in common, and what follows from that.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from mtfx.models.history_blocks import PRIOR
from mtfx.models.history_ids import overlap
from mtfx.models.input_features import InputFeature

#: A multivalued feature of more ids is compared value by value.
_MOST_IDS = 5_000


class SharedHistories(NamedTuple):
    """Which history each impression has.

    Attributes:
      session: The place of each impression's history, integers `[batch]`.
      single: Whether there is one history only, known before values are: nothing is repeated then.
    """

    session: tf.Tensor
    single: bool

    def each(self, of_history: tf.Tensor) -> tf.Tensor:
        """What belongs to histories, `[session, ...]`, as `[batch, ...]` or `[1, ...]`."""
        return of_history if self.single else tf.gather(of_history, self.session)

    def same(
        self, features: Sequence[InputFeature], past: Sequence[tf.Tensor], own: Sequence[tf.Tensor]
    ) -> tf.Tensor:
        """Which ids an impression has in common with an earlier one, bool `[batch, length, ids]`.

        Args:
          features: The ids' features, at least one.
          past: Their ids by feature, int32 `[session, length, max_values]`, -1 where there is none.
          own: The impressions' ids by feature, int32 `[batch, max_values]`, likewise.
        """
        parts: list[tf.Tensor] = []
        for one, run in itertools.groupby(range(len(features)), lambda i: features[i].width == 1):
            places = list(run)
            if one:
                earlier, present = (
                    tf.concat([ids[i] for i in places], axis=-1) for ids in (past, own)
                )
                parts.append(self.each(earlier) == present[:, None])
            else:
                parts += [self._overlap(features[i], past[i], own[i]) for i in places]
        return tf.concat(parts, axis=2)

    def _overlap(self, feature: InputFeature, past: tf.Tensor, own: tf.Tensor) -> tf.Tensor:
        """Whether a multivalued feature has an id in common, bool `[batch, length, 1]`."""
        if not self.single or feature.vocabulary_size > _MOST_IDS:
            return overlap(self.each(past), own[:, None])[..., None]
        length, none = past.shape[1], feature.vocabulary_size
        places = tf.range(length)[:, None] + tf.zeros_like(past[0])
        ids = tf.where(past[0] >= 0, past[0], none)
        has = tf.scatter_nd(
            tf.stack([tf.reshape(ids, [-1]), tf.reshape(places, [-1])], axis=1),
            tf.ones([tf.size(ids)]),
            [none + 2, length],
        )
        # The last row but one has what no id is; the last one is empty.
        found = tf.gather(has > 0.0, tf.where(own >= 0, own, none + 1))
        return tf.reduce_any(found, axis=1)[..., None]

    def pooled(self, scores: tf.Tensor, values: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
        """Both poolings, `[batch, 2 * width]`; see ``mtfx.models.history.HistoryEncoder``.

        Args:
          scores: w and u of each pair, `[batch, length, 2]`.
          values: v, `[batch, length, width]`.
          known: 1 where there is an earlier impression, else 0, `[session, length, 1]`.
        """
        number, known = self.each(tf.reduce_sum(known, axis=1)), self.each(known)
        chosen = scores[:, :, 1:] - 1e9 * (1 - known)
        chosen = tf.exp(chosen - tf.reduce_max(chosen, axis=1, keepdims=True)) * known
        weights = tf.concat([tf.sigmoid(scores[:, :, :1]) * known, chosen], axis=2)
        summed, soft = tf.unstack(tf.matmul(weights, values, transpose_a=True), num=2, axis=1)
        soft = tf.math.divide_no_nan(soft, tf.reduce_sum(chosen, axis=1))
        return tf.concat([summed / (number + PRIOR), soft], axis=1)

    def counted(self, numbers: tf.Tensor, known: tf.Tensor, same: tf.Tensor) -> tf.Tensor:
        """What has no weight to learn, `[batch, ...]`.

        Args:
          numbers: Of the earlier impressions, the age first, `[session, length, n]`, 0 where there
            is none.
          known: As of :meth:`pooled`.
          same: Of :meth:`same`, 0 or 1, `[batch, length, ids]`.
        """
        number = tf.reduce_sum(known, axis=1)
        mean = tf.reduce_sum(numbers, axis=1) / (number + PRIOR)
        of_history = tf.concat([tf.math.log1p(number) / 2, mean, numbers[:, 0]], axis=1)
        added = tf.concat([known, tf.nn.relu(numbers[..., 1:])], axis=2)
        recurring = tf.math.log1p(self._sums(same, added))
        # A size of -1 says nothing where there are no columns.
        columns = same.shape[2] * added.shape[2]
        recurring = tf.reshape(recurring, [tf.size(self.session), columns])
        return tf.concat([tf.gather(of_history, self.session), recurring], axis=1)

    def _sums(self, of_pairs: tf.Tensor, of_places: tf.Tensor) -> tf.Tensor:
        """Sums over earlier impressions, `[batch, m, n]`.

        Args:
          of_pairs: `[batch, length, m]`.
          of_places: `[session, length, n]`.
        """
        if not self.single:
            return tf.matmul(of_pairs, tf.gather(of_places, self.session), transpose_a=True)
        length, columns = of_pairs.shape[1], of_pairs.shape[2]
        rows = tf.reshape(tf.transpose(of_pairs, [0, 2, 1]), [-1, length])
        found = tf.matmul(rows, of_places[0])
        return tf.reshape(found, [tf.size(self.session), columns, of_places.shape[2]])
