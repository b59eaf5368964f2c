"""The preprocessing function of TFX Transform: vocabularies and normalisation.

Its statistics come from the training split only (the component's ``splits_config``), and the same
graph is part of the served model, so training and serving cannot differ.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from mtfx.datasets import history as history_columns
from mtfx.datasets.registry import load_dataset
from mtfx.datasets.spec import DatasetSpec, Feature
from mtfx.models.input_features import COUNT_SCALE, STATISTICS

#: Impressions of the average rate that each value's rates begin with (as in boosted trees' usual
#: target encoding): a value seen once is no evidence.
PRIOR_IMPRESSIONS = 20.0
#: Log odds that are further from the average's say no more.
_FARTHEST = 6.0
_TIMES = ("timestamp_ms", history_columns.FEEDBACK_MS)


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

      Of a data set with a history also ``history_<feature>``, what ``<feature>`` would be, for each
      earlier impression `[batch, past]`; labels, watch shares and times of impressions and of
      earlier ones as they are; and for each key of its statistics ``<key>_statistics``, see
      :func:`_statistics`.
    """
    spec = load_dataset(custom_config["dataset"])
    outputs: dict[str, Any] = {}
    sharing: dict[str, list[Feature]] = {}
    for feature in spec.features:
        if feature.kind == "numeric":
            outputs.update(_normalise(inputs, feature))
        elif feature.kind == "multivalued":
            delimiter = spec.delimiter(feature.name)
            outputs.update(_look_up_values(inputs, feature, delimiter))
        else:
            sharing.setdefault(feature.vocabulary or feature.name, []).append(feature)
    for name, features in sharing.items():
        outputs.update(_look_up(name, features, inputs))
    for task in spec.select_tasks(tuple(custom_config["tasks"])):
        outputs[task.name] = tf.cast(inputs[task.name], tf.float32)
    if spec.history is not None:
        for name in _kept_as_they_are(spec, inputs):
            dtype = tf.int64 if _is_time(name) else tf.float32
            outputs[name] = tf.cast(inputs[name], dtype)
        for key in spec.history.statistics:
            outputs[key + STATISTICS] = _statistics(spec, key, inputs)
    return outputs


def _is_time(name: str) -> bool:
    return name in (*_TIMES, *(history_columns.PREFIX + time for time in _TIMES))


def _kept_as_they_are(spec: DatasetSpec, inputs: dict[str, Any]) -> list[str]:
    """Columns of earlier impressions, and of the session's own that will be earlier ones."""
    own = [
        *(task.name for task in history_columns.feedback_tasks(spec)),
        *history_columns.impression_columns(spec),
        "timestamp_ms",
    ]
    both = [*own, *(history_columns.PREFIX + name for name in own)]
    # Sessions that were made without a history have none of its lists.
    return [name for name in both if name in inputs]


def _statistics(spec: DatasetSpec, key: str, inputs: dict[str, Any]) -> Any:
    """What is known of a value from the days before: how often it was shown, and its rates.

    Args:
      spec: With a history.
      key: Of its statistics.
      inputs: With the counts ``mtfx.datasets.history.statistics_of``.

    Returns:
      float32: log(1 + impressions) / 5, and for each binary feedback the log odds of its rate
      (count + 20 r) / (known + 20) above those of r, within +-6, r being the feedback's rate in
      training: dense `[batch, 1 + feedback]` for the user, `[batch, (time * (1 + feedback))]` for
      other keys. No value of these scales comes from the statistics themselves: Transform would
      read the log a second time for that.
    """
    columns = history_columns.statistics_of(spec, key)
    # A request's counts are not checked by a schema.
    counts = {
        what: tf.maximum(tf.cast(_flat(inputs[name]), tf.float32), 0.0)
        for what, name in columns.items()
    }
    found = [tf.math.log1p(counts["impressions"]) / COUNT_SCALE]
    for task in history_columns.binary_tasks(spec):
        labels = tf.cast(_flat(inputs[task.name]), tf.float32)
        known = tf.cast(labels >= 0, tf.float32)
        # Half a label more of each kind: a feedback that training lacks has no log odds.
        rate = (tft.sum(labels * known) + 0.5) / (tft.sum(known) + 1.0)
        of = counts.get(f"{task.name}_known", counts["impressions"])
        count = counts[f"{task.name}_count"]
        positive = count / (PRIOR_IMPRESSIONS * rate)
        # A service that counts apart may give more positives than impressions.
        negative = tf.nn.relu(of - count) / (PRIOR_IMPRESSIONS * (1.0 - rate))
        odds = tf.math.log1p(positive) - tf.math.log1p(negative)
        found.append(tf.clip_by_value(odds, -_FARTHEST, _FARTHEST))
    rows = tf.stack([tf.reshape(value, [-1]) for value in found], axis=1)
    first = inputs[columns["impressions"]]
    if not isinstance(first, tf.RaggedTensor):
        return tf.ensure_shape(rows, [None, len(found)])
    return _widened(first, rows)


