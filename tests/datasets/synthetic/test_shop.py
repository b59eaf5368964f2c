import numpy as np
import polars as pl
import pytest

from mtfx.datasets.logs.sessions import build_sessions
from mtfx.datasets.synthetic import SHOP_SPEC
from mtfx.datasets.synthetic.user_model import SHOP_MODEL

PARTS = ("item_properties_part1", "item_properties_part2")


@pytest.fixture(scope="module")
def events(shop) -> pl.DataFrame:
    return shop.read("events")


@pytest.fixture(scope="module")
def properties(shop) -> pl.DataFrame:
    return shop.read(*PARTS)


def as_of(views: pl.DataFrame, properties: pl.DataFrame, name: str) -> pl.Series:
    """The value at the time of each view, by a search of each item's history in plain Python."""
    rows = properties.filter(pl.col("property") == name).sort("timestamp")
    histories = {item[0]: group for item, group in rows.group_by("itemid", maintain_order=True)}
    values = []
    for time, item in views.select("timestamp", "itemid").iter_rows():
        history = histories[item]
        index = np.searchsorted(history["timestamp"].to_numpy(), time, side="right") - 1
        values.append(history["value"][int(index)])
    return pl.Series(values)


def test_layout_is_retailrockets(shop, shared_data):
    real = shared_data / "retailrocket"
    for name in ("events.csv", "category_tree.csv"):
        ours = (shop.directory / name).read_text().split("\n", 1)[0]
        assert ours == (real / name).read_text().split("\n", 1)[0]


def test_files_and_columns(shop, events, properties):
    assert events.columns == ["timestamp", "visitorid", "event", "itemid", "transactionid"]
    assert properties.columns == ["timestamp", "itemid", "property", "value"]
    assert events.filter(pl.col("event") == "view").height == shop.config.impressions
    needed = {c.source for c in SHOP_SPEC.side_tables[0].columns}
    assert needed <= set(properties["property"].unique())
    assert all(shop.summary.rows[f"{name}.csv"] > 0 for name in PARTS)
    first, second = (shop.read(name)["timestamp"] for name in PARTS)
    assert first.max() < second.min()
    days = (events["timestamp"].max() - events["timestamp"].min()) / 86_400_000
    assert 130 < days < 138


def test_published_rates_and_size(shop, events):
    views = shop.config.impressions
    counts = dict(events["event"].value_counts().iter_rows())
    assert counts["addtocart"] / views == pytest.approx(69_332 / 2_664_312, rel=0.08)
    assert counts["transaction"] / views == pytest.approx(22_457 / 2_664_312, rel=0.15)
    assert events["visitorid"].n_unique() == shop.summary.users == shop.config.user_count
    assert events.height / events["visitorid"].n_unique() == pytest.approx(1.96, rel=0.02)
    per_visitor = events["visitorid"].value_counts()["count"].sort(descending=True)
    assert (per_visitor == 1).mean() > 0.5
    assert per_visitor[: per_visitor.len() // 100].sum() / events.height > 0.04


def test_there_are_no_duplicates_and_transactions_have_ids(events):
    assert not events.is_duplicated().any()
    assert (events["transactionid"].is_not_null() == (events["event"] == "transaction")).all()
    assert events["transactionid"].drop_nulls().is_unique().all()
    same_visitor = events["visitorid"].diff() == 0
    assert (events["timestamp"].diff().filter(same_visitor) > 0).all()


def test_carts_follow_views_within_minutes(events):
    previous = events.select(pl.all().shift(1))
    for event, before in (("addtocart", "view"), ("transaction", "addtocart")):
        rows = (events["event"] == event).to_numpy()
        assert (previous.filter(rows)["event"] == before).all()
        for key in ("visitorid", "itemid"):
            assert (previous.filter(rows)[key] == events.filter(rows)[key]).all()
        delay = events.filter(rows)["timestamp"] - previous.filter(rows)["timestamp"]
        assert delay.min() >= 1_000
        assert delay.max() <= 4 * 60_000


def test_the_spec_recovers_labels_and_sessions(shop, events):
    """The pipeline's own sessionisation finds each view with the labels of the truth."""
    canonical = events.select(
        user_id="visitorid", item_id="itemid", timestamp_ms="timestamp", event="event"
    )
    impressions, counts = build_sessions(canonical, SHOP_SPEC)
    assert (counts.duplicates, counts.implied) == (0, 0)
    truth = shop.read("truth_views").rename(
        {"visitorid": "user_id", "itemid": "item_id", "timestamp": "timestamp_ms"}
    )
    keys = ["user_id", "timestamp_ms"]
    found = impressions.select(*keys, "item_id", "click", "pay").sort(keys)
    assert found.equals(truth.select(*keys, "item_id", "click", "pay").sort(keys))
    length = impressions.height / impressions["session_id"].n_unique()
    assert length == pytest.approx(SHOP_MODEL.session_length, rel=0.05)


def test_properties_change_over_time(properties):
    for name in ("available", "364", "790"):
        values = properties.filter(pl.col("property") == name)
        assert (values.group_by("itemid").len()["len"] > 1).mean() > 0.3
        ordered = values.sort("itemid", "timestamp")
        same = ordered["itemid"].diff() == 0
        repeated = (ordered["value"] == ordered["value"].shift(1)) & same
        assert not repeated.any()
    assert set(properties.filter(pl.col("property") == "available")["value"]) == {"0", "1"}
    constant = properties.filter(pl.col("property") == "785").group_by("itemid").len()
    assert (constant["len"] == 1).all()
    assert properties["timestamp"].n_unique() == 20
    assert pl.from_epoch(properties["timestamp"], "ms").dt.weekday().eq(7).all()


def test_the_probability_follows_availability_and_price_at_the_time(shop, properties):
    views = shop.read("truth_views").head(8_000)
    available = as_of(views, properties, "available")
    chance = views["p_click"]
    sold_out = chance.filter(available == "0").mean()
    assert sold_out < 0.2 * chance.filter(available == "1").mean()
    level = as_of(views, properties, "364").cast(pl.Int64) % 5
    cheap = chance.filter((available == "1") & (level <= 1)).mean()
    dear = chance.filter((available == "1") & (level >= 3)).mean()
    assert cheap > 1.3 * dear


def test_the_category_tree_is_a_tree(shop, properties):
    tree = shop.read("category_tree")
    assert tree["categoryid"].is_unique().all()
    parents = dict(tree.iter_rows())
    assert sum(parent is None for parent in parents.values()) >= 3
    for category in parents:
        steps = 0
        while (category := parents[category]) is not None:
            steps += 1
            assert steps < 20
    of_items = properties.filter(pl.col("property") == "categoryid")["value"].cast(pl.Int64)
    assert set(of_items) <= set(parents)
