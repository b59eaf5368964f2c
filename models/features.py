"""The state representation network: from features to the state of RMTL's MDP."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Literal

import tensorflow as tf

from mtfx.models.config import StateConfig
from mtfx.models.keras import glorot_uniform, keras, seed_for


@dataclasses.dataclass(frozen=True)
class InputFeature:
    """A feature as TFX Transform hands it to the model.

    Attributes:
      name: Key in the model's input dictionary.
      kind: ``categorical``: int64 ids in `[0, vocabulary_size)`; ``multivalued``: ``max_values``
        such ids, -1 in the place of each that is missing; ``numeric``: float32, normalised.
      vocabulary_size: Number of ids, out-of-vocabulary buckets included; 0 for numeric features.
      vocabulary: Name of a vocabulary, and so an embedding table, that several features share;
        empty for one of its own.
      level: ``session`` if it is the same for all impressions of a session, else ``impression``.
      max_values: Ids of a multivalued feature; 1 for any other.

    Raises:
      ValueError: at construction, if a categorical or multivalued feature has no vocabulary size.
    """

    name: str
    kind: Literal["categorical", "multivalued", "numeric"]
    vocabulary_size: int = 0
    vocabulary: str = ""
    level: Literal["session", "impression"] = "impression"
    max_values: int = 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Of its value for one impression: none, or that of a multivalued feature's ids."""
        return (self.max_values,) if self.kind == "multivalued" else ()

    @property
    def dtype(self) -> tf.DType:
        """Of its ids or values."""
        return tf.float32 if self.kind == "numeric" else tf.int64

    @property
    def table(self) -> str:
        """Name of the embedding table."""
        return self.vocabulary or self.name

    def __post_init__(self) -> None:
        if self.kind not in ("categorical", "multivalued", "numeric"):
            raise ValueError(
                f"feature {self.name!r}: kind is 'categorical', 'multivalued' or 'numeric', not "
                f"{self.kind!r}"
            )
        if self.kind != "numeric" and self.vocabulary_size < 1:
            raise ValueError(
                f"{self.kind} feature {self.name!r} needs a vocabulary size of at least 1, "
                f"got {self.vocabulary_size}"
            )
        if self.max_values < 1 or (self.max_values > 1 and self.kind != "multivalued"):
            raise ValueError(
                f"{self.kind} feature {self.name!r} cannot have {self.max_values} values"
            )


