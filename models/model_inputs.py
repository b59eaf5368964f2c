"""The model's inputs, with what Transform learned about them."""

from __future__ import annotations

import tensorflow_transform as tft

from mtfx.datasets import history
from mtfx.datasets.spec import DatasetSpec, Feature
from mtfx.models.input_features import STATISTICS, InputFeature

HISTORY_IDS, HISTORY_VALUES = "history_ids", "history_values"
#: The first column of the numbers of earlier impressions, in seconds.
AGE = "age_s"


def model_inputs(
    spec: DatasetSpec, transform_output: tft.TFTransformOutput
) -> tuple[InputFeature, ...]:
    """The data set's features with the sizes of the vocabularies that Transform learned."""

    def input_of(feature: Feature) -> InputFeature:
        # Impressions of a session are of different requests.
        level = "session" if feature.level == "session" else "impression"
        if feature.kind == "numeric":
            return InputFeature(feature.name, "numeric", level=level)
        vocabulary = feature.vocabulary or feature.name
        first = next(f for f in spec.features if (f.vocabulary or f.name) == vocabulary)
        size = transform_output.vocabulary_size_by_name(vocabulary) + first.oov_buckets
        values = feature.max_values if feature.kind == "multivalued" else 1
        return InputFeature(feature.name, feature.kind, size, feature.vocabulary, level, values)

    return tuple(input_of(feature) for feature in spec.features)


def ranking_inputs(
    spec: DatasetSpec, transform_output: tft.TFTransformOutput, history_length: int
) -> tuple[InputFeature, ...]:
    """All that a ranking model sees: features, statistics, and the user's earlier impressions.

    Args:
      spec: The data set. One without a history has features only.
      transform_output: Of its sessions.
      history_length: Earlier impressions at most; 0 leaves them out.
    """
    features = model_inputs(spec, transform_output)
    if spec.history is None:
        return features
    statistics = tuple(
        InputFeature(
            f"{key}{STATISTICS}",
            "numeric",
            level="session" if key == "user_id" else "impression",
            max_values=1 + len(history.binary_tasks(spec)),
        )
        for key in spec.history.statistics
    )
    if not history_length:
        return features + statistics
    return features + statistics + _history_inputs(spec, features, history_length)


def _history_inputs(
    spec: DatasetSpec, features: tuple[InputFeature, ...], length: int
) -> tuple[InputFeature, ...]:
    assert spec.history is not None
    kept = [feature for feature in features if feature.name in spec.history.features]
    ids = tuple(feature for feature in kept if feature.kind != "numeric")
    numbers = [AGE, *(task.name for task in history.feedback_tasks(spec))]
    if history.has_watch_share(spec):
        numbers.append(history.WATCH_SHARE)
    values = (
        *(InputFeature(name, "numeric") for name in numbers),
        *(feature for feature in kept if feature.kind == "numeric"),
    )
    inputs = (InputFeature(HISTORY_VALUES, HISTORY_VALUES, length=length, columns=values),)
    if not ids:
        return inputs
    return (InputFeature(HISTORY_IDS, HISTORY_IDS, length=length, columns=ids), *inputs)
