"""What a log does not say is counted and said by the real executor; nothing of it becomes a 0."""

import sys
import types

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv

from mtfx.components.session_example_gen.gaps import check_tables
from mtfx.components.session_schema import build_schema
from mtfx.datasets.labels import UNKNOWN
from mtfx.datasets.logs.sessions import SPLITS
from mtfx.datasets.spec import Column, DatasetSpec, Feature, SideTable, Task
from mtfx.errors import DataError

START_S, ROWS = 1_700_000_000, 300

SPEC = DatasetSpec(
    name="films",
    title="Films",
    log_files=("log_*.csv",),
    columns=(
        Column("user_id", "user", "user"),
        Column("item_id", "film", "item"),
        Column("timestamp_ms", "at", "timestamp", unit="s"),
        Column("watched", "watched", "label"),
        Column("liked", "liked", "label"),
        Column("rating", "rating", "context", dtype="float32"),
        Column("saved", "saved", "label", required=False),
        Column("price", "price", "context", dtype="float32", default=9.5),
    ),
    features=(
        Feature("user_id", "categorical", level="session"),
        Feature("item_id", "categorical"),
        Feature("price", "numeric", dtype="float32"),
        Feature("genre", "categorical", dtype="string"),
        Feature("age", "categorical", level="session"),
    ),
    tasks=(
        Task("watched"),
        Task("liked", may_be_unknown=True),
        Task("rating", kind="regression"),
        Task("saved"),
    ),
    side_tables=(
        SideTable(
            files=("films.csv",),
            key="id",
            on="item_id",
            columns=(Column("genre", "genre", "context", dtype="string"),),
        ),
        SideTable(
            files=("users.csv",),
            key="id",
            on="user_id",
            columns=(Column("age", "age", "context"),),
        ),
    ),
)


@pytest.fixture
def films(tmp_path, monkeypatch):
    """The directory of a log with gaps; its data set is ``films_with_gaps:SPEC``."""
    module = types.ModuleType("films_with_gaps")
    module.SPEC = SPEC
    monkeypatch.setitem(sys.modules, module.__name__, module)
    directory = tmp_path / "films"
    directory.mkdir()
    lines = ["user,film,at,watched,liked,rating,price"]
    for row in range(ROWS):
        liked, rating = ("1" if row % 6 == 0 else "0", "4.5") if row % 3 == 0 else ("", "")
        price = "" if row % 10 == 0 else "3"
        lines.append(
            f"{row % 20},{row % 7},{START_S + 7200 * row},{row % 2},{liked},{rating},{price}"
        )
    (directory / "log_1.csv").write_text("\n".join(lines) + "\n")
    (directory / "films.csv").write_text("id,genre\n" + "".join(f"{i},g{i}\n" for i in range(5)))
    (directory / "users.csv").write_text("id,age\n" + "".join(f"{i},{i}\n" for i in range(20)))
    return directory


def columns(generated):
    """All impressions' values by column."""
    found = {}
    for split in SPLITS:
        for session in generated.sessions(split):
            for name, values in session.items():
                found.setdefault(name, []).extend(values)
    return {name: np.array(values) for name, values in found.items()}


def test_unknown_labels_are_minus_one_and_counted_by_split(generate, films):
    generated = generate(films, "films_with_gaps:SPEC")
    found, summary = columns(generated), generated.summary
    assert (found["rating"] == UNKNOWN).sum() == (found["liked"] == UNKNOWN).sum() == 200
    assert set(found["rating"]) == {UNKNOWN, 4.5}
    assert set(found["watched"]) == {0, 1}
    assert set(found["saved"]) == {UNKNOWN}
    for task, unknown in (("rating", 200), ("liked", 200), ("saved", ROWS)):
        assert sum(summary.unknown_labels[task].values()) == unknown
    assert "watched" not in summary.unknown_labels
    said = "\n".join(summary.notes)
    assert "the label of rating is unknown (empty) in 200 of 300 (66.7%) impressions" in said
    assert "log_1.csv lacks the labels saved, which are unknown in all of its rows" in said


def test_daily_sums_are_of_known_labels(generate, films):
    summary = generate(films, "films_with_gaps:SPEC").summary
    known = sum(day["known"]["rating"] for day in summary.daily)
    assert known == 100
    assert sum(day["rating"] for day in summary.daily) == pytest.approx(4.5 * known)
    assert sum(day["liked"] for day in summary.daily) == 50
    assert sum(day["known"]["watched"] for day in summary.daily) == ROWS


def test_filled_cells_and_rows_without_a_side_tables_are_counted(generate, films):
    summary = generate(films, "films_with_gaps:SPEC").summary
    assert summary.filled == {"price": {"empty": 30, "cells": ROWS}}
    said = "\n".join(summary.notes)
    assert "price (30 of 300 (10.0%) cells, as 9.5)" in said
    # Films 5 and 6 are not in the table.
    without = sum(row % 7 > 4 for row in range(ROWS))
    assert f"films.csv has nothing for {without} of 300" in said
    assert "users.csv" not in said
    assert summary.joined["users"]["met"] == ROWS


@pytest.mark.parametrize("shards", [1, 5])
def test_a_side_table_that_meets_no_row_is_refused(generate, films, shards):
    (films / "users.csv").write_text("id,age\n" + "".join(f"{900 + i},{i}\n" for i in range(9)))
    with pytest.raises(
        DataError,
        match=r"users\.csv: the side table meets 0 of the log's 300 rows\. Its keys are such as "
        r"'90\d'.*the log's such as '\d+'.*or take the file away",
    ):
        generate(films, "films_with_gaps:SPEC", shards=shards)


def test_a_side_table_without_rows_is_refused(generate, films):
    (films / "films.csv").write_text("id,genre\n")
    with pytest.raises(DataError, match=r"films\.csv: .*Its keys are such as none at all"):
        generate(films, "films_with_gaps:SPEC")


def test_a_side_table_that_is_not_there_is_a_note(generate, films):
    (films / "films.csv").unlink()
    notes = generate(films, "films_with_gaps:SPEC").summary.notes
    assert [note for note in notes if "films.csv not found" in note]


def test_a_table_that_nothing_asks_is_no_mistake():
    check_tables(
        {"tree": {"rows": 0, "met": 0, "log_keys": [], "table_keys": ["1"]}}, {"tree": ["t"]}
    )


def test_the_schema_takes_unknown_labels_only_where_they_may_be(generate, films):
    generated = generate(films, "films_with_gaps:SPEC")
    schema = build_schema(SPEC)
    files = tf.io.gfile.glob(f"{generated.uri}/Split-train/*")
    options = tfdv.StatsOptions(schema=schema)
    statistics = tfdv.generate_statistics_from_tfrecord(files[0], stats_options=options)
    assert not tfdv.validate_statistics(statistics, schema).anomaly_info
    domains = {feature.name: feature for feature in schema.feature}
    assert domains["watched"].int_domain.min == 0
    assert domains["liked"].int_domain.min == UNKNOWN
    domains["rating"].float_domain.min = 0.0
    assert "rating" in tfdv.validate_statistics(statistics, schema).anomaly_info


def test_a_row_without_a_label_that_must_be_known_is_quarantined(generate, films):
    text = (films / "log_1.csv").read_text().replace(f",{START_S},0,", f",{START_S},,", 1)
    (films / "log_1.csv").write_text(text)
    summary = generate(films, "films_with_gaps:SPEC").summary
    assert summary.quarantined == {"watched: missing": 1}
    # Its empty price is in no example, so it is not counted.
    assert summary.filled == {"price": {"empty": 29, "cells": ROWS - 1}}
