"""A request's features as Transform leaves them, in four tensors.

What a feature store can keep of an item, in one row of ids and one of values, and what a GPU gets
in four copies and not in one per feature. There are no strings in them: who sends these has looked
the ids up before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from mtfx.models.input_features import InputFeature

SESSION_IDS, SESSION_VALUES = "session_ids", "session_values"
IMPRESSION_IDS, IMPRESSION_VALUES = "impression_ids", "impression_values"
#: What ``transform`` of an exported model gives beside these four.
ROW_LENGTHS = "row_lengths"


class TransformedFeatures(NamedTuple):
    """Features of some sessions and of their impressions; see :class:`FeatureColumns` for columns.

    A multivalued feature has ``max_values`` columns of ids, -1 where there is none; a numeric one
    of several numbers a column for each. A history is the session's: ``length * columns`` columns,
    the newest impression's first, -1 where there is none.

    Attributes:
      session_ids: int64 `[session, categorical]`.
      session_values: float32 `[session, numeric]`, normalised.
      impression_ids: int64 `[impression, categorical]`.
      impression_values: float32 `[impression, numeric]`, normalised.
    """

    session_ids: tf.Tensor
    session_values: tf.Tensor
    impression_ids: tf.Tensor
    impression_values: tf.Tensor

    def padded(self, impressions: tf.Tensor) -> TransformedFeatures:
        """With impressions of id 0 and value 0 after the others.

        Args:
          impressions: How many there are to be, int32 `[]`.
        """
        paddings = [[0, impressions - tf.shape(self.impression_ids)[0]], [0, 0]]
        return self._replace(
            impression_ids=tf.pad(self.impression_ids, paddings),
            impression_values=tf.pad(self.impression_values, paddings),
        )


class FeatureColumns:
    """Which feature is in which column.

    Attributes:
      names: By tensor, its columns' features in order; those of a multivalued feature are numbered,
        as in ``tag[0]``.
    """

    def __init__(self, inputs: tuple[InputFeature, ...]) -> None:
        """Gives each feature its column, in the order of ``inputs``."""
        self._groups = {
            name: [f for f in inputs if (_is_sessions(f), f.dtype == tf.float32) == group]
            for name, group in (
                (SESSION_IDS, (True, False)),
                (SESSION_VALUES, (True, True)),
                (IMPRESSION_IDS, (False, False)),
                (IMPRESSION_VALUES, (False, True)),
            )
        }
        self.names = {
            name: [column for feature in group for column in _columns_of(feature)]
            for name, group in self._groups.items()
        }

    def specs(self) -> TransformedFeatures:
        """The tensors' ``tf.TensorSpec`` by name."""
        return TransformedFeatures(
            *(
                tf.TensorSpec([None, len(columns)], _dtype(name), name=name)
                for name, columns in self.names.items()
            )
        )

    def pack(
        self, features: Mapping[str, tf.Tensor], sessions: tf.Tensor, impressions: tf.Tensor
    ) -> TransformedFeatures:
        """Puts features into their columns.

        Args:
          features: By name, `[session]` or `[impression]` by the feature's level; what has several
            columns, `[..., columns]`, may be flat.
          sessions: How many there are, int32 `[]`; where no feature is of that level, nothing else
            says so.
          impressions: Likewise.
        """

        def tensor(name: str) -> tf.Tensor:
            rows = sessions if name in (SESSION_IDS, SESSION_VALUES) else impressions
            group = self._groups[name]
            columns = [tf.cast(features[feature.name], _dtype(name)) for feature in group]
            if not columns:
                return tf.zeros([rows, 0], _dtype(name))
            if all(not feature.shape for feature in group):
                return tf.stack(columns, axis=1)
            wide = [
                tf.reshape(column, [-1, _columns(feature)])
                for feature, column in zip(group, columns, strict=True)
            ]
            return tf.concat(wide, axis=1)

        return TransformedFeatures(*map(tensor, self._groups))

    def unpack(self, features: TransformedFeatures) -> dict[str, tf.Tensor]:
        """The inverse of :meth:`pack`."""
        found: dict[str, tf.Tensor] = {}
        for tensor, group in zip(features, self._groups.values(), strict=True):
            if not group:
                continue
            parts = tf.split(tensor, [_columns(feature) for feature in group], axis=1)
            for feature, part in zip(group, parts, strict=True):
                value = tf.reshape(part, [-1, *feature.shape])
                found[feature.name] = tf.cast(value, feature.dtype)
        return found

    def checked(self, features: TransformedFeatures) -> TransformedFeatures:
        """The features, which cannot be computed with before they are checked.

        An embedding that is looked up on a GPU or by XLA does not refuse an id that it lacks.

        Raises:
          InvalidArgumentError: if an id is none of its feature's, or there are not as many rows of
            ids as of values; the message names tensor and features.
        """
        checks = [
            _check_rows(features.session_ids, features.session_values, "session"),
            _check_rows(features.impression_ids, features.impression_values, "impression"),
        ]
        for name, ids in ((SESSION_IDS, features[0]), (IMPRESSION_IDS, features[2])):
            if group := self._groups[name]:
                checks.append(_check_ids(ids, group, name))
        with tf.control_dependencies(checks):
            return TransformedFeatures(*map(tf.identity, features))


