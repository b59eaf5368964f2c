"""The history encoder: what a user's earlier impressions say about the present one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from mtfx.models.config import HistoryConfig
from mtfx.models.history_blocks import PRIOR, HistoryBlocks, occupied_blocks, whole_histories
from mtfx.models.history_ids import mean_embedding, overlap
from mtfx.models.input_features import InputFeature
from mtfx.models.keras import glorot_uniform, keras, seed_for
from mtfx.models.shared_histories import SharedHistories

#: Brings the logarithm of an age in seconds, of a month at most 14.8, to about one.
_AGE_SCALE = 12.0


class HistoryEncoder(keras.layers.Layer):
    """Target attention over earlier impressions, and counts of them.

    An earlier impression i, with features x_i (its feedback, watch share, age, numbers, embeddings
    of its small categories, and which of its ids the present impression has too), gets two scores

        (w_i, u_i) = W₂ relu(W₁ x_i + q),

    q being a linear function of the present impression's features, and a value v_i = relu(V x_i).
    Pooled are Σ sigmoid(w_i) v_i / (n + 3), which keeps how much there is, as DIN's sum does (Zhou
    et al., "Deep Interest Network for Click-Through Rate Prediction", KDD 2018, equation 3, whose
    weights are not normalised either), and Σ softmax(u)_i v_i, which finds the few that matter.
    Beside these go, without any weight to learn: log(1 + n), the mean of every number over the n
    impressions and 3 more of 0, the newest impression's numbers, and for each id that recurs how
    often it did, and with which feedback.

    In training each impression has its own history; a served request has one for all candidates.
    Both give the same numbers. What the embeddings of an earlier impression add to W₁ x_i and V x_i
    is computed once for all histories that share it: see ``mtfx.models.history_blocks``.

    Attributes:
      inputs: The histories among the model's inputs.
      padded: Compute places without an earlier impression too, as XLA needs shapes that do not
        depend on values. Otherwise they are left out, as most users have few.
    """

    def __init__(
        self,
        inputs: tuple[InputFeature, ...],
        config: HistoryConfig,
        *,
        seed: int = 0,
        dtype: str = "float32",
    ) -> None:
        """Builds the layers.

        Args:
          inputs: The model's, ``history_values`` among them.
          config: Sizes.
          seed: Of weights and dropout.
          dtype: Keras dtype policy.
        """
        super().__init__(name="history_encoder", dtype=dtype)
        by_kind = {feature.kind: feature for feature in inputs if feature.is_history}
        self.inputs = tuple(by_kind.values())
        self.config = config
        self.padded = False
        self._seed = seed
        self._ids = by_kind["history_ids"].columns if "history_ids" in by_kind else ()
        self._values = by_kind["history_values"].columns
        self._length = by_kind["history_values"].length
        self.embeddings = {
            table: keras.layers.Embedding(
                size,
                config.embedding_dim,
                embeddings_initializer=keras.initializers.RandomUniform(
                    -0.05, 0.05, seed=seed_for(seed, f"history/{table}")
                ),
                name=f"history_embedding_{table}",
                dtype=dtype,
            )
            for table, size in {c.table: c.vocabulary_size for c in self._ids}.items()
        }
        width = len(self._ids) * (config.embedding_dim + 1) + len(self._values)
        self.compared = self._dense(width, config.units, "linear", "compared")
        self.scored = self._dense(config.units, 2, "linear", "scored")
        self.valued = self._dense(width, config.value_units, "relu", "valued")
        self.dropout = keras.layers.Dropout(
            config.dropout, seed=seed_for(seed, "history/dropout"), dtype=dtype
        )
        self.id_dropout = keras.layers.Dropout(
            config.id_dropout, seed=seed_for(seed, "history/id_dropout"), dtype=dtype
        )

    def _dense(self, fan_in: int, units: int, activation: str, name: str) -> keras.layers.Dense:
        seed = seed_for(self._seed, f"history/{name}")
        return keras.layers.Dense(
            units,
            activation=activation,
            kernel_initializer=glorot_uniform(fan_in, units, seed),
            name=f"history_{name}",
            dtype=self.dtype_policy.name,
        )

    def build(self, input_shape: Any) -> None:
        """Creates the weights of the layers that are read and not called."""
        width = len(self._ids) * (self.config.embedding_dim + 1) + len(self._values)
        shapes = dict.fromkeys(self.embeddings.values())
        shapes |= {layer: [None, width] for layer in (self.compared, self.valued)}
        for layer, shape in shapes.items():
            # A warm start finds tables by their layers' names.
            with tf.name_scope(layer.name):
                layer.build(shape)
        super().build(input_shape)

    @property
    def output_width(self) -> int:
        """Columns of the encoder's output."""
        numbers = len(self._values)
        recurring = len(self._ids) * numbers
        return 2 * self.config.value_units + 1 + 2 * numbers + recurring

    def call(
        self,
        inputs: Mapping[str, tf.Tensor],
        query: tf.Tensor,
        session: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        """Encodes histories.

        Args:
          inputs: The model's: ``history_ids`` int32 `[batch, length, ids]`, ``history_values``
            float32 `[batch, length, values]`, and the impressions' own ids `[batch]`.
          query: A linear function of the impressions, `[batch, units]`.
          session: The place of each impression's history, integers `[batch]`: histories are then
            `[session, length, ...]`.
          training: Whether to drop units.

        Returns:
          `[batch, output_width]` in the compute dtype.
        """
        ids, values = (self._history(kind, inputs) for kind in ("history_ids", "history_values"))
        if session is not None:
            return self._of_sessions(ids, values, inputs, query, session)
        blocks = (whole_histories if self.padded else occupied_blocks)(ids, values)
        newest = values[:, 0]
        known = tf.cast(blocks.values[:, :, :1] >= 0.0, self.compute_dtype)
        numbers = self._numbers(blocks.values) * known
        same = self._same(blocks, inputs) * known
        pooled = self._pooled(
            blocks, known, tf.concat([numbers, same, known], axis=2), query, training
        )
        newest = self._numbers(newest) * tf.cast(newest[:, :1] >= 0.0, self.compute_dtype)
        number, mean, recurring = blocks.counted(known, numbers, same)
        pooled = self.dropout(pooled, training=training)
        return tf.concat([pooled, number, mean, newest, recurring], axis=-1)

    def _of_sessions(
        self,
        ids: tf.Tensor,
        values: tf.Tensor,
        inputs: Mapping[str, tf.Tensor],
        query: tf.Tensor,
        session: tf.Tensor,
    ) -> tf.Tensor:
        """As :meth:`call`, with less that is computed for each pair of impressions."""
        shared = SharedHistories(session, single=values.shape[0] == 1)
        known = tf.cast(values[:, :, :1] >= 0.0, self.compute_dtype)
        numbers = self._numbers(values) * known
        past = tf.where(values[:, :, :1] >= 0.0, ids, -1)
        same = tf.zeros([tf.size(session), self._length, 0], tf.bool)
        if self._ids:
            same = shared.same(self._ids, self._columns(past), self._own(inputs))
        same = tf.cast(same, self.compute_dtype)
        parts = [*self._embedded(_flat(ids), False), _flat(numbers)]
        compared, valued = (
            shared.each(of_places) + of_pairs
            for of_places, of_pairs in (
                self._apart(layer, tf.concat(parts, axis=1), same)
                for layer in (self.compared, self.valued)
            )
        )
        scores = self._scores(tf.nn.relu(compared + query[:, None]))
        pooled = shared.pooled(scores, tf.nn.relu(valued), known)
        return tf.concat([pooled, shared.counted(numbers, known, same)], axis=1)

    def _apart(
        self, layer: keras.layers.Dense, of_places: tf.Tensor, same: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """What places alone, and what pairs, add to a layer, each `[..., length, units]`."""
        kernel, bias = (tf.cast(w, same.dtype) for w in (layer.kernel, layer.bias))
        length, columns = same.shape[1], same.shape[2]
        first = tf.matmul(of_places, kernel[: kernel.shape[0] - columns]) + bias
        second = tf.matmul(_flat(same), kernel[kernel.shape[0] - columns :])
        return (
            tf.reshape(first, [-1, length, layer.units]),
            tf.reshape(second, [-1, length, layer.units]),
        )

    def _scores(self, hidden: tf.Tensor) -> tf.Tensor:
        """Two scores of each pair, `[..., size, 2]`, of `[..., size, units]`."""
        return tf.reshape(self.scored(_flat(hidden)), [-1, hidden.shape[1], 2])

    def _history(self, kind: str, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        feature = next((feature for feature in self.inputs if feature.kind == kind), None)
        if feature is None:
            shape = tf.shape(inputs[self.inputs[-1].name])[:2]
            return tf.zeros([*tf.unstack(shape, num=2), 0], tf.int32)
        return inputs[feature.name]

    def _columns(self, ids: tf.Tensor) -> list[tf.Tensor]:
        """Ids by feature, `[..., max_values]`."""
        return tf.split(ids, [c.width for c in self._ids], axis=-1) if self._ids else []

    def _own(self, inputs: Mapping[str, tf.Tensor]) -> list[tf.Tensor]:
        """The impressions' own ids by feature, int32 `[batch, max_values]`."""
        return [tf.reshape(tf.cast(inputs[c.name], tf.int32), [-1, c.width]) for c in self._ids]

    def _same(self, blocks: HistoryBlocks, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Which ids the present impression has too, 0 or 1, `[block, size, ids' features]`."""
        if not self._ids:
            return tf.zeros_like(blocks.values[..., :0])
        own = blocks.repeat(tf.concat(self._own(inputs), axis=-1))
        equal = blocks.ids == own
        if equal.shape[2] > len(self._ids):
            columns = map(self._columns, (equal, blocks.ids, own))
            equal = [
                alike if alike.shape[2] == 1 else overlap(past, present)[..., None]
                for alike, past, present in zip(*columns, strict=True)
            ]
            equal = tf.concat(equal, axis=2)
        return tf.cast(equal, self.compute_dtype)

    def _numbers(self, values: tf.Tensor) -> tf.Tensor:
        """Earlier impressions' numbers, with an age that is no longer than the others."""
        age, others = values[..., :1], values[..., 1:]
        numbers = tf.concat([tf.math.log1p(tf.nn.relu(age)) / _AGE_SCALE, others], axis=-1)
        return tf.cast(numbers, self.compute_dtype)

    def _pooled(
        self,
        blocks: HistoryBlocks,
        known: tf.Tensor,
        pairs: tf.Tensor,
        query: tf.Tensor,
        training: bool,
    ) -> tf.Tensor:
        """Both poolings, `[batch, 2 * value_units]`.

        Args:
          blocks: Earlier impressions.
          known: 1 where there is one, else 0, `[block, size, 1]`.
          pairs: What is not an embedding, and ``known``, `[block, size, n]`.
          query: Of :meth:`call`.
          training: Likewise.
        """
        size, width = known.shape[1], self.config.value_units
        past = tf.concat(self._embedded(blocks.past_ids, training), axis=1) if self._ids else None
        of_pairs = tf.reshape(pairs, [-1, pairs.shape[2]])
        sums = []
        for layer in (self.compared, self.valued):
            kernel, bias = (tf.cast(w, of_pairs.dtype) for w in (layer.kernel, layer.bias))
            embedded = len(self._ids) * self.config.embedding_dim
            others = tf.concat([kernel[embedded:], bias[None]], axis=0)
            total = tf.reshape(tf.matmul(of_pairs, others), [-1, size, layer.units])
            if past is not None:
                total += blocks.each(tf.matmul(past, kernel[:embedded]))
            sums.append(total)
        hidden = tf.nn.relu(sums[0] + blocks.spread(query))
        scores = self._scores(hidden)
        summed, chosen = scores[:, :, :1], scores[:, :, 1:] - 1e9 * (1 - known)
        highest = blocks.highest(tf.reduce_max(tf.stop_gradient(chosen), axis=1))
        weights = [tf.sigmoid(summed) * known, tf.exp(chosen - blocks.spread(highest)) * known]
        # A product per block: the values weighted one by one would be written twice, and read.
        sums = tf.matmul(tf.concat(weights, axis=2), tf.nn.relu(sums[1]), transpose_a=True)
        parts = [
            tf.reshape(sums, [-1, 2 * width]),
            tf.reduce_sum(weights[1], axis=1),
            tf.reduce_sum(known, axis=1),
        ]
        sums = blocks.add_up(tf.concat(parts, axis=1))
        summed, soft, total, number = tf.split(sums, [width, width, 1, 1], axis=1)
        pooled = [summed / (number + PRIOR), tf.math.divide_no_nan(soft, total)]
        return tf.concat(pooled, axis=-1)

    def _embedded(self, ids: tf.Tensor, training: bool) -> list[tf.Tensor]:
        """Embeddings by feature, `[past, embedding]`, of ids `[past, ids]`."""
        parts = []
        for column, of_column in zip(self._ids, self._columns(ids), strict=True):
            layer = self.embeddings[column.table]
            embedded = tf.cast(mean_embedding(layer, column, of_column), self.compute_dtype)
            if column.vocabulary_size > self.config.small_vocabulary:
                embedded = self.id_dropout(embedded, training=training)
            parts.append(embedded)
        return parts


def _flat(rows: tf.Tensor) -> tf.Tensor:
    """`[..., size, n]` to `[all, n]`."""
    return tf.reshape(rows, [-1, rows.shape[2]])
