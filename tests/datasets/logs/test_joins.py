"""Joins of side tables: no value from the future, whatever the order of the rows."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtfx.datasets.logs import joins
from mtfx.datasets.logs.readers import ROW
from mtfx.datasets.logs.validation import canonicalise
from mtfx.datasets.retailrocket import CATEGORY_TREE, ITEM_PROPERTIES
from mtfx.datasets.spec import Column, SideTable

WIDE = SideTable(
    files=("prices_*.csv",),
    key="item",
    on="item_id",
    time="time",
    columns=(Column("price", "price", "context", dtype="float32"),),
)
CHANGES = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 20), st.sampled_from(["0", "1", "2"])), max_size=30
)


def properties(changes, name="available"):
    rows = [(item, time, name, value) for item, time, value in changes]
    schema = {
        "item_id": pl.Int64,
        joins.TIME: pl.Int64,
        "_property": pl.String,
        "_value": pl.String,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


@given(CHANGES, st.lists(st.tuples(st.integers(0, 3), st.integers(0, 20)), max_size=30))
def test_an_as_of_join_takes_the_last_value_not_after_the_event(changes, events):
    frame = pl.DataFrame(
        events, schema={"item_id": pl.Int64, "timestamp_ms": pl.Int64}, orient="row"
    )
    joined = joins.join_side_table(frame, ITEM_PROPERTIES, properties(changes))
    assert joined.height == len(events)
    for item, time, value in joined.select("item_id", "timestamp_ms", "available").iter_rows():
        past = [(t, v) for i, t, v in changes if i == item and t <= time]
        assert value == (max(past)[1] if past else "")


def test_a_wide_table_with_times_joins_as_of_too():
    rows = pl.DataFrame({"item_id": [1, 1], joins.TIME: [10, 20], "price": [5.0, 9.0]})
    events = pl.DataFrame({"item_id": [1, 1, 2], "timestamp_ms": [15, 5, 30]})
    joined = joins.join_side_table(events, WIDE, rows).sort("timestamp_ms")
    assert joined["price"].to_list() == [0.0, 5.0, 0.0]


def test_a_static_table_joins_once_even_with_double_keys():
    rows = pl.DataFrame({"category_id": ["7", "7", "8"], "parent_category_id": ["1", "1", "2"]})
    events = pl.DataFrame({"category_id": ["8", "7", "9"], "timestamp_ms": [1, 2, 3]})
    joined = joins.join_side_table(events, CATEGORY_TREE, rows).sort("timestamp_ms")
    assert joined["parent_category_id"].to_list() == ["2", "1", ""]


def test_unused_properties_are_dropped_early():
    rows = pl.concat([properties([(1, 1, "1")]), properties([(1, 1, "x")], name="999")])
    assert joins.keep_known_properties(rows, ITEM_PROPERTIES).height == 1


@pytest.mark.parametrize(
    ("log", "table", "joins_it"),
    [
        ("log_standard_4_08_to_4_21_pure.csv", "video_features_basic_pure.csv", True),
        ("log_standard_4_08_to_4_21_27k_part1.csv", "video_features_basic_27k.csv", True),
        ("log_standard_4_08_to_4_21_27k_sample.csv", "video_features_basic_pure.csv", False),
    ],
)
def test_ids_of_another_version_are_not_joined(tmp_path, log, table, joins_it):
    from mtfx.datasets.kuairand import VIDEO_TABLE

    (tmp_path / table).write_text("video_id\n")
    found = joins.matching_files(str(tmp_path), VIDEO_TABLE, [str(tmp_path / log)])
    assert bool(found) == joins_it


def test_a_property_that_is_to_be_a_number_and_is_none_is_rejected():
    table = SideTable(
        files=("facts_*.csv",),
        key="item",
        on="item_id",
        time="time",
        property_column="fact",
        value_column="value",
        columns=(
            Column("price", "price", "context", dtype="float32"),
            Column("stock", "stock", "context"),
            Column("colour", "colour", "context", dtype="string"),
        ),
    )
    facts = ["price=9.5", "price=dear", "price=inf", "stock=3", "stock=3.5", "stock=", "colour=red"]
    raw = pl.DataFrame(
        {
            "item": [1] * len(facts),
            "time": [1_650_000_000_000] * len(facts),
            "fact": [fact.split("=")[0] for fact in facts],
            "value": [fact.split("=")[1] for fact in facts],
            ROW: range(2, 2 + len(facts)),
        }
    )
    columns = joins.raw_columns(table, "int64")
    good, bad = canonicalise(raw, columns, "facts.csv", joins.properties(table))
    assert good["_value"].to_list() == ["9.5", "3", "", "red"]
    assert bad.select("row", "reason").rows() == [
        (3, "value: property price is not a finite number"),
        (4, "value: property price is not a finite number"),
        (6, "value: property stock is not an integer"),
    ]
    assert joins.properties(WIDE) == joins.properties(None) == ()


def test_matches_are_counted_before_defaults_take_their_place():
    events = pl.DataFrame({"item_id": [10, 10, 11, 12], "timestamp_ms": [5, 15, 15, 15]})
    rows = pl.DataFrame(
        {"item_id": [10, 11], joins.TIME: [10, 20], "price": [0.0, 3.0]},
        schema_overrides={"price": pl.Float32},
    )
    joined = joins.look_up(events, WIDE, rows)
    found = joins.count_matches(joined, WIDE, 0)
    # A value of 0 is a match; the first comes too early, the third's value too late.
    assert (found.asked, found.met) == (4, 1)
    filled = joins.fill_unmatched(joined, WIDE)
    assert filled.equals(joins.join_side_table(events, WIDE, rows))


def test_rows_without_a_key_ask_nothing():
    events = pl.DataFrame({"category_id": ["", "5", "6"], "timestamp_ms": [1, 2, 3]})
    rows = pl.DataFrame({"category_id": ["5"], "parent_category_id": ["1"]})
    found = joins.count_matches(joins.look_up(events, CATEGORY_TREE, rows), CATEGORY_TREE, "")
    assert (found.asked, found.met) == (2, 1)


@pytest.mark.parametrize("time", [0, 1_650_000_000, 1_650_000_000_000_000])
def test_a_row_of_a_wrong_clock_is_no_value_of_all_time(time):
    """An as-of join would take a price of 1970 for every event before the first real one."""
    raw = pl.DataFrame(
        {"item": ["1", "1"], "time": [time, 1_650_000_000_000], "price": [9.0, 5.0], ROW: [1, 2]}
    )
    good, bad = canonicalise(raw, joins.raw_columns(WIDE, "int64"), "prices_1.csv")
    assert bad["row"].to_list() == [1]
    assert "is it in" in bad["reason"][0]
    events = pl.DataFrame(
        {"item_id": [1, 1], "timestamp_ms": [1_649_000_000_000, 1_651_000_000_000]}
    )
    assert joins.join_side_table(events, WIDE, good)["price"].to_list() == [0.0, 5.0]
