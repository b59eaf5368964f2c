"""Users of a world and the pools of items from which their candidates are drawn."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl

from mtfx.datasets.feature_roles import user_requests
from mtfx.environments.simulator.fitting.config import WorldConfig
from mtfx.environments.simulator.fitting.log_data import WorldData
from mtfx.environments.simulator.fitting.retrieval import embed, hit_rate, retrieve, train_retrieval

#: Items of a pool of logged ones, and those added to it at random, at least.
_LOGGED, _RANDOM = 100, 30


@dataclasses.dataclass(frozen=True)
class Pools:
    """Users and their pools.

    Attributes:
      requests: Of each user, attributes and circumstances; one row each.
      items: Rows of the catalogue, int64 `[user, slot]`, each at most once in a pool.
      losses: Of retrieval, by epoch.
      hit_rate: Share of the users' positive impressions of the test split whose item is retrieved;
        NaN if there is none.
      chance: What choosing at random would give.
    """

    requests: pl.DataFrame
    items: np.ndarray
    losses: tuple[float, ...]
    hit_rate: float
    chance: float


def make_pools(data: WorldData, config: WorldConfig, on_epoch_end) -> Pools:
    """Trains retrieval on the training split and draws users and pools.

    A pool is the top items of two-tower retrieval and, as a share of it, items drawn from the whole
    catalogue at random, so that policies are also tried on items that nobody would retrieve.

    Args:
      data: The log.
      config: How many of each.
      on_epoch_end: Called with the epoch of retrieval and its loss.

    Raises:
      ValueError: if the training split has too few positive impressions.
    """
    user_inputs = data.inputs_of(data.roles.user)
    item_inputs = data.inputs_of(data.roles.item)
    primary = data.rule.feedback_names[0]
    positive = data.splits["train"].filter(pl.col(primary) == 1)
    if not positive.height:
        raise ValueError(
            f"the training split has no impression with {primary}: retrieval learns from those"
        )
    rows = catalogue_rows(data.catalogue, positive["item_id"])
    model, losses = train_retrieval(
        user_inputs, item_inputs, data.transform(positive), rows, config.retrieval, on_epoch_end
    )
    requests = user_requests(data.splits["test"], data.roles, config.users, config.seed)
    users = embed(model.embed_users, user_inputs, data.transform(_filled(requests, data)))
    items = embed(model.embed_items, item_inputs, data.transform(_filled(data.catalogue, data)))
    size = min(config.pool, len(items))
    retrieved = size - round(config.random_share * size)
    top = retrieve(users, items, max(retrieved, 1))
    held_out = data.splits["test"].filter(
        (pl.col(primary) == 1) & pl.col("user_id").is_in(requests["user_id"].implode())
    )
    return Pools(
        requests=requests,
        items=_with_random(top[:, :retrieved], len(items), size, config.seed),
        losses=losses,
        hit_rate=hit_rate(
            top,
            np.searchsorted(requests["user_id"].to_numpy(), held_out["user_id"].to_numpy()),
            catalogue_rows(data.catalogue, held_out["item_id"]),
        ),
        chance=top.shape[1] / len(items),
    )


def catalogue_rows(catalogue: pl.DataFrame, items: pl.Series) -> np.ndarray:
    """Row of each item in the catalogue, which is sorted by item; int64 `[n]`."""
    return np.searchsorted(catalogue["item_id"].to_numpy(), items.to_numpy()).astype(np.int64)


def pairs(data: WorldData, pools: Pools, first: int, last: int) -> pl.DataFrame:
    """All pairs of users ``first`` to ``last`` with the items of their pools, user by user.

    Returns:
      Every raw feature of the data set, one row per pair: the item's and the user's attributes, and
      the circumstances of the user's logged impression.
    """
    size = pools.items.shape[1]
    users = np.repeat(np.arange(first, last), size)
    own = data.roles.with_counts("user", "context")
    item = data.roles.with_counts("item")
    left = pools.requests.select(own)[users]
    right = data.catalogue.select(item)[pools.items[first:last].ravel()]
    return pl.concat([left, right], how="horizontal")


def logged_pools(
    data: WorldData, pools: Pools, users: pl.Series, seed: int
) -> tuple[Pools, np.ndarray]:
    """Pools of what the log showed some users, filled up with random items.

    Args:
      data: The log.
      pools: Those of a world, with these users among others.
      users: Their ids, ascending.
      seed: Of the random items.

    Returns:
      The pools, and how many items of each come from the log, int64 `[user]`: at most 100, those of
      the test split before those of the others.
    """
    known = pools.requests["user_id"].is_in(users.implode()).to_numpy()
    order = pl.concat(data.splits[split] for split in ("test", "eval", "train"))
    seen = (
        order.filter(pl.col("user_id").is_in(users.implode()))
        .unique(["user_id", "item_id"], keep="first", maintain_order=True)
        .group_by("user_id", maintain_order=True)
        .head(_LOGGED)
    )
    rows = catalogue_rows(data.catalogue, seen["item_id"])
    owners = np.searchsorted(users.to_numpy(), seen["user_id"].to_numpy())
    counts = np.bincount(owners, minlength=len(users))
    size = min(int(counts.max()) + _RANDOM, data.catalogue.height)
    by_user = np.split(rows[np.argsort(owners, kind="stable")], np.cumsum(counts)[:-1])
    rng = np.random.default_rng([seed, 5])
    items = np.empty((len(users), size), np.int64)
    for user, own in enumerate(by_user):
        left = np.ones(data.catalogue.height, bool)
        left[own] = False
        filler = rng.choice(np.flatnonzero(left), size - len(own), replace=False)
        items[user] = np.concatenate([own, filler])
    chosen = dataclasses.replace(
        pools,
        requests=pools.requests.filter(pl.Series(known)),
        items=items,
    )
    return chosen, counts


def _with_random(top: np.ndarray, items: int, size: int, seed: int) -> np.ndarray:
    """Fills pools up to ``size`` with items that are not in them, uniformly at random."""
    rng = np.random.default_rng([seed, 1])
    missing = size - top.shape[1]
    pools = np.empty((len(top), size), np.int64)
    pools[:, : top.shape[1]] = top
    for user in range(len(top) if missing else 0):
        left = np.ones(items, bool)
        left[top[user]] = False
        pools[user, top.shape[1] :] = rng.choice(np.flatnonzero(left), missing, replace=False)
    return pools


def _filled(frame: pl.DataFrame, data: WorldData) -> pl.DataFrame:
    """Adds the columns that a tower does not look at, which the transform asks for."""
    fill = {"int64": 0, "string": "", "float32": 0.0}
    return frame.with_columns(
        pl.lit(fill[feature.dtype]).alias(feature.name)
        for feature in data.spec.features
        if feature.name not in frame.columns
    )
