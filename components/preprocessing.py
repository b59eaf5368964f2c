"""The preprocessing function of TFX Transform: vocabularies and normalisation.

Its statistics come from the training split only (the component's ``splits_config``), and the same
graph is part of the served model, so training and serving cannot differ.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from datasets.registry import load_dataset
from datasets.spec import Feature


def preprocessing_fn(inputs: dict[str, Any], custom_config: dict[str, Any]) -> dict[str, Any]:
    """Turns raw session examples into model inputs and labels.

    Args:
      inputs: Session-level columns as dense `[batch, 1]`, impression-level ones as ragged
        `[batch, time]`.
      custom_config: ``dataset`` (registry name or ``module:ATTRIBUTE``) and ``tasks`` (names).

    Returns:
      For each feature, under its name, int64 ids (categorical) or float32 values with zero mean
      and unit variance (numeric), shaped like its input; for each task its labels, float32
      `[batch, time]`.
    """
    spec = load_dataset(custom_config["dataset"])
    outputs: dict[str, Any] = {}
    for feature in spec.features:
        value = inputs[feature.name]
        if feature.kind == "categorical":
            outputs[feature.name] = tft.compute_and_apply_vocabulary(
                value,
                top_k=feature.max_vocabulary,
                frequency_threshold=feature.min_count,
                num_oov_buckets=feature.oov_buckets,
                vocab_filename=feature.name,
            )
        else:
            outputs[feature.name] = _normalise(value, feature)
    for task in spec.select_tasks(tuple(custom_config["tasks"])):
        outputs[task.name] = tf.cast(inputs[task.name], tf.float32)
    return outputs


def _normalise(value: Any, feature: Feature) -> Any:
    flat = value.flat_values if isinstance(value, tf.RaggedTensor) else value
    flat = tf.cast(flat, tf.float32)
    if feature.log_scale:
        flat = tf.math.log1p(tf.maximum(flat, 0.0))
    flat = tft.scale_to_z_score(flat)
    return value.with_flat_values(flat) if isinstance(value, tf.RaggedTensor) else flat
