"""The preprocessing function of TFX Transform: vocabularies and normalisation.

Its statistics come from the training split only (the component's ``splits_config``), and the same
graph is part of the served model, so training and serving cannot differ.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from mtfx.datasets.registry import load_dataset
from mtfx.datasets.spec import Feature


def preprocessing_fn(inputs: dict[str, Any], custom_config: dict[str, Any]) -> dict[str, Any]:
    """Turns raw session examples into model inputs and labels.

    Args:
      inputs: Session-level columns as dense `[batch, 1]`, impression-level ones as ragged
        `[batch, time]`.
      custom_config: ``dataset`` (registry name or ``module:ATTRIBUTE``) and ``tasks`` (names).

    Returns:
      For each feature, under its name, int64 ids (categorical) or float32 values with zero mean
      and unit variance (numeric), shaped like its input; of a multivalued feature as many ids as
      ``max_values`` where its input has one text, `[batch, max_values]` or `[batch, time *
      max_values]`, the ids ascending and -1 behind the last; for each task its labels, float32
      `[batch, time]`, ``mtfx.datasets.labels.UNKNOWN`` where unknown.
    """
    spec = load_dataset(custom_config["dataset"])
    outputs: dict[str, Any] = {}
    sharing: dict[str, list[Feature]] = {}
    for feature in spec.features:
        if feature.kind == "numeric":
            outputs[feature.name] = _normalise(inputs[feature.name], feature)
        elif feature.kind == "multivalued":
            delimiter = spec.delimiter(feature.name)
            outputs[feature.name] = _look_up_values(inputs[feature.name], feature, delimiter)
        else:
            sharing.setdefault(feature.vocabulary or feature.name, []).append(feature)
    for name, features in sharing.items():
        outputs.update(_look_up(name, features, inputs))
    for task in spec.select_tasks(tuple(custom_config["tasks"])):
        outputs[task.name] = tf.cast(inputs[task.name], tf.float32)
    return outputs


def _look_up_values(value: Any, feature: Feature, delimiter: str) -> Any:
    """Learns the vocabulary of a multivalued feature and looks the values of each cell up in it."""
    cells = tf.reshape(_flat(value), [-1])
    values = tf.strings.split(cells, delimiter)
    values = values.with_flat_values(tf.strings.strip(values.flat_values))
    values = tf.ragged.boolean_mask(values, values != "")
    vocabulary = tft.vocabulary(
        values.flat_values,
        top_k=feature.max_vocabulary,
        frequency_threshold=feature.min_count,
        vocab_filename=feature.name,
        name="vocabulary_string",
    )
    ids = tft.apply_vocabulary(values.flat_values, vocabulary, num_oov_buckets=feature.oov_buckets)
    bounded = distinct_ids(values.with_flat_values(ids), feature.max_values)
    if not isinstance(value, tf.RaggedTensor):
        return bounded
    # Transform writes the inner size of a ragged tensor nowhere, so the ids follow one another.
    flat, splits = tf.reshape(bounded, [-1]), value.row_splits * feature.max_values
    return tf.RaggedTensor.from_row_splits(flat, splits, validate=False)


def distinct_ids(ids: tf.RaggedTensor, number: int) -> tf.Tensor:
    """The smallest distinct ids of each row: those of the values most frequent in training.

    Args:
      ids: int64 `[n, (value)]`.
      number: How many to keep.

    Returns:
      int64 `[n, number]`, ascending, -1 behind a row's last.
    """
    nothing = tf.int64.max
    ascending = tf.sort(ids.to_tensor(nothing), axis=1)
    first = tf.pad(ascending[:, 1:] != ascending[:, :-1], [[0, 0], [1, 0]], constant_values=True)
    # A row without any value has no first column to be kept.
    first = first[:, : tf.shape(ascending)[1]]
    kept = tf.sort(tf.where(first, ascending, nothing), axis=1)
    kept = tf.pad(kept, [[0, 0], [0, number]], constant_values=nothing)[:, :number]
    return tf.ensure_shape(
        tf.where(kept == nothing, tf.constant(-1, tf.int64), kept), [None, number]
    )


def _look_up(name: str, features: list[Feature], inputs: dict[str, Any]) -> dict[str, Any]:
    """Learns the vocabulary that some features share and looks their values up in it.

    All features of a level at once: each look-up is some ten operations of the serving graph.
    """
    levels: dict[str, list[Feature]] = {}
    for feature in features:
        levels.setdefault(feature.level, []).append(feature)
    stacked = {level: _stacked(group, inputs) for level, group in levels.items()}
    learned_from = tf.concat([tf.reshape(values, [-1]) for values in stacked.values()], axis=0)
    vocabulary = tft.vocabulary(
        learned_from,
        top_k=features[0].max_vocabulary,
        frequency_threshold=features[0].min_count,
        vocab_filename=name,
        # TensorFlow keeps one table per node's name and process: another data set's table of the
        # same name, which has not been collected yet, must have the same type.
        name=f"vocabulary_{learned_from.dtype.name}",
    )
    outputs = {}
    for level, group in levels.items():
        ids = tft.apply_vocabulary(
            stacked[level], vocabulary, num_oov_buckets=features[0].oov_buckets
        )
        columns = tf.unstack(ids, num=len(group), axis=-1)
        for feature, column in zip(group, columns, strict=True):
            outputs[feature.name] = _with_flat(inputs[feature.name], column)
    return outputs


def _stacked(features: list[Feature], inputs: dict[str, Any]) -> tf.Tensor:
    """Values of one level's features, `[..., feature]`; named after them where they share."""
    flat = [_flat(inputs[feature.name]) for feature in features]
    if not features[0].vocabulary:
        return tf.stack(flat, axis=-1)
    text = [v if v.dtype == tf.string else tf.strings.as_string(v) for v in flat]
    # tf.strings.join does not broadcast, the addition of strings does.
    return tf.constant([f"{feature.name}=" for feature in features]) + tf.stack(text, axis=-1)


def _normalise(value: Any, feature: Feature) -> Any:
    def normalised(flat: tf.Tensor) -> tf.Tensor:
        flat = tf.cast(flat, tf.float32)
        if feature.log_scale:
            flat = tf.math.log1p(tf.maximum(flat, 0.0))
        return tft.scale_to_z_score(flat)

    return _with_flat(value, normalised(_flat(value)))


def _flat(value: Any) -> tf.Tensor:
    return value.flat_values if isinstance(value, tf.RaggedTensor) else value


def _with_flat(value: Any, flat: tf.Tensor) -> Any:
    return value.with_flat_values(flat) if isinstance(value, tf.RaggedTensor) else flat
