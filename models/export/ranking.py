"""Export of a ranking model: a SavedModel that takes raw features, the transform inside."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from mtfx.datasets.spec import DatasetSpec
from mtfx.models.export.raw_features import RawFeatures
from mtfx.models.export.transformed_features import ROW_LENGTHS, FeatureColumns, TransformedFeatures
from mtfx.models.input_features import InputFeature
from mtfx.models.model_inputs import model_inputs

EXAMPLES = "examples"
METADATA_FILE = "mtfx.json"

#: Model inputs, `[session]` or `[impression]` by the feature's level, and each impression's session
#: `[impression]`, to predictions by task, float32 `[impression]`.
Predict = Callable[[dict[str, tf.Tensor], tf.Tensor], Mapping[str, tf.Tensor]]


class RankingModule(tf.Module):
    """A ranking model with its transform and its two signatures.

    Needs nothing but TensorFlow to load: the vocabularies are assets of the SavedModel. Its
    functions ``transform``, ``checked`` and ``predict_request`` are saved as attributes, for the
    ranker that is made of it.

    Attributes:
      columns: Which feature is in which column of what ``transform`` gives.
    """

    def __init__(
        self,
        model: tf.Module,
        predict: Predict,
        transform_output: tft.TFTransformOutput,
        spec: DatasetSpec,
        inputs: tuple[InputFeature, ...] | None = None,
    ):
        """Keeps the parts.

        Args:
          model: The trained model, whose variables are saved.
          predict: The model's prediction function.
          transform_output: The output of the Transform component.
          spec: The data set, for its features.
          inputs: The model's; the data set's features if None.
        """
        super().__init__(name="ranking")
        # Variables and tables alone: tracking the model and the layer would save, and first trace,
        # hundreds of Keras functions too.
        self.model_variables = model.variables
        transform = transform_output.transform_features_layer()
        self.transform_state = tf.train.TrackableView(transform).children(transform)
        self._transform = transform.__call__
        self._predict = predict
        self._inputs = inputs or model_inputs(spec, transform_output)
        self.columns = FeatureColumns(self._inputs)
        self.raw = RawFeatures(spec, transform_output, self._inputs)

    def signatures(self) -> dict[str, Any]:
        """Concrete functions by signature name, for ``tf.saved_model.save``."""
        raw = {
            name: tf.TensorSpec([None], dtype, name=name) for name, dtype in self.raw.dtypes.items()
        }
        specs = self.columns.specs()
        self.checked.get_concrete_function(*specs)
        self.predict_request.get_concrete_function(
            *(tf.TensorSpec([1, spec.shape[1]], spec.dtype, name=spec.name) for spec in specs[:2]),
            *specs[2:],
        )
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
            default), impression-level ones a value per impression (candidate). The values of a
            multivalued feature are one text, separated by its column's delimiter, in any order.
            Statistics are counts, 0 where a column is left out. ``history_*`` are lists of the
            user's earlier impressions, in any order and of any length, empty if there are none;
            ``timestamp_ms`` is the time of the request, and what is not before it is left out.

        Returns:
          By task, float32 `[batch, time]`: probabilities, or values in the label's unit; examples
          of fewer impressions are padded with 0.

        Raises:
          InvalidArgumentError: if an example's impression-level features differ in length; the
            message names the feature.
        """
        transformed = self.transform(examples)
        lengths = transformed.pop(ROW_LENGTHS)
        features = TransformedFeatures(**transformed)
        session = tf.repeat(tf.range(tf.size(lengths, tf.int64)), lengths)
        predictions = self.predict_transformed(*features, session)
        # Padded together: a request waits for each operation of the graph.
        flat = tf.stack(list(predictions.values()), axis=-1)
        padded = tf.RaggedTensor.from_row_lengths(flat, lengths, validate=False).to_tensor(0.0)
        columns = tf.unstack(padded, num=len(predictions), axis=-1)
        return dict(zip(predictions, columns, strict=True))

    @tf.function(autograph=False)
    def predict_tasks(self, raw: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Predicts from raw tensors, one impression per row.

        Args:
          raw: By feature, `[batch]` of the data set's dtype; of a multivalued one, text; counts of
            statistics. Nothing is known of the users' earlier impressions.

        Returns:
          By task, float32 `[batch]`.
        """
        size = tf.shape(next(iter(raw.values())))[0]
        features = self._transformed(self.raw.rows(raw), None, size, size)
        return self.predict_transformed(*features, tf.range(tf.cast(size, tf.int64)))

    @tf.function(autograph=False)
    def transform(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Looks up and normalises: all that is done before the model's first layer.

        Args:
          examples: As for :meth:`serve`.

        Returns:
          The fields of ``TransformedFeatures`` by name, and ``row_lengths``, int64 `[session]`: the
          number of each session's impressions.

        Raises:
          InvalidArgumentError: as :meth:`serve`.
        """
        raw, lengths = self.raw.checked(tf.io.parse_example(examples, self.raw.parsing_spec))
        now = self.raw.times(raw)
        features = self._transformed(raw, now, tf.size(lengths), tf.reduce_sum(lengths))
        return {**features._asdict(), ROW_LENGTHS: lengths}

    @tf.function(autograph=False)
    def checked(
        self,
        session_ids: tf.Tensor,
        session_values: tf.Tensor,
        impression_ids: tf.Tensor,
        impression_values: tf.Tensor,
    ) -> list[tf.Tensor]:
        """The tensors of ``TransformedFeatures``, checked; see ``FeatureColumns.checked``."""
        features = TransformedFeatures(
            session_ids, session_values, impression_ids, impression_values
        )
        return list(self.columns.checked(features))

    @tf.function(autograph=False)
    def predict_transformed(
        self,
        session_ids: tf.Tensor,
        session_values: tf.Tensor,
        impression_ids: tf.Tensor,
        impression_values: tf.Tensor,
        session: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """Predicts from what :meth:`transform` gives: nothing in it that XLA cannot compile.

        Args:
          session_ids: As in ``TransformedFeatures``, as are the next three; not checked here.
          session_values: Likewise.
          impression_ids: Likewise.
          impression_values: Likewise.
          session: The place of each impression's session, int64 `[impression]`.

        Returns:
          By task, float32 `[impression]`.
        """
        features = TransformedFeatures(
            session_ids, session_values, impression_ids, impression_values
        )
        return dict(self._predict(self.columns.unpack(features), session))

    @tf.function(autograph=False)
    def predict_request(
        self,
        session_ids: tf.Tensor,
        session_values: tf.Tensor,
        impression_ids: tf.Tensor,
        impression_values: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """As :meth:`predict_transformed`, of one session, which is faster than of one of several.

        Args:
          session_ids: Of one row, as the next.
          session_values: Likewise.
          impression_ids: The candidates.
          impression_values: Likewise.

        Returns:
          By task, float32 `[impression]`.
        """
        session = tf.zeros(tf.shape(impression_ids)[:1], tf.int64)
        return self.predict_transformed(
            session_ids, session_values, impression_ids, impression_values, session
        )

    def _transformed(
        self,
        raw: Mapping[str, Any],
        now: tf.Tensor | None,
        sessions: tf.Tensor,
        impressions: tf.Tensor,
    ) -> TransformedFeatures:
        transformed = self._transform(dict(raw))
        flat = {}
        for feature in self._inputs:
            if not feature.is_history:
                value = transformed[feature.name]
                ragged = isinstance(value, tf.RaggedTensor)
                flat[feature.name] = value.flat_values if ragged else tf.reshape(value, [-1])
        if self.raw.history is not None:
            flat |= (
                self.raw.history.empty(sessions)
                if now is None
                else self.raw.histories(transformed, now)
            )
        return self.columns.pack(flat, sessions, impressions)


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
