"""A Parquet column is read by what its type says, or refused by file, column and remedy."""

import datetime
import decimal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtfx.datasets.logs import readers
from mtfx.datasets.logs.arrow_types import arrow_in_ms
from mtfx.datasets.logs.validation import canonicalise
from mtfx.datasets.spec import Column
from mtfx.errors import DataError

MS = 1_700_000_000_123
PER_MS = {"ms": 1, "us": 1_000, "ns": 1_000_000}
TIME = Column("timestamp_ms", "at", "timestamp")
USER = Column("user_id", "at", "user")
NAME = Column("user_id", "at", "user", dtype="string")
LABEL = Column("click", "at", "label")
WATCH = Column("watch_time_ms", "at", "watch_time", dtype="float32")
TEXT = Column("tag", "at", "context", dtype="string")
WHOLE = Column("tab", "at", "context")
NUMBER = Column("price", "at", "context", dtype="float32")
DECIMALS = [decimal.Decimal("5.00"), decimal.Decimal("7.50")]


def read(tmp_path, array, column):
    path = str(tmp_path / "log.parquet")
    pq.write_table(pa.table({"at": array}), path, version="2.6")
    readers.check_types(path, (column,))
    good, bad = [], []
    for block in readers.read_blocks(path, wanted=("at",)):
        raw, invalid = readers.parse_block(block, ("at",))
        values, rejects = canonicalise(raw, (column,), path)
        good += values[column.name].to_list()
        bad += [*invalid["reason"].to_list(), *rejects["reason"].to_list()]
    return good, bad


@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Shanghai", "+05:30"])
@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("described", ["s", "ms", "us", "ns"])
def test_a_timestamp_says_its_own_unit(tmp_path, unit, zone, described):
    array = pa.array([MS * PER_MS[unit]], pa.timestamp(unit, zone))
    column = Column("timestamp_ms", "at", "timestamp", unit=described)
    assert read(tmp_path, array, column) == ([MS], [])


