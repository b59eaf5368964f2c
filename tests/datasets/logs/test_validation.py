import polars as pl
import pytest

from mtfx.datasets.logs.readers import ROW
from mtfx.datasets.logs.validation import canonicalise
from mtfx.datasets.spec import Column

COLUMNS = (
    Column("user_id", "user", "user"),
    Column("item_id", "item", "item", dtype="string"),
    Column("timestamp_ms", "time", "timestamp"),
    Column("click", "click", "label"),
    Column("watch_time_ms", "watch", "watch_time", dtype="float32"),
    Column("tab", "tab", "context", required=False, default=-1),
    Column("price", "price", "context", dtype="float32"),
    Column("event", "event", "event", dtype="string", allowed=("view", "buy")),
)
GOOD = {
    "user": "1",
    "item": "a",
    "time": "1650000000000",
    "click": "1",
    "watch": "12.5",
    "tab": "3",
    "price": "9.5",
    "event": "view",
}


def check(**changes):
    raw = pl.DataFrame([{**GOOD, **changes}]).with_columns(pl.lit(7).alias(ROW))
    return canonicalise(raw, COLUMNS, "log.csv")


def test_a_good_row_is_typed():
    good, rejects = check()
    assert rejects.is_empty()
    assert good.row(0) == (1, "a", 1650000000000, 1, 12.5, 3, 9.5, "view")
    assert good.schema["watch_time_ms"] == pl.Float32


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("user", "", "user: missing"),
        ("user", "x", "user: not an integer"),
        ("item", "", "item: missing"),
        ("time", "-5", "time: negative"),
        ("time", "abc", "time: not a time"),
        ("time", "0", "before 2000 (is it in ms?)"),
        ("time", "1650000000", "before 2000 (is it in s instead of ms?)"),
        ("time", "1650000000000000", "after 2100 (is it in us instead of ms?)"),
        ("time", "1650000000000000000", "after 2100 (is it in ns instead of ms?)"),
        ("time", "99999999999999999999", "not a time"),
        ("click", "2", "click: label is not 0 or 1"),
        ("click", "", "click: missing"),
        ("click", "nan", "click: label is not 0 or 1"),
        ("click", "0.5", "click: label is not 0 or 1"),
        ("watch", "-1", "watch: negative"),
        ("watch", "NaN", "watch: not finite"),
        ("watch", "inf", "watch: not finite"),
        ("watch", "", "watch: missing"),
        ("tab", "left", "tab: not an integer"),
        ("price", "nan", "price: not finite"),
        ("event", "steal", "event: not one of view, buy"),
    ],
)
def test_a_bad_value_is_rejected_with_row_and_reason(column, value, reason):
    good, rejects = check(**{column: value})
    assert good.is_empty()
    assert rejects["row"].to_list() == [7]
    assert reason in rejects["reason"][0]
    assert rejects["file"].to_list() == ["log.csv"]


@pytest.mark.parametrize(("column", "fill"), [("tab", -1), ("price", 0.0)])
def test_an_empty_context_value_takes_the_default(column, fill):
    good, rejects = check(**{column: ""})
    assert rejects.is_empty()
    assert good[column].to_list() == [fill]


def test_a_missing_optional_column_takes_the_default():
    raw = pl.DataFrame([GOOD]).drop("tab").with_columns(pl.lit(2).alias(ROW))
    good, _ = canonicalise(raw, COLUMNS, "log.csv")
    assert good["tab"].to_list() == [-1]


@pytest.mark.parametrize("label", ["1.0", "1"])
def test_labels_may_be_written_as_floats(label):
    assert check(click=label)[0]["click"].to_list() == [1]


def test_typed_columns_of_parquet_are_checked_too():
    raw = pl.DataFrame([GOOD]).with_columns(
        pl.lit(2).alias(ROW),
        user=pl.lit(1),
        time=pl.lit(1650000000000),
        click=pl.lit(float("nan")),
        watch=pl.lit(2.0),
    )
    _, rejects = canonicalise(raw, COLUMNS, "log.parquet")
    assert rejects["reason"].to_list() == ["click: label is not 0 or 1"]


@pytest.mark.parametrize(("unit", "text"), [("s", "1650000000.5"), ("us", "1650000000500000")])
def test_times_are_converted_to_milliseconds(unit, text):
    column = Column("timestamp_ms", "time", "timestamp", unit=unit)
    raw = pl.DataFrame({"time": [text], ROW: [2]})
    good, _ = canonicalise(raw, (column,), "log.csv")
    assert good["timestamp_ms"].to_list() == [1650000000500]
