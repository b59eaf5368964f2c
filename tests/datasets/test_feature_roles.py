"""Which features are whose, and the tables of items and users made with it."""

import dataclasses

import polars as pl
import pytest

from mtfx.datasets.columns import Column
from mtfx.datasets.feature_roles import (
    changing_features,
    feature_roles,
    item_catalogue,
    user_requests,
)
from mtfx.datasets.spec import Feature
from tests.planted_log import ITEMS, SPEC, split_sessions


@pytest.fixture(scope="module")
def frame():
    return split_sessions(400)["train"]


@pytest.fixture(scope="module")
def roles():
    return feature_roles(SPEC)


def test_the_data_set_says_what_a_feature_describes():
    own = Feature("tab", "categorical", level="request")
    columns = (*SPEC.columns, Column("tab", "tab", "context"))
    roles = feature_roles(
        dataclasses.replace(SPEC, columns=columns, features=(*SPEC.features, own))
    )
    assert roles.user == ("user_id",)
    assert roles.item == ("item_id", "duration_ms")
    assert roles.context == ("step_bucket", "tab")


@pytest.mark.parametrize(("wrong", "names"), [(0.005, ()), (0.05, ("duration_ms",))])
def test_a_column_that_changes_is_named(frame, roles, wrong, names):
    rows = pl.int_range(pl.len()) < wrong * pl.len()
    changed = frame.with_columns(
        duration_ms=pl.when(rows).then(pl.int_range(pl.len())).otherwise(pl.col("duration_ms"))
    )
    assert changing_features(SPEC, roles, changed) == names
    once = changed.unique("item_id", keep="first")
    assert changing_features(SPEC, roles, once) == ()


def test_the_catalogue_has_every_item_with_its_last_values(frame, roles):
    last = frame["timestamp_ms"].max()
    newest = frame.filter(pl.col("timestamp_ms") == last).head(1)
    item = newest["item_id"][0]
    changed = frame.with_columns(
        duration_ms=pl.when((pl.col("timestamp_ms") == last) & (pl.col("item_id") == item))
        .then(1.0)
        .otherwise(pl.col("duration_ms"))
    )
    catalogue = item_catalogue(changed, roles)
    assert catalogue["item_id"].to_list() == list(range(ITEMS))
    assert catalogue.filter(pl.col("item_id") == item)["duration_ms"].item() == 1.0
    other = (item + 1) % ITEMS
    assert (
        catalogue.filter(pl.col("item_id") == other)["duration_ms"].item() == 10_000 + 500 * other
    )
    assert catalogue["impressions"].sum() == frame.height


def test_a_request_is_the_first_of_one_of_the_users_own_sessions(frame, roles):
    requests = user_requests(frame, roles, users=5, seed=1)
    assert requests.height == 5
    assert requests["user_id"].is_sorted()
    assert requests["user_id"].n_unique() == 5
    first = frame.unique("session_id", keep="first", maintain_order=True)
    known = first.select("user_id", "timestamp_ms", "step_bucket", "session_id")
    columns = known.columns
    assert requests.select(columns).join(known, on=columns, how="anti").height == 0


def test_all_users_are_taken_where_there_are_fewer(frame, roles):
    requests = user_requests(frame, roles, users=10_000, seed=0)
    assert requests["user_id"].to_list() == sorted(set(frame["user_id"].to_list()))
