"""The history encoder: what a user's earlier impressions say about the present one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from mtfx.models.config import HistoryConfig
from mtfx.models.input_features import InputFeature
from mtfx.models.keras import glorot_uniform, keras, seed_for

#: Added to the number of earlier impressions where sums over them are divided by it: the mean of
#: two says less than that of fifty.
_PRIOR = 3.0
#: Brings the logarithm of an age in seconds, of a month at most 14.8, to about one.
_AGE_SCALE = 12.0
#: Tables of more rows than this get sparse gradients.
_DENSE_ROWS = 50_000


class _Pairs(NamedTuple):
    """Pairs of an impression and an earlier one.

    Attributes:
      ids: Of the earlier impressions, int32 `[..., ids]`, -1 where there is none.
      values: Of them, float32 `[..., values]`, the age first.
      same: 1 where the two have the same id, float32 `[..., ids' features]`.
    """

    ids: tf.Tensor
    values: tf.Tensor
    same: tf.Tensor


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

    In training each impression has its own history; a served request has one for all candidates,
    whose part of the computation is then done once. Both give the same numbers.

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
        """Creates the embeddings, which are read as tables and not by calling their layers."""
        for layer in self.embeddings.values():
            # A warm start finds tables by their layers' names.
            with tf.name_scope(layer.name):
                layer.build(None)
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
        if session is None and not self.padded:
            pooled, counted = self._of_known(inputs, query, training)
        else:
            place = tf.range(tf.shape(query)[0]) if session is None else session
            pooled, counted = self._of_all(inputs, query, place, training)
        return tf.concat([self.dropout(pooled, training=training), counted], axis=-1)

    def _of_known(
        self, inputs: Mapping[str, tf.Tensor], query: tf.Tensor, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """As :meth:`_of_all`, but of the places where there is an earlier impression alone."""
        values = self._history("history_values", inputs)
        known = tf.where(values[:, :, 0] >= 0.0)
        row, count = known[:, 0], tf.shape(query, tf.int64)[0]
        ids = self._history("history_ids", inputs)
        # Of no columns TensorFlow gathers none, but refuses.
        of_known = tf.gather_nd(ids, known) if self._ids else tf.zeros([tf.size(row), 0], tf.int32)
        found = _Pairs(of_known, tf.gather_nd(values, known), tf.zeros([0]))
        own = self._own_ids(inputs)
        same = [
            _agree(past, tf.gather(ids_of, row))
            for past, ids_of in zip(self._columns(found.ids), own, strict=True)
        ]
        pairs = found._replace(same=_stacked(same, found.values))

        scores, value = self._scores(pairs, tf.gather(query, row), training)
        highest = tf.math.unsorted_segment_max(scores[:, 1:], row, count)
        weight = tf.exp(scores[:, 1:] - tf.stop_gradient(tf.gather(highest, row)))
        numbers, newest = self._numbers(pairs), tf.cast(known[:, 1:] == 0, self.compute_dtype)
        parts = [
            tf.ones_like(weight),
            weight,
            tf.sigmoid(scores[:, :1]) * value,
            weight * value,
            numbers,
            newest * numbers,
            _outer(pairs.same, self._recurring(numbers)),
        ]
        sums = tf.math.unsorted_segment_sum(tf.concat(parts, axis=1), row, count)
        number, total, summed, soft, numbers, newest, recurring = tf.split(
            sums, [part.shape[1] for part in parts], axis=1
        )
        pooled = [summed / (number + _PRIOR), tf.math.divide_no_nan(soft, total)]
        return tf.concat(pooled, axis=-1), self._counted(number, numbers, newest, recurring)

    def _of_all(
        self,
        inputs: Mapping[str, tf.Tensor],
        query: tf.Tensor,
        session: tf.Tensor,
        training: bool,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """What is learned and what is counted, `[batch, ...]` each, of every place."""
        values = self._history("history_values", inputs)
        known = tf.cast(values[:, :, :1] >= 0.0, self.compute_dtype)
        ids, own = self._history("history_ids", inputs), self._own_ids(inputs)
        mask = tf.gather(known, session)
        past_ids, past_values = tf.gather(ids, session), tf.gather(values, session)
        same = [
            _agree(past, ids_of[:, None])
            for past, ids_of in zip(self._columns(past_ids), own, strict=True)
        ]
        pairs = _Pairs(past_ids, past_values, _stacked(same, past_values) * mask)
        scores, value = self._scores(pairs, query[:, None], training)
        number = tf.reduce_sum(mask, axis=1)
        weight = tf.nn.softmax(scores[:, :, 1:] - 1e9 * (1 - mask), axis=1) * mask
        numbers = self._numbers(pairs) * mask
        recurring = tf.reduce_sum(_outer(pairs.same, self._recurring(numbers)), axis=1)
        pooled = [
            tf.reduce_sum(tf.sigmoid(scores[:, :, :1]) * mask * value, axis=1) / (number + _PRIOR),
            tf.reduce_sum(weight * value, axis=1),
        ]
        counted = [number, tf.reduce_sum(numbers, axis=1), numbers[:, 0], recurring]
        return tf.concat(pooled, axis=-1), self._counted(*counted)

    def _history(self, kind: str, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        feature = next((feature for feature in self.inputs if feature.kind == kind), None)
        if feature is None:
            shape = tf.shape(inputs[self.inputs[-1].name])[:2]
            return tf.zeros([*tf.unstack(shape, num=2), 0], tf.int32)
        value = inputs[feature.name]
        return tf.cast(value, self.compute_dtype) if feature.dtype == tf.float32 else value

    def _own_ids(self, inputs: Mapping[str, tf.Tensor]) -> list[tf.Tensor]:
        """Of the present impressions, int32 `[batch, max_values]` by feature of the histories."""
        return [tf.reshape(tf.cast(inputs[c.name], tf.int32), [-1, c.width]) for c in self._ids]

    def _columns(self, ids: tf.Tensor) -> list[tf.Tensor]:
        """Ids by feature, `[..., max_values]`."""
        return tf.split(ids, [c.width for c in self._ids], axis=-1) if self._ids else []

    def _numbers(self, pairs: _Pairs) -> tf.Tensor:
        """The earlier impressions' numbers, with an age that is no longer than the others."""
        age, others = pairs.values[..., :1], pairs.values[..., 1:]
        return tf.concat([tf.math.log1p(tf.nn.relu(age)) / _AGE_SCALE, others], axis=-1)

    def _recurring(self, numbers: tf.Tensor) -> tf.Tensor:
        """What is added up over recurring ids: one, and every number but the age, if known."""
        return tf.concat([tf.ones_like(numbers[..., :1]), tf.nn.relu(numbers[..., 1:])], axis=-1)

    def _scores(
        self, pairs: _Pairs, query: tf.Tensor, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The two scores of each pair, and its value."""
        parts = []
        for column, ids in zip(self._ids, self._columns(pairs.ids), strict=True):
            embedded = self._embedding(column, ids)
            if column.vocabulary_size > self.config.small_vocabulary:
                embedded = self.id_dropout(embedded, training=training)
            parts.append(embedded)
        known = tf.concat([*parts, self._numbers(pairs), pairs.same], axis=-1)
        hidden = tf.nn.relu(self.compared(known) + query)
        return self.scored(hidden), self.valued(known)

    def _embedding(self, column: InputFeature, ids: tf.Tensor) -> tf.Tensor:
        """The mean of the embeddings of the ids that are there, `[..., embedding]`."""
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
        self, number: tf.Tensor, numbers: tf.Tensor, newest: tf.Tensor, recurring: tf.Tensor
    ) -> tf.Tensor:
        """What has no weight to learn, of sums over each history."""
        parts = [
            tf.math.log1p(number) / 2,
            numbers / (number + _PRIOR),
            newest,
            tf.math.log1p(recurring),
        ]
        return tf.concat(parts, axis=-1)


def _agree(past: tf.Tensor, own: tf.Tensor) -> tf.Tensor:
    """Whether two rows of ids have one in common, bool `[...]`; -1 is none."""
    if past.shape[-1] == 1:
        return (past[..., 0] == own[..., 0]) & (past[..., 0] >= 0)
    equal = (past[..., :, None] == own[..., None, :]) & (past[..., :, None] >= 0)
    return tf.reduce_any(equal, axis=[-2, -1])


def _stacked(same: list[tf.Tensor], like: tf.Tensor) -> tf.Tensor:
    if not same:
        return like[..., :0]
    return tf.cast(tf.stack(same, axis=-1), like.dtype)


def _outer(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """Products of all columns of two tensors, `[..., left * right]`."""
    product = left[..., :, None] * right[..., None, :]
    width = left.shape[-1] * right.shape[-1]
    shape = tf.concat([tf.shape(left)[:-1], [width]], axis=0)
    return tf.ensure_shape(tf.reshape(product, shape), [*left.shape[:-1], width])
