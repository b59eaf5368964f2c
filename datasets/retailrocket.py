"""RetailRocket: 4.5 months of views, add-to-carts and transactions of a web shop.

https://www.kaggle.com/datasets/retailrocket/ecommerce-dataset, listed as CC BY-NC-SA 4.0.

RMTL predicts click (an add-to-cart after the view; CTR task) and pay (a transaction; CTCVR
task). The log holds events, not impressions: :func:`impressions_from_events` gives each view the
carts and transactions that followed it in its session. The item properties are those that RMTL's
published code feeds its models; each is taken as of the time of the impression.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from mtfx.datasets.history import History
from mtfx.datasets.spec import Column, DatasetSpec, Feature, KnownFile, SideTable, Task

VIEW, ADD_TO_CART, TRANSACTION = "view", "addtocart", "transaction"

_PROPERTIES = ("785", "591", "814", "364", "776")

ITEM_PROPERTIES = SideTable(
    files=("item_properties_part*.csv*", "item_properties_part*.parquet"),
    key="itemid",
    on="item_id",
    time="timestamp",
    property_column="property",
    value_column="value",
    columns=(
        *(
            Column(f"property_{p}", p, "context", dtype="string", required=False)
            for p in _PROPERTIES
        ),
        Column("available", "available", "context", dtype="string", required=False),
        Column("category_id", "categoryid", "context", dtype="string", required=False),
    ),
)
CATEGORY_TREE = SideTable(
    files=("category_tree.csv*", "category_tree.parquet"),
    key="categoryid",
    on="category_id",
    columns=(Column("parent_category_id", "parentid", "context", dtype="string", required=False),),
)


def impressions_from_events(events: pl.DataFrame) -> pl.DataFrame:
    """Turns sessions of events into impressions with the labels ``click`` and ``pay``.

    A view is an impression. An add-to-cart or transaction belongs to the latest view of the same
    item at or before it in the same session; it sets ``click``, a transaction ``pay`` as well (who
    pays has been through the cart, even where that event fell into another session), so that pay
    implies click as ESMM assumes. An event without such a view implies that the item was shown:
    the first one becomes an impression at its own time, marked in ``implied``.

    Args:
      events: Whole sessions with ``session, item_id, timestamp_ms, event`` and context columns, in
        any order.

    Returns:
      One row per impression with the input's columns but ``event``, and ``click`` (int64), ``pay``
      (int64), ``feedback_ms`` (int64, time of the last of its events) and ``implied`` (bool).
    """
    rank = pl.col("event").replace_strict(
        {VIEW: 0, ADD_TO_CART: 1, TRANSACTION: 2}, return_dtype=pl.Int8
    )
    ordered = events.with_columns(_rank=rank).sort("session", "item_id", "timestamp_ms", "_rank")
    ranks = ordered["_rank"].to_numpy()
    group = ordered.select(
        first=(pl.col("session") != pl.col("session").shift(1))
        | (pl.col("item_id") != pl.col("item_id").shift(1))
    )
    first = group["first"].fill_null(True).to_numpy()
    starts = (ranks == 0) | first
    impression = np.cumsum(starts) - 1
    # Rows of an impression are in the order of time, so the one before the next begins is its last.
    last = np.append(np.flatnonzero(starts)[1:], len(starts))[: int(starts.sum())] - 1
    click, pay = np.zeros((2, int(starts.sum())), np.int64)
    click[impression[ranks > 0]] = 1
    pay[impression[ranks == 2]] = 1
    return (
        ordered.filter(pl.Series(starts))
        .with_columns(
            click=click,
            pay=pay,
            feedback_ms=ordered["timestamp_ms"].gather(last),
            implied=pl.col("_rank") > 0,
        )
        .drop("event", "_rank")
    )


SPEC = DatasetSpec(
    name="retailrocket",
    title="RetailRocket (web shop): click (add to cart) and pay (transaction) after a view",
    log_files=("events.csv", "events.csv.gz", "events.parquet"),
    columns=(
        Column("user_id", "visitorid", "user"),
        Column("item_id", "itemid", "item"),
        Column("timestamp_ms", "timestamp", "timestamp"),
        Column("event", "event", "event", dtype="string", allowed=(VIEW, ADD_TO_CART, TRANSACTION)),
    ),
    features=(
        Feature("user_id", "categorical", level="session"),
        Feature("item_id", "categorical"),
        *(
            Feature(f"property_{p}", "categorical", dtype="string", vocabulary="property")
            for p in _PROPERTIES
        ),
        Feature("available", "categorical", dtype="string", vocabulary="property"),
        Feature("category_id", "categorical", dtype="string", vocabulary="property"),
        Feature("parent_category_id", "categorical", dtype="string", vocabulary="property"),
        Feature("hour", "categorical", vocabulary="context"),
        Feature("day_of_week", "categorical", vocabulary="context"),
        Feature("step_bucket", "categorical", dtype="string", vocabulary="context"),
    ),
    tasks=(Task("click"), Task("pay", parent="click")),
    side_tables=(ITEM_PROPERTIES, CATEGORY_TREE),
    to_impressions=impressions_from_events,
    slices=("step_bucket", "hour", "day_of_week"),
    known_files=(
        KnownFile(
            "events.csv",
            "sha256",
            "3745aa83238b1e6d44d8fda209807899f420084398f94ddf745f3cbcfecbf9e7",
            94_237_913,
        ),
        KnownFile(
            "item_properties_part1.csv",
            "sha256",
            "30aad5aeca58b2dc27dcc73e1708565f5818e45adb3eb57401f91e87355b0b81",
            484_315_749,
        ),
        KnownFile(
            "item_properties_part2.csv",
            "sha256",
            "d5e7d1a91dc40f522aeb596b267e6c87d8aed689a7192d12369cfb165eb987e5",
            408_929_907,
        ),
    ),
    source="https://www.kaggle.com/datasets/retailrocket/ecommerce-dataset (CC BY-NC-SA 4.0)",
    history=History(),
)
