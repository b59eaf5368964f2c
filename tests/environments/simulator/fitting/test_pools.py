"""Pools without duplicates, filled by taste and at random; the log's own items."""

import dataclasses

import numpy as np
import polars as pl
import pytest

from mtfx.environments.simulator.fitting.config import RetrievalTrainingConfig, WorldConfig
from mtfx.environments.simulator.fitting.pools import (
    catalogue_rows,
    logged_pools,
    make_pools,
    pairs,
)
from mtfx.models.config import TwoTowerConfig
from tests.planted_log import ITEMS, USERS, planted_data

CONFIG = WorldConfig(
    "planted",
    "",
    users=10,
    pool=20,
    random_share=0.25,
    retrieval=RetrievalTrainingConfig(
        TwoTowerConfig(embedding_dim=8, feature_dim=8, hidden_units=(16,)),
        epochs=12,
        batch_size=128,
        learning_rate=0.02,
    ),
)


def silent(epoch, loss):
    del epoch, loss


@pytest.fixture(scope="module")
def data():
    return planted_data(sessions=500)


@pytest.fixture(scope="module")
def pools(data):
    return make_pools(data, CONFIG, silent)


def test_no_item_comes_twice_in_a_pool(pools):
    assert pools.items.shape == (10, 20)
    assert all(len(set(pool)) == 20 for pool in pools.items.tolist())
    assert ((pools.items >= 0) & (pools.items < ITEMS)).all()


def test_the_retrieved_part_follows_the_taste_and_the_rest_does_not(data, pools):
    users = pools.requests["user_id"].to_numpy()
    items = data.catalogue["item_id"].to_numpy()[pools.items]
    liked = items % 2 == users[:, None] % 2
    # 15 items are retrieved, of 20 that the user likes.
    assert liked[:, :15].mean() > 0.7
    assert liked[:, 15:].mean() < 0.6


def test_the_hit_rate_is_counted_on_the_test_split(data, pools):
    test = data.splits["test"].filter(pl.col("click") == 1)
    hits = []
    for user, retrieved in zip(pools.requests["user_id"], pools.items[:, :15], strict=True):
        own = catalogue_rows(data.catalogue, test.filter(pl.col("user_id") == user)["item_id"])
        hits += [row in set(retrieved.tolist()) for row in own.tolist()]
    assert pools.hit_rate == pytest.approx(np.mean(hits))
    assert pools.chance == pytest.approx(15 / ITEMS)
    assert pools.hit_rate > pools.chance + 0.1


def test_pairs_join_each_user_with_the_items_of_the_pool(data, pools):
    frame = pairs(data, pools, 2, 4)
    assert frame.height == 40
    assert set(frame.columns) == {feature.name for feature in data.spec.features}
    assert frame["user_id"].to_list() == np.repeat(pools.requests["user_id"][2:4], 20).tolist()
    items = data.catalogue["item_id"].to_numpy()[pools.items[2:4]].ravel()
    assert frame["item_id"].to_list() == items.tolist()
    np.testing.assert_allclose(frame["duration_ms"], 10_000 + 500 * items)


def test_pools_are_no_larger_than_the_catalogue_nor_users_than_there_are(data):
    quick = dataclasses.replace(CONFIG.retrieval, epochs=1)
    config = dataclasses.replace(CONFIG, pool=500, users=500, random_share=1.0, retrieval=quick)
    found = make_pools(data, config, silent)
    assert found.items.shape == (min(USERS, found.requests.height), ITEMS)
    assert (np.sort(found.items, axis=1) == np.arange(ITEMS)).all()


def test_logged_pools_hold_what_the_log_showed_the_user_the_test_split_first(data, pools):
    users = pools.requests["user_id"][1:6]
    found, counts = logged_pools(data, pools, users, seed=0)
    assert found.requests["user_id"].to_list() == users.to_list()
    assert all(len(set(pool)) == found.items.shape[1] for pool in found.items.tolist())
    every = pl.concat(data.splits.values())
    for user, pool, count in zip(users, found.items, counts, strict=True):
        seen = set(every.filter(pl.col("user_id") == user)["item_id"])
        ids = data.catalogue["item_id"].to_numpy()[pool]
        assert set(ids[:count]) == seen
        assert not seen & set(ids[count:])
        tested = set(data.splits["test"].filter(pl.col("user_id") == user)["item_id"])
        assert set(ids[: len(tested)]) == tested


def test_a_log_without_positives_is_refused(data):
    train = data.splits["train"].with_columns(click=pl.lit(0))
    silent_log = dataclasses.replace(data, splits={**data.splits, "train": train})
    with pytest.raises(ValueError, match="no impression with click"):
        make_pools(silent_log, CONFIG, silent)
