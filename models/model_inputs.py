"""The model's features, with what Transform learned about them."""

from __future__ import annotations

import tensorflow_transform as tft

from mtfx.datasets.spec import DatasetSpec, Feature
from mtfx.models.features import InputFeature


def model_inputs(
    spec: DatasetSpec, transform_output: tft.TFTransformOutput
) -> tuple[InputFeature, ...]:
    """The model's features with the sizes of the vocabularies that Transform learned."""

    def input_of(feature: Feature) -> InputFeature:
        if feature.kind == "numeric":
            return InputFeature(feature.name, "numeric", level=feature.level)
        vocabulary = feature.vocabulary or feature.name
        first = next(f for f in spec.features if (f.vocabulary or f.name) == vocabulary)
        size = transform_output.vocabulary_size_by_name(vocabulary) + first.oov_buckets
        values = feature.max_values if feature.kind == "multivalued" else 1
        return InputFeature(
            feature.name, feature.kind, size, feature.vocabulary, feature.level, values
        )

    return tuple(input_of(feature) for feature in spec.features)
