"""Comparators: the figures of two sets of session examples, and how far each may move.

Each threshold is a practical margin: how far the world may move in a day. The bar that a day is
held to is the margin plus what two samples of the days' sizes would show beyond it by chance, so
that a threshold knows its sample (see :mod:`mtfx.components.strict_distribution_validator.bars`).
"""

from __future__ import annotations

from collections.abc import Collection

from tfx.proto import distribution_validator_pb2

from mtfx.components.session_schema import column_types
from mtfx.components.strict_distribution_validator.config import Kind
from mtfx.datasets.spec import DatasetSpec

#: Columns that move from day to day, or of which no two sets share the values.
_MOVING = ("timestamp_ms", "session_start_ms", "session_id", "day_of_week")


def compared_columns(spec: DatasetSpec) -> dict[str, Kind]:
    """The columns that are compared: labels, watch time, features, and the hour.

    Ids that are numbers have no distribution that means anything, and what is new among them the
    vocabularies' out-of-vocabulary buckets take; but one that suddenly lacks is a missing feature.
    Integers that share a vocabulary are small sets of codes.
    """
    kinds: dict[str, Kind] = {}
    for feature in spec.features:
        if feature.kind == "numeric":
            kinds[feature.name] = "number"
        elif feature.dtype == "string" or feature.vocabulary:
            kinds[feature.name] = "category"
        elif feature.name not in ("user_id", "item_id"):
            kinds[feature.name] = "id"
    for task in spec.tasks:
        kinds[task.name] = "label" if task.kind == "binary" else "number"
    kinds["hour"] = "hour"
    # An id's missing value must be 0 to be distinguished from an id.
    fills = {column.name: column.fill for column in spec.all_columns}
    return {
        name: kinds[name]
        for name in column_types(spec)
        if name in kinds and name not in _MOVING and (kinds[name] != "id" or fills.get(name) == 0)
    }


def shown_columns(spec: DatasetSpec) -> dict[str, Kind]:
    """Of :func:`compared_columns`, the features that a service sends for each item."""
    sent = {feature.name for feature in spec.features if feature.level != "session"}
    return {name: kind for name, kind in compared_columns(spec).items() if name in sent}


def counted_columns(spec: DatasetSpec) -> set[str]:
    """Integers whose values statistics have to count: codes, labels, and the users' sessions."""
    kinds = compared_columns(spec)
    types = column_types(spec)
    counted = {name for name, kind in kinds.items() if kind in ("category", "label", "hour")}
    return {name for name in (*counted, "user_id") if types[name] == "int64"}


def validator_config(
    names: Collection[str], bar: float
) -> distribution_validator_pb2.DistributionValidatorConfig:
    """The configuration of TFX's DistributionValidator: the largest change of a value's share.

    Args:
      names: The columns.
      bar: What none may exceed.
    """
    config = distribution_validator_pb2.DistributionValidatorConfig()
    for name in names:
        feature = config.default_slice_config.feature.add()
        feature.path.step.append(name)
        feature.distribution_comparator.infinity_norm.threshold = bar
    return config
