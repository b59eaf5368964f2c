"""The history encoder: what a user's earlier impressions say about the present one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from mtfx.models.config import HistoryConfig
from mtfx.models.history_blocks import HistoryBlocks, occupied_blocks, whole_histories
from mtfx.models.input_features import InputFeature
from mtfx.models.keras import glorot_uniform, keras, seed_for

#: Added to the number of earlier impressions where sums over them are divided by it: the mean of
#: two says less than that of fifty.
_PRIOR = 3.0
#: Brings the logarithm of an age in seconds, of a month at most 14.8, to about one.
_AGE_SCALE = 12.0
#: Tables of more rows than this get sparse gradients.
_DENSE_ROWS = 50_000


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
        if session is None and not self.padded:
            blocks, newest = occupied_blocks(ids, values), values[:, 0]
        else:
            blocks = whole_histories(ids, values, session)
            newest = blocks.values[:, 0]
        known = tf.cast(blocks.values[:, :, :1] >= 0.0, self.compute_dtype)
        numbers = self._numbers(blocks.values) * known
        same = self._same(blocks, inputs) * known
        pooled = self._pooled(
            blocks, known, tf.concat([numbers, same, known], axis=2), query, training
        )
        newest = self._numbers(newest) * tf.cast(newest[:, :1] >= 0.0, self.compute_dtype)
        number, mean, recurring = self._counted(blocks, known, numbers, same)
        pooled = self.dropout(pooled, training=training)
        return tf.concat([pooled, number, mean, newest, recurring], axis=-1)

    def _history(self, kind: str, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        feature = next((feature for feature in self.inputs if feature.kind == kind), None)
        if feature is None:
            shape = tf.shape(inputs[self.inputs[-1].name])[:2]
            return tf.zeros([*tf.unstack(shape, num=2), 0], tf.int32)
        return inputs[feature.name]

    def _columns(self, ids: tf.Tensor) -> list[tf.Tensor]:
        """Ids by feature, `[..., max_values]`."""
        return tf.split(ids, [c.width for c in self._ids], axis=-1) if self._ids else []

    def _same(self, blocks: HistoryBlocks, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Which ids the present impression has too, 0 or 1, `[block, size, ids' features]`."""
        if not self._ids:
            return tf.zeros_like(blocks.values[..., :0])
        own = [tf.reshape(tf.cast(inputs[c.name], tf.int32), [-1, c.width]) for c in self._ids]
        own = blocks.repeat(tf.concat(own, axis=-1))
        equal = blocks.ids == own
        if equal.shape[2] > len(self._ids):
            columns = map(self._columns, (equal, blocks.ids, own))
            equal = [
                alike if alike.shape[2] == 1 else _overlap(past, present)
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
        size, units, width = known.shape[1], self.config.units, self.config.value_units
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
        scores = tf.reshape(self.scored(tf.reshape(hidden, [-1, units])), [-1, size, 2])
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
        pooled = [summed / (number + _PRIOR), tf.math.divide_no_nan(soft, total)]
        return tf.concat(pooled, axis=-1)

    def _embedded(self, ids: tf.Tensor, training: bool) -> list[tf.Tensor]:
        """Embeddings by feature, `[past, embedding]`, of ids `[past, ids]`."""
        parts = []
        for column, of_column in zip(self._ids, self._columns(ids), strict=True):
            embedded = self._embedding(column, of_column)
            if column.vocabulary_size > self.config.small_vocabulary:
                embedded = self.id_dropout(embedded, training=training)
            parts.append(embedded)
        return parts

    def _embedding(self, column: InputFeature, ids: tf.Tensor) -> tf.Tensor:
        """The mean of the embeddings of the ids that are there, `[past, embedding]`."""
        layer = self.embeddings[column.table]
        table = tf.convert_to_tensor(layer.embeddings)
        if column.vocabulary_size <= _DENSE_ROWS:
            # The product's gradient is dense: one sum, where a sparse one has to find equal rows.
            table = table * 1.0
            found = tf.gather(table, tf.maximum(ids, 0))
        else:
            found = layer(tf.maximum(ids, 0))
        found = tf.cast(found, self.compute_dtype)
        if column.width == 1:
            return tf.squeeze(found, axis=-2)
        known = tf.cast(ids >= 0, self.compute_dtype)[..., None]
        total = tf.reduce_sum(found * known, axis=-2)
        return tf.math.divide_no_nan(total, tf.reduce_sum(known, axis=-2))

    def _counted(
        self, blocks: HistoryBlocks, known: tf.Tensor, numbers: tf.Tensor, same: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """What has no weight to learn, of sums over each history, `[batch, ...]` each."""
        # Over recurring ids one is added up, and every number but the age, if known.
        added = tf.concat([numbers, known, tf.nn.relu(numbers[..., 1:])], axis=-1)
        over = tf.concat([known, same], axis=-1)
        width, columns = added.shape[2], over.shape[2]
        sums = tf.reshape(tf.matmul(over, added, transpose_a=True), [-1, columns * width])
        sums = tf.reshape(blocks.add_up(sums), [-1, columns, width])
        total, number, _ = tf.split(sums[:, 0], [width // 2, 1, width // 2 - 1], axis=1)
        # A size of -1 says nothing where there are no columns.
        recurring = tf.reshape(
            sums[:, 1:, width // 2 :], [tf.shape(sums)[0], (columns - 1) * (width // 2)]
        )
        return tf.math.log1p(number) / 2, total / (number + _PRIOR), tf.math.log1p(recurring)


def _overlap(past: tf.Tensor, own: tf.Tensor) -> tf.Tensor:
    """Whether two rows of ids have one in common, bool `[..., 1]`; -1 is none."""
    equal = (past[..., :, None] == own[..., None, :]) & (past[..., :, None] >= 0)
    return tf.reduce_any(equal, axis=[-2, -1])[..., None]