def _is_sessions(feature: InputFeature) -> bool:
    return feature.level == "session" or feature.is_history


def _columns(feature: InputFeature) -> int:
    return feature.width * max(feature.length, 1)


def _columns_of(feature: InputFeature) -> list[str]:
    if feature.is_history:
        own = [f"history_{name}" for c in feature.columns for name in _columns_of(c)]
        return [f"{name}[{place}]" for place in range(feature.length) for name in own]
    if not feature.shape:
        return [feature.name]
    return [f"{feature.name}[{place}]" for place in range(feature.max_values)]


def _check_rows(ids: tf.Tensor, values: tf.Tensor, level: str) -> tf.Operation:
    rows = tf.shape(ids)[0], tf.shape(values)[0]
    message = f"{level}_ids and {level}_values must have as many rows, but they have"
    return tf.debugging.Assert(tf.equal(*rows), [message, *rows])


def _check_ids(ids: tf.Tensor, group: list[InputFeature], tensor: str) -> tf.Operation:
    """Has no operation on strings, which are not a GPU's."""
    ranges = [limits for feature in group for limits in _ranges(feature)]
    least = tf.constant([low for _, low, _ in ranges], tf.int64)
    sizes = tf.constant([size for _, _, size in ranges], tf.int64)
    outside = tf.reduce_any((ids < least) | (ids >= sizes), axis=0)
    # Of a history, whose columns repeat, those of the newest impression.
    shown = [limits for feature in group for limits in _ranges(feature)[: feature.width]]
    limits = ", ".join(f"{column} [{low}, {size})" for column, low, size in shown)
    message = f"{tensor} must lie in {limits}; in this order, 1 marks those that do not: "
    return tf.debugging.Assert(
        ~tf.reduce_any(outside), [message, tf.cast(outside, tf.int32)], summarize=len(ranges) + 1
    )


def _ranges(feature: InputFeature) -> list[tuple[str, int, int]]:
    """Name, lowest and highest id plus one of each of a feature's columns."""
    if feature.is_history:
        sizes = [c.vocabulary_size for c in feature.columns for _ in range(c.width)]
        names = _columns_of(feature)
        return [(name, -1, sizes[place % len(sizes)]) for place, name in enumerate(names)]
    least = -1 if feature.kind == "multivalued" else 0
    return [(column, least, feature.vocabulary_size) for column in _columns_of(feature)]


def _dtype(tensor: str) -> tf.DType:
    return tf.int64 if tensor in (SESSION_IDS, IMPRESSION_IDS) else tf.float32