def test_timestamps_in_seconds_are_read_too(tmp_path):
    # Parquet has no seconds: Arrow writes them as milliseconds.
    assert read(tmp_path, pa.array([MS // 1000], pa.timestamp("s")), TIME)[0] == [MS // 1000 * 1000]
    assert arrow_in_ms(pa.array([MS // 1000], pa.timestamp("s"))).to_pylist() == [MS // 1000 * 1000]


def test_a_timestamp_that_is_off_is_rejected_by_its_type(tmp_path):
    good, bad = read(tmp_path, pa.array([5, None], pa.timestamp("us")), TIME)
    assert good == []
    assert bad == ["at: time before 2000 (its type is timestamp[us])", "at: missing"]


@pytest.mark.parametrize("unit", ["us", "ns"])
@settings(max_examples=50)
@given(micros=st.integers(946_684_800_000_000, 4_102_444_799_000_000))
def test_a_timestamp_and_a_number_of_its_unit_are_one_time(unit, micros):
    stored = micros * PER_MS[unit] // 1000
    column = Column("timestamp_ms", "at", "timestamp", unit=unit)
    typed = pl.DataFrame({"at": pl.Series([stored]).cast(pl.Datetime(unit)), "_row": [2]})
    plain = pl.DataFrame({"at": [stored], "_row": [2]})
    times = [canonicalise(raw, (column,), "log")[0]["timestamp_ms"][0] for raw in (typed, plain)]
    assert times[0] == times[1] == (micros + 500) // 1000


def test_nanoseconds_are_a_unit_of_text_too():
    raw = pl.DataFrame({"at": [f"{MS}000000"], "_row": [2]})
    column = Column("timestamp_ms", "at", "timestamp", unit="ns")
    assert canonicalise(raw, (column,), "log.csv")[0]["timestamp_ms"].to_list() == [MS]


@pytest.mark.parametrize(
    ("column", "array", "values"),
    [
        (USER, pa.array([1, 2], pa.int8()), [1, 2]),
        (USER, pa.array([1.0, 2.0]), [1, 2]),
        (USER, pa.array(DECIMALS[:1], pa.decimal128(10, 2)), [5]),
        (USER, pa.array([2**53 + 1], pa.uint64()), [2**53 + 1]),
        (USER, pa.array([decimal.Decimal(2**60 + 1)], pa.decimal128(20, 0)), [2**60 + 1]),
        (USER, pa.array([b"7"]), [7]),
        (USER, pa.array([7, 7]).dictionary_encode(), [7, 7]),
        (NAME, pa.array([1, 2]), ["1", "2"]),
        (NAME, pa.array([1.0, 2.0]), ["1", "2"]),
        (NAME, pa.array(DECIMALS[:1], pa.decimal128(10, 2)), ["5"]),
        (NAME, pa.array(["a"], pa.large_string()), ["a"]),
        (NAME, pa.array([b"a"], pa.large_binary()), ["a"]),
        (NAME, pa.array(["a", "a"]).dictionary_encode(), ["a", "a"]),
        (LABEL, pa.array([True, False]), [1, 0]),
        (LABEL, pa.array([1.0, 0.0]), [1, 0]),
        (LABEL, pa.array([1, 0], pa.int8()), [1, 0]),
        (LABEL, pa.array([decimal.Decimal(1)], pa.decimal128(3, 0)), [1]),
        (WATCH, pa.array([1500], pa.duration("ms")), [1500.0]),
        (WATCH, pa.array([1_500_000], pa.duration("us")), [1500.0]),
        (WATCH, pa.array(DECIMALS, pa.decimal128(10, 2)), [5.0, 7.5]),
        (TEXT, pa.array([True, None]), ["true", ""]),
        (TEXT, pa.array([MS * 1000], pa.timestamp("us")), ["2023-11-14 22:13:20.123"]),
        (TEXT, pa.array([MS], pa.timestamp("ms", "Asia/Shanghai")), ["2023-11-14 22:13:20.123"]),
        (TEXT, pa.array([datetime.date(2023, 11, 14)]), ["2023-11-14"]),
        (TEXT, pa.array([datetime.date(2023, 11, 14)], pa.date64()), ["2023-11-14"]),
        (TEXT, pa.array(DECIMALS, pa.decimal128(10, 2)), ["5", "7.5"]),
        (TEXT, pa.array([None, None]), ["", ""]),
        (WHOLE, pa.array([3, None]), [3, 0]),
        (WHOLE, pa.array([True, None]), [1, 0]),
        (WHOLE, pa.array([3.0, None]), [3, 0]),
        (WHOLE, pa.array([MS * 1000], pa.timestamp("us")), [MS]),
        (WHOLE, pa.array([2_000_000], pa.duration("us")), [2000]),
        (WHOLE, pa.array([None, None]), [0, 0]),
        (NUMBER, pa.array([1.5, None], pa.float32()), [1.5, 0.0]),
        (NUMBER, pa.array(DECIMALS, pa.decimal128(10, 2)), [5.0, 7.5]),
        (NUMBER, pa.array(["1.5"]), [1.5]),
    ],
    ids=lambda value: str(getattr(value, "type", getattr(value, "name", ""))),
)
def test_a_value_is_read_by_its_meaning(tmp_path, column, array, values):
    assert read(tmp_path, array, column) == (values, [])


@pytest.mark.parametrize(
    ("column", "array", "reason"),
    [
        (USER, pa.array([1.5]), "not an integer"),
        (USER, pa.array([float("nan")]), "not an integer"),
        (USER, pa.array([2.0**60]), "beyond 2**53"),
        (USER, pa.array(DECIMALS[1:], pa.decimal128(10, 2)), "not an integer"),
        (USER, pa.array([2**64 - 1], pa.uint64()), "not an integer"),
        (NAME, pa.array([1.5]), "not an integer"),
        (NAME, pa.array([b"\xff"]), "not UTF-8 at byte 0"),
        (WHOLE, pa.array([1.5]), "not an integer"),
        (LABEL, pa.array([None, None]), "missing"),
        (LABEL, pa.array([True, None])[1:], "missing"),
        (LABEL, pa.array(DECIMALS[1:], pa.decimal128(10, 2)), "not 0 or 1"),
        (WATCH, pa.array([-1], pa.duration("ms")), "negative"),
        (TIME, pa.array([None, None]), "missing"),
    ],
    ids=lambda value: str(getattr(value, "type", getattr(value, "name", ""))),
)
def test_a_value_without_meaning_is_rejected_and_never_altered(tmp_path, column, array, reason):
    good, bad = read(tmp_path, array, column)
    assert good == []
    assert len(bad) == len(array)
    assert all(one.startswith("at: ") and reason in one for one in bad)


DAY = pa.array([datetime.date(2023, 11, 14)])
CLOCK = pa.array([1], pa.time32("ms"))
LIST = pa.array([["a", "b"]])
STRUCT = pa.array([{"a": 1}])
MAP = pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64()))
FIXED = pa.array([b"ab"], pa.binary(2))
WIDE = pa.array([decimal.Decimal(1)], pa.decimal256(60, 0))


@pytest.mark.parametrize(
    ("column", "array"),
    [
        *((column, DAY) for column in (TIME, USER, LABEL, WATCH, WHOLE, NUMBER)),
        *((column, pa.array([True])) for column in (TIME, USER, NAME, WATCH)),
        *((column, pa.array([1], pa.timestamp("us"))) for column in (USER, NAME, LABEL, WATCH)),
        *((column, pa.array([1], pa.duration("us"))) for column in (TIME, USER, LABEL, TEXT)),
        *(
            (column, array)
            for column in (TIME, USER, NAME, LABEL, WATCH, TEXT, WHOLE, NUMBER)
            for array in (CLOCK, LIST, STRUCT, MAP, FIXED, WIDE)
        ),
    ],
    ids=lambda value: str(getattr(value, "type", getattr(value, "name", ""))),
)
def test_a_type_without_meaning_is_refused_by_file_column_and_remedy(tmp_path, column, array):
    with pytest.raises(DataError) as found:
        read(tmp_path, array, column)
    message = str(found.value)
    shown = str(array.type).split("<")[0]
    assert message.startswith(f"{tmp_path}/log.parquet: column 'at' is of type {shown}")
    assert "write" in message
    assert "\n" not in message


def test_a_long_type_is_not_printed_whole(tmp_path):
    array = pa.array([{f"field_{i}": i for i in range(50)}])
    with pytest.raises(DataError, match=r"of type struct<.{40,60}\.\.\. where") as found:
        read(tmp_path, array, TEXT)
    assert len(str(found.value)) < 200 + len(str(tmp_path))


def test_columns_that_nobody_asks_for_may_be_of_any_type(tmp_path):
    path = str(tmp_path / "log.parquet")
    pq.write_table(pa.table({"at": [1], "clock": CLOCK, "wide": WIDE, "rest": STRUCT}), path)
    readers.check_types(path, (USER,))
    [block] = readers.read_blocks(path, wanted=("at",))
    assert readers.parse_block(block, ("at",))[0]["at"].to_list() == [1]


def test_a_column_that_is_there_twice_is_refused(tmp_path):
    path = str(tmp_path / "log.parquet")
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["at", "at"]), path)
    with pytest.raises(DataError, match=r"log.parquet: 2 columns are named 'at'"):
        readers.check_types(path, (USER,))


def test_rejected_rows_of_every_type_are_shown_as_text(tmp_path):
    columns = {
        "at": pa.array([1.5]),
        "when": pa.array([MS * 1000], pa.timestamp("us")),
        "watched": pa.array([1500], pa.duration("ms")),
    }
    described = (
        USER,
        Column("seen", "when", "context", dtype="string"),
        Column("watch_time_ms", "watched", "watch_time", dtype="float32"),
    )
    path = str(tmp_path / "log.parquet")
    pq.write_table(pa.table(columns), path)
    [block] = readers.read_blocks(path, wanted=tuple(columns))
    raw, _ = readers.parse_block(block, tuple(columns))
    _, rejects = canonicalise(raw, described, path)
    assert rejects["text"].to_list() == ["1.5,2023-11-14 22:13:20.123,1500"]
    assert rejects["row"].to_list() == [2]
