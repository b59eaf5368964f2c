"""A ranking model's inputs: features, statistics and histories as TFX Transform leaves them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import tensorflow as tf

#: What a feature's statistics are called once Transform has made rates of them.
STATISTICS = "_statistics"
#: Brings the logarithm of a number of impressions to about one.
COUNT_SCALE = 5.0


def impressions_of(statistics: tf.Tensor) -> tf.Tensor:
    """How often a value was shown, `[..., 1]`, from its statistics `[..., 1 + feedback]`.

    The first column is log(1 + impressions) / ``COUNT_SCALE``, as Transform writes it.
    """
    return tf.math.expm1(statistics[..., :1] * COUNT_SCALE)


def is_statistics(feature: InputFeature) -> bool:
    """Whether a feature holds the statistics of another one's values."""
    return feature.name.endswith(STATISTICS)


@dataclasses.dataclass(frozen=True)
class InputFeature:
    """A feature as TFX Transform hands it to the model.

    Attributes:
      name: Key in the model's input dictionary.
      kind: ``categorical``: int64 ids in `[0, vocabulary_size)`; ``multivalued``: ``max_values``
        such ids, -1 in the place of each that is missing; ``numeric``: float32, normalised, one
        number or ``max_values`` of them; ``history_ids`` and ``history_values``: those columns of
        the user's earlier impressions that are ids (int32) or numbers (float32), newest first.
      vocabulary_size: Number of ids, out-of-vocabulary buckets included; 0 for numeric features.
      vocabulary: Name of a vocabulary, and so an embedding table, that several features share;
        empty for one of its own.
      level: ``session`` if it is the same for all impressions of a session, else ``impression``.
      max_values: Ids of a multivalued feature, numbers of a numeric one.
      length: Of a history, how many earlier impressions there is room for.
      columns: Of a history, what is known of each of them, one feature per column, or
        ``max_values`` columns. The first of ``history_values`` is the age in seconds, -1 in the
        place of an impression that is missing.

    Raises:
      ValueError: at construction, if a categorical or multivalued feature has no vocabulary size.
    """

    name: str
    kind: Literal["categorical", "multivalued", "numeric", "history_ids", "history_values"]
    vocabulary_size: int = 0
    vocabulary: str = ""
    level: Literal["session", "impression"] = "impression"
    max_values: int = 1
    length: int = 0
    columns: tuple[InputFeature, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Of its value for one impression: none, or that of several ids, numbers, impressions."""
        if self.is_history:
            return (self.length, self.width)
        return (self.max_values,) if self.kind == "multivalued" or self.max_values > 1 else ()

    @property
    def width(self) -> int:
        """Columns of one impression."""
        return sum(c.width for c in self.columns) if self.is_history else self.max_values

    @property
    def is_history(self) -> bool:
        """Whether it is about earlier impressions."""
        return self.kind in ("history_ids", "history_values")

    @property
    def dtype(self) -> tf.DType:
        """Of its ids or values."""
        if self.kind in ("numeric", "history_values"):
            return tf.float32
        return tf.int32 if self.kind == "history_ids" else tf.int64

    @property
    def table(self) -> str:
        """Name of the embedding table."""
        return self.vocabulary or self.name

    def __post_init__(self) -> None:
        if self.is_history:
            if self.length < 1 or not self.columns:
                raise ValueError(f"history {self.name!r} needs a length and at least one column")
            return
        if self.kind not in ("categorical", "multivalued", "numeric"):
            raise ValueError(
                f"feature {self.name!r}: kind is 'categorical', 'multivalued' or 'numeric' (or a "
                f"history's), not {self.kind!r}"
            )
        if self.kind != "numeric" and self.vocabulary_size < 1:
            raise ValueError(
                f"{self.kind} feature {self.name!r} needs a vocabulary size of at least 1, "
                f"got {self.vocabulary_size}"
            )
        if self.max_values < 1 or (self.max_values > 1 and self.kind == "categorical"):
            raise ValueError(
                f"{self.kind} feature {self.name!r} cannot have {self.max_values} values"
            )


def unique_names(inputs: Sequence[InputFeature]) -> list[str]:
    """The names of a model's features.

    Raises:
      ValueError: if there are no features or a name occurs twice.
    """
    if not inputs:
        raise ValueError("the model has no input features")
    names = [feature.name for feature in inputs]
    if duplicates := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"input features named twice: {duplicates}")
    return names


def ones_and_zeros(feature: InputFeature, ids: tf.Tensor, dtype: tf.DType | str) -> tf.Tensor:
    """A column for each id of a feature's vocabulary, whose rows add up to one.

    Args:
      feature: Categorical or multivalued.
      ids: Integers `[batch]`, `[batch, max_values]` of a multivalued feature.
      dtype: Of the result.

    Returns:
      `[batch, vocabulary_size]`: 1 in the place of the row's id, or the same share in the place of
      each of its ids; zeros where it has none.

    Raises:
      InvalidArgumentError: on a CPU, if an id is none of the feature's.
    """
    size, least = feature.vocabulary_size, -1 if feature.kind == "multivalued" else 0
    tf.debugging.Assert(
        tf.reduce_all((ids >= least) & (ids < size)),
        [f"{feature.name} has an id that is not in [{least}, {size})", ids],
    )
    # What has no id, -1, is a row of zeros.
    ones = tf.one_hot(ids, size, dtype=dtype)
    if feature.kind != "multivalued":
        return ones
    held = tf.reduce_sum(ones, axis=1)
    return tf.math.divide_no_nan(held, tf.reduce_sum(held, axis=1, keepdims=True))
