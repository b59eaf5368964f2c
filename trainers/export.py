"""Export of a ranking model: a SavedModel that takes raw features, the transform inside."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from datasets.spec import DatasetSpec, Feature

EXAMPLES = "examples"
METADATA_FILE = "mtfx.json"

#: Model inputs, `[session]` or `[impression]` by the feature's level, and each impression's session
#: `[impression]`, to predictions by task, float32 `[impression]`.
Predict = Callable[[dict[str, tf.Tensor], tf.Tensor], Mapping[str, tf.Tensor]]


class RankingModule(tf.Module):
    """A ranking model with its transform and its two signatures.

    Needs nothing but TensorFlow to load: the vocabularies are assets of the SavedModel.
    """

    def __init__(
        self,
        model: tf.Module,
        predict: Predict,
        transform_output: tft.TFTransformOutput,
        spec: DatasetSpec,
    ):
        """Keeps the parts.

        Args:
          model: The trained model, whose variables are saved.
          predict: The model's prediction function.
          transform_output: The output of the Transform component.
          spec: The data set, for its features.
        """
        super().__init__(name="ranking")
        # Variables and tables alone: tracking the model and the layer would save, and first trace,
        # hundreds of Keras functions too.
        self.model_variables = model.variables
        transform = transform_output.transform_features_layer()
        self.transform_state = tf.train.TrackableView(transform).children(transform)
        self._transform = transform.__call__
        self._predict = predict
        self._features = spec.features
        self._raw_spec = raw_feature_spec(transform_output, spec)

    def signatures(self) -> dict[str, Any]:
        """Concrete functions by signature name, for ``tf.saved_model.save``."""
        raw = {
            feature.name: tf.TensorSpec([None], _tf_dtype(feature), name=feature.name)
            for feature in self._features
        }
        return {
            "serving_default": self.serve.get_concrete_function(
                tf.TensorSpec([None], tf.string, name=EXAMPLES)
            ),
            "predict_tasks": self.predict_tasks.get_concrete_function(raw),
        }

    @tf.function(autograph=False)
    def serve(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Predicts from serialized ``tf.Example`` protos, one per session or request.

        Args:
          examples: string `[batch]`. Session-level features hold one value (or none: their
            default), impression-level ones a value per impression (candidate).

        Returns:
          By task, float32 `[batch, time]`: probabilities, or values in the label's unit; examples
          of fewer impressions are padded with 0.

        Raises:
          InvalidArgumentError: if an example's impression-level features differ in length; the
            message names the feature.
        """
        raw = tf.io.parse_example(examples, self._raw_spec)
        raw, lengths = self._checked(raw)
        predictions = self._predict_flat(raw)
        # Padded together: a request waits for each operation of the graph.
        flat = tf.stack(list(predictions.values()), axis=-1)
        padded = tf.RaggedTensor.from_row_lengths(flat, lengths, validate=False).to_tensor(0.0)
        columns = tf.unstack(padded, num=len(predictions), axis=-1)
        return dict(zip(predictions, columns, strict=True))

    @tf.function(autograph=False)
    def predict_tasks(self, raw: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Predicts from raw tensors, one impression per row.

        Args:
          raw: By feature, `[batch]` of the data set's dtype.

        Returns:
          By task, float32 `[batch]`.
        """
        rows = {
            feature.name: tf.expand_dims(raw[feature.name], 1)
            if feature.level == "session"
            else tf.RaggedTensor.from_uniform_row_length(raw[feature.name], 1)
            for feature in self._features
        }
        return dict(self._predict_flat(rows))

    def _predict_flat(self, raw: Mapping[str, Any]) -> Mapping[str, tf.Tensor]:
        """Predictions of all impressions, `[impression]`; what sessions share is computed once."""
        transformed = self._transform(dict(raw))
        inputs = {}
        for feature in self._features:
            value = transformed[feature.name]
            ragged = isinstance(value, tf.RaggedTensor)
            inputs[feature.name] = value.flat_values if ragged else tf.reshape(value, [-1])
        return self._predict(inputs, raw[self._impression_level()[0]].value_rowids())

    def _impression_level(self) -> list[str]:
        return [feature.name for feature in self._features if feature.level == "impression"]

    def _checked(self, raw: Mapping[str, Any]) -> tuple[dict[str, Any], tf.Tensor]:
        """The features, which cannot be computed with before they are checked, and the lengths."""
        names = self._impression_level()
        lengths = tf.stack([raw[name].row_lengths() for name in names])
        differing = tf.reduce_any(lengths != lengths[0], axis=1)
        name = tf.gather(tf.constant(names), tf.argmax(tf.cast(differing, tf.int32)))
        rule = f" and {names[0]} need the same number of values in each example"
        check = tf.debugging.Assert(
            ~tf.reduce_any(differing), [tf.strings.join(["features ", name, rule])]
        )
        with tf.control_dependencies([check]):
            return {**raw, **{name: tf.identity(raw[name]) for name in names}}, lengths[0]


def raw_feature_spec(
    transform_output: tft.TFTransformOutput, spec: DatasetSpec
) -> dict[str, tf.io.FixedLenFeature | tf.io.RaggedFeature]:
    """The features that a request must carry: no labels, ids or times that no model input uses.

    Session-level features may be left out of a request; they then take their column's default.
    """
    columns = {column.name: column for column in spec.all_columns}
    parsed = transform_output.raw_feature_spec()
    found = {}
    for feature in spec.features:
        parse = parsed[feature.name]
        if feature.level == "session" and feature.name in columns:
            parse = tf.io.FixedLenFeature([1], parse.dtype, [columns[feature.name].fill])
        found[feature.name] = parse
    return found


def save(module: RankingModule, directory: str, metadata: Mapping[str, Any]) -> None:
    """Writes the SavedModel and, beside it in ``assets.extra``, what it was made from.

    Args:
      module: What to save.
      directory: Target; TFX's ``serving_model_dir``.
      metadata: JSON-serialisable: configuration, data span, code version.
    """
    tf.saved_model.save(module, directory, signatures=module.signatures())
    extra = os.path.join(directory, "assets.extra")
    tf.io.gfile.makedirs(extra)
    with tf.io.gfile.GFile(os.path.join(extra, METADATA_FILE), "w") as file:
        file.write(json.dumps(metadata, indent=1, sort_keys=True))


def _tf_dtype(feature: Feature) -> tf.DType:
    return {"int64": tf.int64, "string": tf.string, "float32": tf.float32}[feature.dtype]
