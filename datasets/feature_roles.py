"""Roles of features: those that describe the user, the item, and the circumstances."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
import polars as pl

from mtfx.datasets.history import statistics_of
from mtfx.datasets.spec import DERIVED_COLUMNS, DatasetSpec

#: A log column belongs to the item if this share of an item's impressions agree on its value.
_AGREEMENT = 0.99


@dataclasses.dataclass(frozen=True)
class FeatureRoles:
    """Names of a data set's features, in its order.

    Attributes:
      user: Attributes of the user; ``user_id`` among them.
      item: Attributes of the item; ``item_id`` among them.
      context: What differs between two impressions of the same item to the same user.
      counts: The statistics of each of these three: how often a value was shown and what came of
        it, up to the day before.
    """

    user: tuple[str, ...]
    item: tuple[str, ...]
    context: tuple[str, ...]
    counts: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def with_counts(self, *roles: Literal["user", "item", "context"]) -> list[str]:
        """Features of some roles, and the statistics of their values."""
        names = [name for role in roles for name in getattr(self, role)]
        return [*names, *(name for role in roles for name in self.counts.get(role, ()))]


def feature_roles(spec: DatasetSpec) -> FeatureRoles:
    """Sorts the features, by what the data set says: no log may change a role.

    Session-level features and the user table's are the user's; the item tables' are the item's, and
    so are those of tables joined to an item's column. A column of the log itself is context if its
    level is ``request`` or it is a derived one (the hour, the step), and else the item's.
    """
    roles = {"user_id": "user", "item_id": "item"}
    for table in spec.side_tables:
        for column in table.columns:
            roles[column.name] = roles.get(table.on, "context")
    found: dict[str, list[str]] = {"user": [], "item": [], "context": []}
    for feature in spec.features:
        if feature.level == "session":
            role = "user"
        elif feature.name in DERIVED_COLUMNS:
            role = "context"
        elif feature.name in roles:
            role = roles[feature.name]
        else:
            role = "context" if feature.level == "request" else "item"
        found[role].append(feature.name)
    counts: dict[str, tuple[str, ...]] = {}
    for key in spec.history.statistics if spec.history is not None else ():
        role = next((role for role, names in found.items() if key in names), "user")
        counts[role] = (*counts.get(role, ()), *statistics_of(spec, key).values())
    user, item, context = (tuple(found[role]) for role in ("user", "item", "context"))
    return FeatureRoles(user, item, context, counts)


def item_catalogue(frame: pl.DataFrame, roles: FeatureRoles) -> pl.DataFrame:
    """Every item of the log with its last values of the item's features, ordered by item."""
    columns = [name for name in roles.with_counts("item") if name != "item_id"]
    return (
        frame.sort("timestamp_ms", "item_id", maintain_order=True)
        .group_by("item_id")
        .agg(pl.col(columns).last(), impressions=pl.len())
        .sort("item_id")
    )


def user_requests(frame: pl.DataFrame, roles: FeatureRoles, users: int, seed: int) -> pl.DataFrame:
    """Draws users, and of each the circumstances of the first impression of one of their sessions.

    Args:
      frame: Impressions, sessions one after the other, each in order of time.
      roles: Of the features.
      users: How many, at most.
      seed: Of the choice.

    Returns:
      One row per user, ordered by user: the user's and the context's features, ``user_id``,
      ``timestamp_ms`` and ``session_id``.
    """
    known = frame["user_id"].unique().sort()
    rng = np.random.default_rng(seed)
    chosen = known
    if len(known) > users:
        chosen = known[np.sort(rng.choice(len(known), users, replace=False))]
    own = frame.filter(pl.col("user_id").is_in(chosen.implode()))
    own = own.unique("session_id", keep="first", maintain_order=True)
    own = own.with_columns(_order=pl.Series(rng.random(own.height)))
    columns = dict.fromkeys(
        [*roles.with_counts("user", "context"), "user_id", "timestamp_ms", "session_id"]
    )
    return (
        own.sort("user_id", "_order")
        .group_by("user_id", maintain_order=True)
        .first()
        .select(list(columns))
        .sort("user_id")
    )


def changing_features(
    spec: DatasetSpec, roles: FeatureRoles, frame: pl.DataFrame
) -> tuple[str, ...]:
    """Features of the log itself that are the item's by the data set, but not by the log.

    At least 99% of the impressions of items seen twice or more agree with their item's most
    frequent value of what is the item's, such as a video's length.

    Args:
      spec: The data set.
      roles: Its features'.
      frame: Its impressions.
    """
    tables = {column.name for table in spec.side_tables for column in table.columns}
    own = [name for name in roles.item if name != "item_id" and name not in tables]
    return tuple(name for name in own if not _agrees(frame, name))


def _agrees(frame: pl.DataFrame, name: str) -> bool:
    counts = frame.group_by("item_id", name).len()
    items = counts.group_by("item_id").agg(pl.col("len").sum().alias("all"), pl.col("len").max())
    repeated = items.filter(pl.col("all") > 1)
    return int(repeated["len"].sum()) >= _AGREEMENT * int(repeated["all"].sum())
