"""The labels of RetailRocket against a reference that walks the events one by one."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from mtfx.datasets.logs.sessions import build_sessions
from mtfx.datasets.retailrocket import SPEC, impressions_from_events

KINDS = ("view", "addtocart", "transaction")


def frame_of(events):
    rows = [(1, item, 1000 * time, kind, session) for session, item, time, kind in events]
    schema = ["user_id", "item_id", "timestamp_ms", "event", "session"]
    return pl.DataFrame(rows, schema=schema, orient="row")


def impressions_by_walking(events):
    """The rule in words: an event belongs to the item's latest view at or before it."""
    found, current = [], {}
    order = sorted(events, key=lambda e: (e[0], e[1], e[2], KINDS.index(e[3])))
    for session, item, time, kind in order:
        key = (session, item)
        if kind == "view" or key not in current:
            current[key] = {
                "key": (session, item, 1000 * time),
                "click": 0,
                "pay": 0,
                "implied": kind != "view",
            }
            found.append(current[key])
        current[key]["last"] = 1000 * time
        if kind != "view":
            current[key]["click"] = 1
        if kind == "transaction":
            current[key]["pay"] = 1
    return sorted((*i["key"], i["click"], i["pay"], i["last"], i["implied"]) for i in found)


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 9), st.sampled_from(KINDS)),
        min_size=1,
        max_size=30,
    )
)
def test_labels_equal_the_reference(events):
    columns = ["session", "item_id", "timestamp_ms", "click", "pay", "feedback_ms", "implied"]
    found = impressions_from_events(frame_of(events)).select(columns)
    assert sorted(found.rows()) == impressions_by_walking(events)


def test_pay_implies_click_and_a_cart_without_a_view_implies_one():
    frame = frame_of([(1, 5, 1, "view"), (1, 5, 2, "transaction"), (1, 6, 3, "addtocart")])
    rows = impressions_from_events(frame).sort("item_id").to_dicts()
    assert [(r["click"], r["pay"], r["implied"]) for r in rows] == [(1, 1, False), (1, 0, True)]


def test_a_cart_in_a_later_session_does_not_reach_back():
    day = 86_400_000
    events = pl.DataFrame(
        {
            "user_id": [1, 1],
            "item_id": [5, 5],
            "timestamp_ms": [1_430_000_000_000, 1_430_000_000_000 + day],
            "event": ["view", "addtocart"],
        }
    )
    built, counts = build_sessions(events, SPEC)
    assert built["click"].to_list() == [0, 1]
    assert counts.implied == 1
