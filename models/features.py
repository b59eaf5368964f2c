"""The state representation network: from features to the state of RMTL's MDP."""

from __future__ import annotations

import itertools

import tensorflow as tf

from mtfx.models.config import HistoryConfig, StateConfig
from mtfx.models.history import HistoryEncoder
from mtfx.models.input_features import STATISTICS, InputFeature, ones_and_zeros, unique_names
from mtfx.models.keras import glorot_uniform, keras, seed_for
from mtfx.models.standardisation import Standardisation, shrunk


class StateRepresentation(keras.layers.Layer):
    """RMTL section 2.4.1: embeddings and linear projections, concatenated, then an MLP (4).

    A multivalued feature is the mean of its values' embeddings, zeros where it has none.

    Of a feature with statistics the embedding counts as far as its value was shown before, and the
    statistics themselves are brought to one scale: see ``mtfx.models.standardisation``.

    Numbers of one feature are projected together. What the user's earlier impressions say, where
    the model sees them, goes beside the features: see :class:`mtfx.models.history.HistoryEncoder`.

    Nothing is dropped unless a training asks for it, so that a state does not depend on who asks:
    the critics of RMTL learn from the same states that the actor sees.

    Attributes:
      standardisation: Of the statistics; learned before training begins.
    """

    def __init__(
        self,
        inputs: tuple[InputFeature, ...],
        config: StateConfig,
        *,
        history: HistoryConfig | None = None,
        seed: int = 0,
        dtype: str = "float32",
    ) -> None:
        """Builds the layers.

        Args:
          inputs: The model's features; their order decides the order of concatenation.
          config: Sizes.
          history: Of the history encoder; the defaults if None. There is none where no input is a
            history.
          seed: Seed of the weights.
          dtype: Keras dtype policy, ``float32`` or ``mixed_bfloat16``.

        Raises:
          ValueError: if there are no features or a name occurs twice.
        """
        super().__init__(name="state_representation", dtype=dtype)
        names = unique_names(inputs)
        self.inputs = inputs
        self.config = config
        self._seed = seed
        kinds = ("categorical", "multivalued")
        self._categorical = tuple(f for kind in kinds for f in inputs if f.kind == kind)
        self._numeric = tuple(f for f in inputs if f.kind == "numeric")
        self._counted = {f.name for f in self._categorical if f.name + STATISTICS in names}
        self.standardisation = Standardisation(self._numeric)
        self.history = None
        if any(feature.is_history for feature in inputs):
            self.history = HistoryEncoder(
                inputs, history or HistoryConfig(), seed=seed, dtype=dtype
            )
        self.embeddings = {
            table: keras.layers.Embedding(
                size,
                config.embedding_dim,
                embeddings_initializer=keras.initializers.RandomUniform(
                    -0.05, 0.05, seed=seed_for(seed, f"embedding/{table}")
                ),
                name=f"embedding_{table}",
                dtype=dtype,
            )
            for table, size in {f.table: f.vocabulary_size for f in self._categorical}.items()
        }
        # tfrs.layers.blocks.MLP takes no initializer, hence no seed, so its layers are made here.
        self._width = (len(self._categorical) + len(self._numeric)) * config.embedding_dim
        encoded = self.history.output_width if self.history is not None else 0
        widths = [self._width + encoded, *config.hidden_units, config.state_dim]
        self.mlp = [
            keras.layers.Dense(
                fan_out,
                activation="relu" if index < len(config.hidden_units) else config.output_activation,
                kernel_initializer=glorot_uniform(
                    fan_in, fan_out, seed_for(seed, f"state_mlp/{index}")
                ),
                name=f"state_mlp_{index}",
                dtype=dtype,
            )
            for index, (fan_in, fan_out) in enumerate(itertools.pairwise(widths))
        ]

    def build(self, input_shape: dict[str, tf.TensorShape]) -> None:
        """Creates the projections of the numeric features, and the history's query."""
        if self._numeric:
            width = self.config.embedding_dim
            self.projection = self.add_weight(
                name="numeric_projection",
                shape=(sum(feature.width for feature in self._numeric), width),
                initializer=glorot_uniform(1, width, seed_for(self._seed, "numeric")),
            )
            self.projection_bias = self.add_weight(
                name="numeric_bias", shape=(len(self._numeric), width), initializer="zeros"
            )
        self.standardisation.build(self)
        if self.history is not None:
            units = self.history.config.units
            self.query_kernel = self.add_weight(
                name="history_query",
                shape=(self._width, units),
                initializer=glorot_uniform(
                    self._width, units, seed_for(self._seed, "history/query")
                ),
            )
        super().build(input_shape)

    def call(
        self,
        inputs: dict[str, tf.Tensor],
        session: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        """Maps features to states.

        Args:
          inputs: For every feature, `[batch]`: int64 ids or float32 values; `[batch, max_values]`
            of a feature with several; of a history `[batch, length, columns]`. Other keys are
            ignored.
          session: The place of each impression's session, integers `[batch]`. Features of level
            ``session``, and histories, then hold a value per session, `[session]`, and what they
            add to the first layer is computed once per session, not once per impression: of a
            built layer only.
          training: Whether to drop units of the history encoder.

        Returns:
          States `[batch, state_dim]` in the compute dtype.

        Raises:
          ValueError: if ``session`` is given before the layer has been called without it.
          InvalidArgumentError: on a CPU, if an id is none of its feature's. XLA and GPUs do not
            look: what they give then means nothing.
        """
        first = self.mlp[0]
        if not first.built:
            if session is not None:
                raise ValueError("call the layer without session first, which makes its weights")
            state = first(self._concatenation(inputs, training))
        else:
            state = self._first_layer(inputs, session, training)
        for layer in self.mlp[1:]:
            state = layer(state)
        return state

    def _first_layer(
        self, inputs: dict[str, tf.Tensor], session: tf.Tensor | None, training: bool
    ) -> tf.Tensor:
        """The first layer's output, `[batch, units]`, by a sum over its inputs."""
        layer = self.mlp[0]
        kernel = tf.cast(layer.kernel, self.compute_dtype)
        of_features = kernel[: self._width]
        if self.history is not None:
            query = tf.cast(self.query_kernel, self.compute_dtype)
            of_features = tf.concat([of_features, query], axis=1)
        if session is None:
            total = self._regrouped(inputs, of_features)
        else:
            total = self._session_wise(inputs, session, of_features)
        if self.history is not None:
            total, query = tf.split(total, [layer.units, -1], axis=1)
            encoded = self.history(inputs, query, session, training)
            total += tf.matmul(encoded, kernel[self._width :])
        return layer.activation(tf.nn.bias_add(total, tf.cast(layer.bias, total.dtype)))

    def _concatenation(self, inputs: dict[str, tf.Tensor], training: bool) -> tf.Tensor:
        """Embeddings, projections and the encoded history, side by side."""
        parts = [self._embedded(f, inputs) for f in self._categorical]
        parts += [self._projected(place, inputs) for place in range(len(self._numeric))]
        joined = tf.concat(parts, axis=1)
        if self.history is None:
            return joined
        query = tf.matmul(joined, tf.cast(self.query_kernel, self.compute_dtype))
        return tf.concat([joined, self.history(inputs, query, None, training)], axis=1)

    def _embedded(self, feature: InputFeature, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """Embeddings `[batch, embedding_dim]`; of a multivalued feature the mean of its values'."""
        ids = inputs[feature.name]
        if feature.kind != "multivalued":
            embedded = self.embeddings[feature.table](ids)
        else:
            known = tf.cast(ids >= 0, self.compute_dtype)
            found = self.embeddings[feature.table](tf.maximum(ids, 0)) * known[:, :, None]
            embedded = tf.math.divide_no_nan(
                tf.reduce_sum(found, axis=1), tf.reduce_sum(known, axis=1, keepdims=True)
            )
        if not self._counts(feature):
            return embedded
        return shrunk(embedded, inputs[feature.name + STATISTICS], self.config.shrinkage)

    def _counts(self, feature: InputFeature) -> bool:
        """Whether the model knows how often the feature's value was shown."""
        return feature.name in self._counted

    def _shares_a_look_up(self, feature: InputFeature) -> bool:
        return feature.kind == "categorical" and not self._counts(feature)

    def _is_wide(self, feature: InputFeature) -> bool:
        return self._counts(feature) or feature.vocabulary_size > self.config.embedding_dim

    def _numbers(self, feature: InputFeature, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """A numeric feature's numbers, `[batch, width]`."""
        value = tf.reshape(inputs[feature.name], [-1, feature.width])
        value = self.standardisation.apply(feature.name, value)
        return tf.cast(value, self.compute_dtype)

    def _projected(self, place: int, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """The projection of the numeric feature at a place, `[batch, embedding_dim]`."""
        feature = self._numeric[place]
        start = sum(earlier.width for earlier in self._numeric[:place])
        rows = self.projection[start : start + feature.width]
        projected = tf.matmul(self._numbers(feature, inputs), tf.cast(rows, self.compute_dtype))
        return projected + tf.cast(self.projection_bias[place], self.compute_dtype)

    def _regrouped(self, inputs: dict[str, tf.Tensor], kernel: tf.Tensor) -> tf.Tensor:
        """The concatenated features times a kernel, `[batch, units]`, with fewer multiplications.

        A feature of V ids adds one of V rows to the layer: those of its table times its part of the
        kernel. Where V is no more than the embedding's width, all V are made once per batch, and a
        matmul with V columns of ones and zeros picks from them, in place of one with the
        embeddings' ``embedding_dim`` columns; a number, whose projection is linear, needs one
        column. The gradients of such small tables are dense.
        """
        names = [f.name for f in (*self._categorical, *self._numeric)]
        kernels = dict(zip(names, tf.split(kernel, len(names)), strict=True))
        wide = [f for f in self._categorical if self._is_wide(f)]
        narrow = [f for f in self._categorical if not self._is_wide(f)]
        columns, rows, sums = [], [], []
        for feature in narrow:
            columns.append(ones_and_zeros(feature, inputs[feature.name], self.compute_dtype))
            table = tf.cast(self.embeddings[feature.table].embeddings, self.compute_dtype)
            rows.append(tf.matmul(table, kernels[feature.name]))
        constant = None
        if self._numeric:
            own = [kernels[f.name] for f in self._numeric]
            each = tf.stack([kernels[f.name] for f in self._numeric for _ in range(f.width)])
            columns += [self._numbers(feature, inputs) for feature in self._numeric]
            projection = tf.cast(self.projection, self.compute_dtype)
            rows.append(tf.einsum("ne,neu->nu", projection, each))
            bias = tf.cast(self.projection_bias, self.compute_dtype)
            constant = tf.einsum("ne,neu->u", bias, tf.stack(own))
        if columns:
            sums.append(tf.matmul(tf.concat(columns, axis=1), tf.concat(rows, axis=0)))
        if wide:
            embedded = [self._embedded(f, inputs) for f in wide]
            of_wide = tf.concat([kernels[f.name] for f in wide], axis=0)
            sums.append(tf.matmul(tf.concat(embedded, axis=1), of_wide))
        total = tf.add_n(sums)
        return total if constant is None else total + constant

    def _session_wise(
        self, inputs: dict[str, tf.Tensor], session: tf.Tensor, kernel: tf.Tensor
    ) -> tf.Tensor:
        """The concatenated features times a kernel, `[batch, units]`, as a sum over the features.

        What features of level ``session`` add is computed once per session.
        """
        sums: dict[str, list[tf.Tensor]] = {"session": [], "impression": []}
        start = 0
        runs = itertools.groupby(
            (*self._categorical, *self._numeric),
            lambda f: (f.level, f.table if self._shares_a_look_up(f) else f.name),
        )
        for (level, _), run in runs:
            part = self._part(list(run), inputs)
            end = start + part.shape[1]
            sums[level].append(tf.matmul(part, kernel[start:end]))
            start = end
        total = [tf.gather(tf.add_n(sums["session"]), session)] if sums["session"] else []
        return tf.add_n([*total, *sums["impression"]])

    def _part(self, features: list[InputFeature], inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """What features of one table, or one numeric feature, add to the concatenation.

        Returns:
          `[batch, feature * embedding_dim]`.
        """
        width = len(features) * self.config.embedding_dim
        if features[0].kind == "multivalued" or self._counts(features[0]):
            return self._embedded(features[0], inputs)
        if features[0].kind == "categorical":
            ids = tf.stack([inputs[feature.name] for feature in features], axis=1)
            return tf.reshape(self.embeddings[features[0].table](ids), [-1, width])
        return self._projected(self._numeric.index(features[0]), inputs)
