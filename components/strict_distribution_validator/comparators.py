"""What is compared between two sets of session examples, and how far each may move."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from tfx.proto import distribution_validator_pb2

from components.session_schema import column_types
from datasets.spec import DatasetSpec

#: Columns that move from day to day, or of which no two sets share the values.
_MOVING = ("timestamp_ms", "session_start_ms", "session_id", "day_of_week")


@dataclasses.dataclass(frozen=True)
class DriftThresholds:
    """How far a column's distribution may move; the distances are TFDV's.

    Attributes:
      jensen_shannon: Of numbers: the Jensen-Shannon divergence, in [0, 1].
      l_infinity: Of text and of binary labels: the largest change of a value's share, in [0, 1].
      least_examples: A set with less than this share of the other's sessions is incomplete.
      most_examples: One with more than so many times the sessions was delivered twice, or is fed by
        robots.

    Raises:
      ValueError: at construction, naming the field.
    """

    jensen_shannon: float = 0.1
    l_infinity: float = 0.1
    least_examples: float = 0.2
    most_examples: float = 5.0

    def __post_init__(self) -> None:
        for name in ("jensen_shannon", "l_infinity"):
            if not 0.0 < getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is a distance in (0, 1], got {getattr(self, name)}")
        if not 0.0 <= self.least_examples < 1.0 < self.most_examples:
            raise ValueError(
                "least_examples must be in [0, 1) and most_examples above 1, got "
                f"{self.least_examples} and {self.most_examples}"
            )


def compared_columns(spec: DatasetSpec) -> dict[str, str]:
    """The columns whose distributions are compared: name to ``number`` or ``category``.

    Labels, watch time, numeric features and text. Ids that are numbers have no distribution that
    means anything; what is new among them the vocabularies' out-of-vocabulary buckets take. Binary
    labels are categories, because TFDV's divergence of a rare label's histogram from one without
    any is 1.
    """
    numeric = {feature.name for feature in spec.features if feature.kind == "numeric"}
    numeric |= {task.name for task in spec.tasks if task.kind == "regression"}
    categories = {
        feature.name
        for feature in spec.features
        if feature.dtype == "string" and feature.kind != "numeric"
    }
    categories |= {task.name for task in spec.tasks if task.kind == "binary"}
    found = {}
    for name in column_types(spec):
        if name in _MOVING:
            continue
        if name in numeric:
            found[name] = "number"
        elif name in categories:
            found[name] = "category"
    return found


def shown_columns(spec: DatasetSpec) -> dict[str, str]:
    """Of :func:`compared_columns`, the features that a service sends for each item."""
    sent = {feature.name for feature in spec.features if feature.level == "impression"}
    return {name: kind for name, kind in compared_columns(spec).items() if name in sent}


def validator_config(
    spec: DatasetSpec, thresholds: DriftThresholds, columns: Mapping[str, str] | None = None
) -> distribution_validator_pb2.DistributionValidatorConfig:
    """The configuration of TFX's DistributionValidator.

    Args:
      spec: The data set.
      thresholds: How far a column may move.
      columns: Those that are compared, without the number of examples; None compares all of
        :func:`compared_columns`, and the number.
    """
    config = distribution_validator_pb2.DistributionValidatorConfig()
    for name, kind in (compared_columns(spec) if columns is None else columns).items():
        feature = config.default_slice_config.feature.add()
        feature.path.step.append(name)
        comparator = feature.distribution_comparator
        if kind == "number":
            comparator.jensen_shannon_divergence.threshold = thresholds.jensen_shannon
        else:
            comparator.infinity_norm.threshold = thresholds.l_infinity
    if columns is not None:
        return config
    count = config.default_slice_config.num_examples_comparator
    count.min_fraction_threshold = thresholds.least_examples
    count.max_fraction_threshold = thresholds.most_examples
    return config