def _widened(value: tf.RaggedTensor, rows: tf.Tensor) -> tf.RaggedTensor:
    """Several numbers for each value of a ragged tensor: `[n, width]`, one after the other.

    Transform writes the inner size of a ragged tensor nowhere.
    """
    splits = value.row_splits * rows.shape[1]
    return tf.RaggedTensor.from_row_splits(tf.reshape(rows, [-1]), splits, validate=False)


def _look_up_values(inputs: dict[str, Any], feature: Feature, delimiter: str) -> dict[str, Any]:
    """Learns the vocabulary of a multivalued feature and looks the values of each cell up in it."""

    def split_cells(cells: Any) -> tf.RaggedTensor:
        values = tf.strings.split(tf.reshape(_flat(cells), [-1]), delimiter)
        values = values.with_flat_values(tf.strings.strip(values.flat_values))
        return tf.ragged.boolean_mask(values, values != "")

    value = inputs[feature.name]
    vocabulary = tft.vocabulary(
        split_cells(value).flat_values,
        top_k=feature.max_vocabulary,
        frequency_threshold=feature.min_count,
        vocab_filename=feature.name,
        name="vocabulary_string",
    )
    found = {}
    for name, cell in {feature.name: value, **_past(feature, inputs)}.items():
        values = split_cells(cell)
        ids = tft.apply_vocabulary(
            values.flat_values, vocabulary, num_oov_buckets=feature.oov_buckets
        )
        bounded = distinct_ids(values.with_flat_values(ids), feature.max_values)
        ragged = isinstance(cell, tf.RaggedTensor)
        found[name] = _widened(cell, bounded) if ragged else bounded
    return found


def _past(feature: Feature, inputs: dict[str, Any]) -> dict[str, Any]:
    """The feature's column of earlier impressions, by name, if there is one."""
    name = history_columns.PREFIX + feature.name
    return {name: inputs[name]} if name in inputs else {}


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
    levels: dict[bool, list[Feature]] = {}
    for feature in features:
        levels.setdefault(feature.level == "session", []).append(feature)
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
    past = [feature for feature in features if _past(feature, inputs)]
    if past:
        names = [history_columns.PREFIX + feature.name for feature in past]
        values = _stacked(past, {f.name: inputs[n] for f, n in zip(past, names, strict=True)})
        ids = tft.apply_vocabulary(values, vocabulary, num_oov_buckets=features[0].oov_buckets)
        for name, column in zip(names, tf.unstack(ids, num=len(past), axis=-1), strict=True):
            outputs[name] = _with_flat(inputs[name], column)
    return outputs


def _stacked(features: list[Feature], inputs: dict[str, Any]) -> tf.Tensor:
    """Values of one level's features, `[..., feature]`; named after them where they share."""
    flat = [_flat(inputs[feature.name]) for feature in features]
    if not features[0].vocabulary:
        return tf.stack(flat, axis=-1)
    text = [v if v.dtype == tf.string else tf.strings.as_string(v) for v in flat]
    # tf.strings.join does not broadcast, the addition of strings does.
    return tf.constant([f"{feature.name}=" for feature in features]) + tf.stack(text, axis=-1)


def _normalise(inputs: dict[str, Any], feature: Feature) -> dict[str, Any]:
    """A numeric feature's z-scores, and those of earlier impressions by the same mean."""

    def scaled(value: Any) -> tf.Tensor:
        flat = tf.cast(_flat(value), tf.float32)
        return tf.math.log1p(tf.maximum(flat, 0.0)) if feature.log_scale else flat

    value = inputs[feature.name]
    outputs = {feature.name: _with_flat(value, tft.scale_to_z_score(scaled(value)))}
    for name, past in _past(feature, inputs).items():
        mean, deviation = tft.mean(scaled(value)), tf.sqrt(tft.var(scaled(value)))
        scores = tf.math.divide_no_nan(scaled(past) - mean, deviation)
        outputs[name] = _with_flat(past, scores)
    return outputs


def _flat(value: Any) -> tf.Tensor:
    return value.flat_values if isinstance(value, tf.RaggedTensor) else value


def _with_flat(value: Any, flat: tf.Tensor) -> Any:
    return value.with_flat_values(flat) if isinstance(value, tf.RaggedTensor) else flat
