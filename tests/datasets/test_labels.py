"""An empty cell of a label: a bad row, an unknown label or a declared value, never a silent 0."""

import dataclasses

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtfx.datasets.labels import UNKNOWN, is_known
from mtfx.datasets.logs.readers import ROW
from mtfx.datasets.logs.sessions import build_sessions
from mtfx.datasets.logs.validation import canonicalise, count_filled
from mtfx.datasets.registry import DATASETS, load_dataset
from mtfx.datasets.spec import Column, DatasetSpec, Feature, Task
from mtfx.errors import DataError

KEYS = (
    Column("user_id", "u", "user"),
    Column("item_id", "i", "item"),
    Column("timestamp_ms", "t", "timestamp"),
)


def make(*columns, tasks, **changes):
    return DatasetSpec(
        name="mine",
        title="",
        log_files=("log.csv",),
        columns=(*KEYS, *columns),
        features=(Feature("item_id", "categorical"),),
        tasks=tasks,
        **changes,
    )


def read(spec, **cells):
    """Canonical values and rejects of rows with these cells, text as in a CSV file."""
    size = len(next(iter(cells.values())))
    raw = pl.DataFrame({"u": ["1"] * size, "i": ["2"] * size, "t": ["1650000000000"] * size})
    raw = raw.with_columns(**{n: pl.Series(v, dtype=pl.String) for n, v in cells.items()})
    raw = raw.with_columns(pl.Series(ROW, np.arange(size)))
    return canonicalise(raw, spec.columns, "log.csv", unknown=spec.unknown_labels)


REGRESSION = make(
    Column("rating", "r", "context", dtype="float32"), tasks=(Task("rating", kind="regression"),)
)


def test_an_empty_rating_is_no_zero():
    good, rejects = read(REGRESSION, r=["4", "", None, "0"])
    assert good["rating"].to_list() == [4.0, None, None, 0.0]
    assert rejects.is_empty()


@pytest.mark.parametrize("cell", ["-1", "-0.5"])
def test_a_negative_rating_is_refused_and_not_taken_for_an_unknown_one(cell):
    good, rejects = read(REGRESSION, r=[cell, "3"])
    assert good["rating"].to_list() == [3.0]
    assert rejects["reason"].to_list() == ["r: negative"]


RULES = {
    "binary, nothing said": (Column("x", "x", "label"), Task("x"), "bad"),
    "binary, may be unknown": (Column("x", "x", "label"), Task("x", may_be_unknown=True), None),
    "binary, of a context column": (Column("x", "x", "context"), Task("x"), "bad"),
    "binary, declared": (Column("x", "x", "label", default=0), Task("x"), 0),
    "binary, optional": (Column("x", "x", "label", required=False), Task("x"), None),
    "binary, optional and declared": (
        Column("x", "x", "label", required=False, default=1),
        Task("x"),
        1,
    ),
    "watch time": (Column("x", "x", "watch_time"), Task("x", kind="regression"), "bad"),
    "watch time, may be unknown": (
        Column("x", "x", "watch_time"),
        Task("x", kind="regression", may_be_unknown=True),
        None,
    ),
    "watch time of no task": (Column("x", "x", "watch_time"), Task("y"), "bad"),
    "regression, declared": (Column("x", "x", "value", default=2), Task("x", kind="regression"), 2),
    "regression": (Column("x", "x", "value"), Task("x", kind="regression"), None),
}


@pytest.mark.parametrize("rule", RULES)
def test_what_an_empty_cell_is(rule):
    column, task, wanted = RULES[rule]
    extra = () if task.name == "x" else (Column("y", "y", "label"),)
    spec = make(column, *extra, tasks=(task,))
    cells = {"x": ["1", ""], **({"y": ["1", "1"]} if extra else {})}
    good, rejects = read(spec, **cells)
    if wanted == "bad":
        assert good["x"].to_list() == [1]
        assert rejects["reason"].to_list() == ["x: missing"]
        assert "x" not in spec.unknown_labels
    else:
        assert good["x"].to_list() == [1, wanted]
        assert rejects.is_empty()
        assert ("x" in spec.unknown_labels) == (wanted is None)
    # What is settled once stays so: configurations replace parts of a description.
    assert dataclasses.replace(spec, title="again").tasks == spec.tasks