class StateRepresentation(keras.layers.Layer):
    """RMTL section 2.4.1: embeddings and linear projections, concatenated, then an MLP (4).

    A multivalued feature is the mean of its values' embeddings, zeros where it has none.

    Without dropout, so that a state does not depend on who asks for it: the critics of RMTL learn
    from the same states that the actor sees.
    """

    def __init__(
        self,
        inputs: tuple[InputFeature, ...],
        config: StateConfig,
        *,
        seed: int = 0,
        dtype: str = "float32",
    ) -> None:
        """Builds the layers.

        Args:
          inputs: The model's features; their order decides the order of concatenation.
          config: Sizes.
          seed: Seed of the weights.
          dtype: Keras dtype policy, ``float32`` or ``mixed_bfloat16``.

        Raises:
          ValueError: if there are no features or a name occurs twice.
        """
        super().__init__(name="state_representation", dtype=dtype)
        if not inputs:
            raise ValueError("the model has no input features")
        names = [feature.name for feature in inputs]
        if duplicates := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"input features named twice: {duplicates}")
        self.inputs = inputs
        self.config = config
        self._seed = seed
        kinds = ("categorical", "multivalued")
        self._categorical = tuple(f for kind in kinds for f in inputs if f.kind == kind)
        self._numeric = tuple(f.name for f in inputs if f.kind == "numeric")
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
        widths = [len(inputs) * config.embedding_dim, *config.hidden_units, config.state_dim]
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
        """Creates the projections of the numeric features, `[numeric, embedding_dim]`."""
        if self._numeric:
            shape = (len(self._numeric), self.config.embedding_dim)
            self.projection = self.add_weight(
                name="numeric_projection",
                shape=shape,
                initializer=glorot_uniform(1, shape[1], seed_for(self._seed, "numeric")),
            )
            self.projection_bias = self.add_weight(
                name="numeric_bias", shape=shape, initializer="zeros"
            )
        super().build(input_shape)

    def call(self, inputs: dict[str, tf.Tensor], session: tf.Tensor | None = None) -> tf.Tensor:
        """Maps features to states.

        Args:
          inputs: For every feature, `[batch]`: int64 ids or float32 values; `[batch, max_values]`
            ids of a multivalued one. Other keys are ignored.
          session: The place of each impression's session, integers `[batch]`. Features of level
            ``session`` then hold a value per session, `[session]`, and what they add to the first
            layer is computed once per session, not once per impression: of a built layer only.

        Returns:
          States `[batch, state_dim]` in the compute dtype.

        Raises:
          ValueError: if ``session`` is given before the layer has been called without it.
          InvalidArgumentError: on a CPU, if an id is none of its feature's. XLA and GPUs do not
            look: what they give then means nothing.
        """
        first = self.mlp[0]
        if session is not None:
            if not first.built:
                raise ValueError("call the layer without session first, which makes its weights")
            state = self._session_wise_first_layer(inputs, session)
        elif first.built:
            state = self._regrouped_first_layer(inputs)
        else:
            state = first(self._concatenation(inputs))
        for layer in self.mlp[1:]:
            state = layer(state)
        return state

    def _concatenation(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """Embeddings and projections side by side, `[batch, feature * embedding_dim]`."""
        parts = [self._embedded(f, inputs[f.name]) for f in self._categorical]
        if self._numeric:
            projected = self._values(inputs)[:, :, None] * self.projection + self.projection_bias
            width = len(self._numeric) * self.config.embedding_dim
            parts.append(tf.reshape(projected, [-1, width]))
        return tf.concat(parts, axis=1)

    def _embedded(self, feature: InputFeature, ids: tf.Tensor) -> tf.Tensor:
        """Embeddings `[batch, embedding_dim]`; of a multivalued feature the mean of its values'."""
        if feature.kind != "multivalued":
            return self.embeddings[feature.table](ids)
        known = tf.cast(ids >= 0, self.compute_dtype)
        found = self.embeddings[feature.table](tf.maximum(ids, 0)) * known[:, :, None]
        return tf.math.divide_no_nan(
            tf.reduce_sum(found, axis=1), tf.reduce_sum(known, axis=1, keepdims=True)
        )

    def _values(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """The numeric features, `[batch, numeric]`."""
        return tf.stack(
            [tf.cast(inputs[name], self.compute_dtype) for name in self._numeric], axis=1
        )

    def _regrouped_first_layer(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """The first layer's output, `[batch, units]`, with fewer multiplications.

        A feature of V ids adds one of V rows to the layer: those of its table times its part of the
        kernel. Where V is no more than the embedding's width, all V are made once per batch, and a
        matmul with V columns of ones and zeros picks from them, in place of one with the
        embeddings' ``embedding_dim`` columns; a numeric feature, whose projection is linear, needs
        one column. The gradients of such small tables are dense.
        """
        layer, width = self.mlp[0], self.config.embedding_dim
        names = [*(f.name for f in self._categorical), *self._numeric]
        split = tf.split(tf.convert_to_tensor(layer.kernel), len(names))
        kernels = dict(zip(names, split, strict=True))
        wide = [f for f in self._categorical if f.vocabulary_size > width]
        narrow = [f for f in self._categorical if f.vocabulary_size <= width]
        bias = tf.convert_to_tensor(layer.bias)
        columns, rows, sums = [], [], []
        for feature in narrow:
            ids, size = inputs[feature.name], feature.vocabulary_size
            least = -1 if feature.kind == "multivalued" else 0
            tf.debugging.Assert(
                tf.reduce_all((ids >= least) & (ids < size)),
                [f"{feature.name} has an id that is not in [{least}, {size})", ids],
            )
            # What has no id, -1, is a row of zeros.
            ones = tf.one_hot(ids, size, dtype=self.compute_dtype)
            if feature.kind == "multivalued":
                held = tf.reduce_sum(ones, axis=1)
                ones = tf.math.divide_no_nan(held, tf.reduce_sum(held, axis=1, keepdims=True))
            columns.append(ones)
            table = tf.cast(self.embeddings[feature.table].embeddings, self.compute_dtype)
            rows.append(tf.matmul(table, kernels[feature.name]))
        if self._numeric:
            own = tf.stack([kernels[name] for name in self._numeric])
            columns.append(self._values(inputs))
            rows.append(tf.einsum("ne,neu->nu", self.projection, own))
            bias += tf.einsum("ne,neu->u", self.projection_bias, own)
        if columns:
            sums.append(tf.matmul(tf.concat(columns, axis=1), tf.concat(rows, axis=0)))
        if wide:
            embedded = [self._embedded(f, inputs[f.name]) for f in wide]
            kernel = tf.concat([kernels[f.name] for f in wide], axis=0)
            sums.append(tf.matmul(tf.concat(embedded, axis=1), kernel))
        return layer.activation(tf.nn.bias_add(tf.add_n(sums), bias))

    def _session_wise_first_layer(
        self, inputs: dict[str, tf.Tensor], session: tf.Tensor
    ) -> tf.Tensor:
        """The first layer's output, `[batch, units]`, as a sum over the features."""
        layer = self.mlp[0]
        numeric = [feature for feature in self.inputs if feature.kind == "numeric"]
        kernel = tf.convert_to_tensor(layer.kernel)
        sums: dict[str, list[tf.Tensor]] = {"session": [], "impression": []}
        start = 0
        runs = itertools.groupby((*self._categorical, *numeric), lambda f: (f.level, f.table))
        for (level, _), run in runs:
            part = self._part(list(run), inputs)
            end = start + part.shape[1]
            sums[level].append(tf.matmul(part, kernel[start:end]))
            start = end
        total = [tf.gather(tf.add_n(sums["session"]), session)] if sums["session"] else []
        return layer.activation(tf.add_n([*total, *sums["impression"]]) + layer.bias)

    def _part(self, features: list[InputFeature], inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """What features of one table, or one numeric feature, add to the concatenation.

        Returns:
          `[batch, feature * embedding_dim]`.
        """
        width = len(features) * self.config.embedding_dim
        if features[0].kind == "multivalued":
            return self._embedded(features[0], inputs[features[0].name])
        if features[0].kind == "categorical":
            ids = tf.stack([inputs[feature.name] for feature in features], axis=1)
            return tf.reshape(self.embeddings[features[0].table](ids), [-1, width])
        place = self._numeric.index(features[0].name)
        scaled = tf.cast(inputs[features[0].name], self.compute_dtype)[:, None]
        return scaled * self.projection[place] + self.projection_bias[place]
