"""What is compared between two sets of session examples, and how far each may move.

Each threshold is a practical margin: how far the world may move in a day. The bar that a day is
held to is the margin plus what two samples of the days' sizes would show beyond it by chance, so
that a threshold knows its sample (see :mod:`mtfx.components.strict_distribution_validator.bars`).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection
from typing import Literal

from tfx.proto import distribution_validator_pb2

from mtfx.components.session_schema import column_types
from mtfx.datasets.spec import DatasetSpec

#: ``number``: divergence in cells of equal mass. ``category``: largest change of a value's share.
#: ``label``: odds. ``hour``: divergence over its values. ``id``: share of ids that are 0, which
#: stands for a missing one.
Kind = Literal["number", "category", "label", "hour", "id"]

#: Columns that move from day to day, or of which no two sets share the values.
_MOVING = ("timestamp_ms", "session_start_ms", "session_id", "day_of_week")


@dataclasses.dataclass(frozen=True)
class DriftThresholds:
    """How far a day may move, before what its sample adds.

    Attributes:
      jensen_shannon: Of numbers and of the hour: the Jensen-Shannon divergence in bits, in (0, 1].
      l_infinity: Of text and small integer codes, and of the share of missing ids: the largest
        change of a value's share, in (0, 1].
      label_odds: By what factor the odds of a binary label may change. A change of the share would
        overlook that a rare label is gone.
      rows: By what factor the number of impressions may change.
      false_alarms: Share of days that would be refused by chance though no column moved further
        than its threshold; it is divided among the columns (Bonferroni).
      user_correlation: Of two impressions of one user, by which the sample counts less than its
        rows. Measured on the KuaiRand-Pure standard log: 0.2 in clicks, 0.16 in long views.

    Raises:
      ValueError: at construction, naming the field.
    """

    jensen_shannon: float = 0.05
    l_infinity: float = 0.1
    label_odds: float = 1.2
    rows: float = 1.5
    false_alarms: float = 0.01
    user_correlation: float = 0.3

    def __post_init__(self) -> None:
        for name in ("jensen_shannon", "l_infinity"):
            if not 0.0 < getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is a distance in (0, 1], got {getattr(self, name)}")
        for name in ("label_odds", "rows"):
            if not 1.0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is a factor above 1, got {getattr(self, name)}")
        if not 0.0 < self.false_alarms < 1.0:
            raise ValueError(f"false_alarms is a share in (0, 1), got {self.false_alarms}")
        if not 0.0 <= self.user_correlation <= 1.0:
            raise ValueError(
                f"user_correlation is a correlation in [0, 1], got {self.user_correlation}"
            )


@dataclasses.dataclass(frozen=True)
class ComparisonPlan:
    """What is compared, as the component's execution property carries it.

    Attributes:
      columns: Name to :data:`Kind`.
      session_level: Those with one value per session.
      thresholds: How far each may move.
      volume: Whether the numbers of impressions and the times are compared too.
      day_ms: Begin and end of the day in Unix ms, where its number is a date: most of its rows lie
        between.
    """

    columns: dict[str, Kind]
    session_level: tuple[str, ...] = ()
    thresholds: DriftThresholds = DriftThresholds()
    volume: bool = True
    day_ms: tuple[int, int] | None = None

    @property
    def level(self) -> float:
        """Probability of a false alarm that each comparison may have."""
        return self.thresholds.false_alarms / (len(self.columns) + 3)

    def to_json(self) -> str:
        """Canonical JSON."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> ComparisonPlan:
        """The inverse of :meth:`to_json`."""
        values = json.loads(text)
        day = values["day_ms"]
        return cls(
            **{
                **values,
                "session_level": tuple(values["session_level"]),
                "thresholds": DriftThresholds(**values["thresholds"]),
                "day_ms": None if day is None else (day[0], day[1]),
            }
        )


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
    # An id's missing value must be 0 to be told from an id.
    fills = {column.name: column.fill for column in spec.all_columns}
    return {
        name: kinds[name]
        for name in column_types(spec)
        if name in kinds and name not in _MOVING and (kinds[name] != "id" or fills.get(name) == 0)
    }


def shown_columns(spec: DatasetSpec) -> dict[str, Kind]:
    """Of :func:`compared_columns`, the features that a service sends for each item."""
    sent = {feature.name for feature in spec.features if feature.level == "impression"}
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
