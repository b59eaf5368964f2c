"""Columns of several values: text with a delimiter and lists of Parquet are read into one form."""

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtfx.datasets.columns import joined
from mtfx.datasets.logs import joins, readers
from mtfx.datasets.logs.readers import ROW
from mtfx.datasets.logs.validation import canonicalise
from mtfx.datasets.spec import Column, SideTable
from mtfx.errors import DataError

TAGS = Column("tags", "tags", "context", dtype="string", delimiter="|")
VALUES = st.lists(
    st.lists(st.sampled_from(["", "a", "b", " b", "é", "10", "9", "a b"])), min_size=1
)


def read(values, column=TAGS):
    raw = pl.DataFrame({"tags": values, ROW: range(2, 2 + len(values))})
    return canonicalise(raw, (column,), "log")


@settings(deadline=None)
@given(VALUES, st.sampled_from(["|", ",", "; ", " "]))
def test_text_and_lists_become_the_distinct_values_in_order(cells, delimiter):
    cells = [[value for value in cell if delimiter not in value] for cell in cells]
    column = Column("tags", "tags", "context", dtype="string", delimiter=delimiter)
    expected = [joined(cell, delimiter) for cell in cells]
    text, bad_text = read([delimiter.join(cell) for cell in cells], column)
    lists, bad_lists = read(pl.Series(cells, dtype=pl.List(pl.String)), column)
    assert text["tags"].to_list() == lists["tags"].to_list() == expected
    assert bad_text.is_empty()
    assert bad_lists.is_empty()


@settings(deadline=None)
@given(st.permutations(["a", "b", "c", "b"]))
def test_neither_order_nor_repetition_counts(values):
    assert joined(values, "|") == "a|b|c"
    assert read(["|".join(values)])[0]["tags"].to_list() == ["a|b|c"]


def parquet(tmp_path, array, column=TAGS):
    path = str(tmp_path / "log.parquet")
    pq.write_table(pa.table({"tags": array}), path)
    readers.check_types(path, (column,))
    [block] = readers.read_blocks(path, wanted=("tags",))
    return canonicalise(readers.parse_block(block, ("tags",))[0], (column,), path)


@pytest.mark.parametrize(
    ("array", "values"),
    [
        (pa.array([["b", "a", None], [], None]), ["a|b", "", ""]),
        (pa.array([["b", "a"]], pa.large_list(pa.large_string())), ["a|b"]),
        (pa.array([["b", "a"]], pa.list_(pa.string(), 2)), ["a|b"]),
        (pa.array([[2, 1, 2]]), ["1|2"]),
        (pa.array([[], None], pa.list_(pa.null())), ["", ""]),
        (pa.array(["b|a", None]), ["a|b", ""]),
        (pa.array(["b|a", "b|a"]).dictionary_encode(), ["a|b", "a|b"]),
        (pa.array([7, None]), ["7", ""]),
        (pa.array([7.0, None]), ["7", ""]),
        (pa.array([b"b|a"]), ["a|b"]),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_every_type_of_several_values_is_read(tmp_path, array, values):
    good, bad = parquet(tmp_path, array)
    assert good["tags"].to_list() == values
    assert bad.is_empty()


@pytest.mark.parametrize(
    "array",
    [
        pa.array([[1.5]]),
        pa.array([[b"a"]]),
        pa.array([[True]]),
        pa.array([[["a"]]]),
        pa.array([[{"a": 1}]]),
        pa.array([{"a": 1}]),
        pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
        pa.array([True]),
        pa.array([1], pa.timestamp("us")),
    ],
    ids=lambda array: str(array.type),
)
def test_other_types_are_refused_by_file_column_and_remedy(tmp_path, array):
    with pytest.raises(DataError, match=r"log\.parquet: column 'tags' is of type .*write lists"):
        parquet(tmp_path, array)


def test_a_list_that_the_description_does_not_expect_says_how_to_describe_it(tmp_path):
    plain = Column("tags", "tags", "context", dtype="string")
    with pytest.raises(DataError, match="describe it with a delimiter and its feature as multival"):
        parquet(tmp_path, pa.array([["a"]]), plain)


def test_a_value_with_the_delimiter_in_it_is_rejected():
    good, bad = read([["a", "b|c"], ["a"]])
    assert good["tags"].to_list() == ["a"]
    assert bad["reason"].to_list() == [
        "tags: a value contains the delimiter '|'; choose another one"
    ]
    assert bad["text"].to_list() == ["a,b|c"]


def test_an_empty_cell_and_a_missing_column_take_the_default():
    column = Column("tags", "tags", "context", dtype="string", delimiter="|", default="new|all|new")
    assert read(["", None, "b"], column)[0]["tags"].to_list() == ["all|new", "all|new", "b"]
    absent = pl.DataFrame({ROW: [2]})
    assert canonicalise(absent, (column,), "log")[0]["tags"].to_list() == ["all|new"]


def test_properties_of_several_values_are_joined_in_order():
    table = SideTable(
        files=("facts_*.csv",),
        key="item",
        on="item_id",
        time="time",
        property_column="fact",
        value_column="value",
        columns=(TAGS,),
    )
    rows = pl.DataFrame(
        {
            "item_id": [1, 1],
            joins.TIME: [10, 20],
            "_property": ["tags", "tags"],
            "_value": ["b|a", "c|c"],
        }
    )
    events = pl.DataFrame({"item_id": [1, 1, 2], "timestamp_ms": [15, 25, 30]})
    found = joins.join_side_table(events, table, rows).sort("timestamp_ms")
    assert found["tags"].to_list() == ["a|b", "c", ""]