@pytest.mark.parametrize("rule", ["binary, optional", "binary, optional and declared"])
def test_a_column_that_a_file_lacks_is_as_an_empty_cell(rule):
    column, task, wanted = RULES[rule]
    raw = pl.DataFrame({"u": ["1"], "i": ["2"], "t": ["1650000000000"], ROW: [2]})
    spec = make(column, tasks=(task,))
    good, _ = canonicalise(raw, spec.columns, "log.csv", unknown=spec.unknown_labels)
    assert good["x"].to_list() == [wanted]


def test_contradictions_are_refused():
    with pytest.raises(ValueError, match=r"'x' cannot be both unknown .* and 0"):
        make(Column("x", "x", "label", default=0), tasks=(Task("x", may_be_unknown=True),))
    with pytest.raises(ValueError, match="task 'x' predicts a number, but its column is text"):
        make(Column("x", "x", "context", dtype="string"), tasks=(Task("x", kind="regression"),))


@pytest.mark.parametrize("name", DATASETS)
def test_the_public_data_sets_know_all_their_labels(name):
    assert not load_dataset(name).unknown_labels


@given(
    st.lists(st.sampled_from(["", None, "0", "1", "7", "-2", "x"]), min_size=1, max_size=30),
    st.sampled_from([None, 5]),
)
@settings(max_examples=60)
def test_every_empty_cell_of_a_good_row_is_counted(cells, default):
    column = Column("price", "p", "context", dtype="float32", default=default)
    raw = pl.DataFrame({"p": pl.Series(cells, dtype=pl.String), ROW: range(len(cells))})
    good, rejects = canonicalise(raw, (column,), "log.csv")
    kept = raw.filter(~pl.col(ROW).is_in(rejects["row"].implode()))
    empty = sum(cell in ("", None) for cell in cells)
    assert count_filled(kept, (column,)) == {"price": empty}
    fill = 0.0 if default is None else default
    wanted = [fill if not cell else float(cell) for cell in cells if cell != "x"]
    assert good["price"].to_list() == wanted
    assert count_filled(kept, (column,), unknown={"price"}) == {}


def test_text_that_stays_empty_is_not_filled():
    columns = (
        Column("tag", "tag", "context", dtype="string"),
        Column("tab", "tab", "context", dtype="string", default="none"),
    )
    raw = pl.DataFrame({"tag": ["", "a"], "tab": ["", ""], ROW: [2, 3]})
    assert count_filled(raw, columns) == {"tab": 2}


def test_only_unknown_is_unknown():
    np.testing.assert_array_equal(is_known(np.array([0, 1, UNKNOWN, 3])), [1, 1, 0, 1])
    assert is_known(np.array([np.nan, -2.0])).all()


def events(**labels):
    def to_impressions(frame):
        size = frame.height
        return frame.with_columns(
            **{name: pl.Series([value] * size, dtype=pl.Float64) for name, value in labels.items()}
        )

    frame = pl.DataFrame({"user_id": [1], "item_id": [2], "timestamp_ms": [1_650_000_000_000]})
    return to_impressions, frame


@pytest.mark.parametrize(
    ("click", "rating", "words"),
    [
        (None, 3.0, "1 of 1 impressions a label of 'click' that is not 0 or 1 .*may_be_unknown"),
        (2.0, 3.0, "'click' that is not 0 or 1"),
        (1.0, -1.0, "'rating' that is not a finite number, not negative"),
        (1.0, float("nan"), "'rating'"),
    ],
)
def test_labels_that_events_give_are_checked(click, rating, words):
    to_impressions, frame = events(click=click, rating=rating)
    tasks = (Task("click"), Task("rating", kind="regression"))
    with pytest.raises(DataError, match=words):
        build_sessions(frame, make(tasks=tasks, to_impressions=to_impressions))


def test_events_may_leave_a_label_unknown():
    to_impressions, frame = events(click=None, rating=None)
    tasks = (Task("click", may_be_unknown=True), Task("rating", kind="regression"))
    found, _ = build_sessions(frame, make(tasks=tasks, to_impressions=to_impressions))
    assert found.select("click", "rating").row(0) == (None, None)
