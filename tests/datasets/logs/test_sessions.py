"""Sessions and splits against a reference in pandas and against their defining properties."""

import dataclasses

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtfx.datasets.logs import readers, validation
from mtfx.datasets.logs.sessions import build_sessions, sessionise, split_boundaries, split_of
from mtfx.datasets.registry import load_dataset
from mtfx.datasets.spec import Column, DatasetSpec, Feature, SessionRule, Task
from mtfx.errors import DataError

GAP_MS = 30 * 60_000
START = 1_650_000_000_000
SPEC = DatasetSpec(
    name="mine",
    title="",
    log_files=("log.csv",),
    columns=(
        Column("user_id", "u", "user"),
        Column("item_id", "i", "item"),
        Column("timestamp_ms", "t", "timestamp"),
        Column("click", "c", "label"),
    ),
    features=(Feature("item_id", "categorical"),),
    tasks=(Task("click"),),
)
EVENTS = st.lists(
    st.tuples(
        st.integers(0, 3), st.integers(0, 5), st.integers(0, 8).map(lambda k: k * GAP_MS // 2)
    ),
    min_size=1,
    max_size=40,
)


def frame_of(events):
    rows = [(u, i, START + t, (u + i) % 2) for u, i, t in events]
    schema = ["user_id", "item_id", "timestamp_ms", "click"]
    return pl.DataFrame(rows, schema=schema, orient="row")


def sessions_by_pandas(frame: pd.DataFrame, gap_ms: int) -> list[tuple]:
    """One user after the other, one row after the other."""
    found = []
    for user, rows in frame.drop_duplicates().groupby("user_id"):
        current, last = None, None
        for row in rows.sort_values(["timestamp_ms", "item_id"]).itertuples():
            if last is None or row.timestamp_ms - last > gap_ms:
                current = []
                found.append((user, current))
            current.append((row.timestamp_ms, row.item_id))
            last = row.timestamp_ms
    return sorted((user, tuple(steps)) for user, steps in found)


def sessions_of(frame: pl.DataFrame) -> list[tuple]:
    groups = frame.group_by("session_id", maintain_order=True).agg(
        pl.col("user_id").unique(), pl.col("timestamp_ms"), pl.col("item_id")
    )
    assert groups["user_id"].list.len().max() == 1
    return sorted(
        (users[0], tuple(zip(times, items, strict=True)))
        for _, users, times, items in groups.iter_rows()
    )


@given(EVENTS)
def test_sessions_equal_the_pandas_reference(events):
    frame = frame_of(events)
    built, _ = build_sessions(frame, SPEC)
    assert sessions_of(built) == sessions_by_pandas(frame.to_pandas(), GAP_MS)


@given(EVENTS, st.randoms())
def test_the_order_of_the_rows_does_not_matter(events, random):
    shuffled = list(events)
    random.shuffle(shuffled)
    first, counts = build_sessions(frame_of(events), SPEC)
    second, other_counts = build_sessions(frame_of(shuffled), SPEC)
    assert first.equals(second)
    assert counts == other_counts


def test_a_pause_of_exactly_the_gap_stays_in_the_session():
    frame = frame_of([(1, 1, 0), (1, 2, GAP_MS), (1, 3, 2 * GAP_MS + 1)])
    built, _ = build_sessions(frame, SPEC)
    assert [len(steps) for _, steps in sessions_of(built)] == [2, 1]


def test_duplicates_are_dropped_and_counted():
    built, counts = build_sessions(frame_of([(1, 1, 0), (1, 1, 0), (1, 2, 0)]), SPEC)
    assert built.height == 2
    assert counts.duplicates == 1


def test_a_long_session_is_split_and_nothing_lost():
    spec = dataclasses.replace(SPEC, session_rule=SessionRule(max_length=1000))
    rows = [(7, i % 50, i * 1000) for i in range(100_000)]
    built, counts = build_sessions(frame_of(rows), spec)
    assert built.height == 100_000
    assert counts.split_sessions == 1
    assert built["session_id"].n_unique() == 100
    assert built.group_by("session_id").len()["len"].max() == 1000
    # All parts keep the session's start, so that they fall into one split.
    assert built["session_start_ms"].n_unique() == 1


def test_the_user_rule_takes_the_whole_history():
    spec = dataclasses.replace(SPEC, session_rule=SessionRule(kind="user"))
    built, _ = build_sessions(frame_of([(1, 1, 0), (1, 2, 100 * GAP_MS)]), spec)
    assert built["session_id"].n_unique() == 1


def test_the_explicit_rule_uses_the_column():
    frame = frame_of([(1, 1, 0), (1, 2, 100 * GAP_MS), (1, 3, 200 * GAP_MS)])
    frame = frame.with_columns(session_id=pl.Series(["a", "a", "b"]))
    assert sessionise(frame, SessionRule(kind="explicit"))["session"].to_list() == [1, 1, 2]


def test_derived_columns_use_local_time():
    spec = dataclasses.replace(SPEC, utc_offset_hours=8.0)
    when = pd.Timestamp("2022-04-11 20:30", tz="UTC")
    frame = frame_of([(1, 1, 0)]).with_columns(timestamp_ms=pl.lit(int(when.timestamp() * 1000)))
    built, _ = build_sessions(frame, spec)
    assert built["hour"].to_list() == [4]
    assert built["day_of_week"].to_list() == [1]  # Tuesday in Beijing


def test_step_buckets():
    built, _ = build_sessions(frame_of([(1, i, i) for i in range(40)]), SPEC)
    buckets = built["step_bucket"].to_list()
    assert buckets[:5] == ["1", "2-3", "2-3", "4-7", "4-7"]
    assert buckets[31:33] == ["32+", "32+"]
    assert buckets[30] == "16-31"


@given(st.lists(st.integers(0, 200), min_size=3, max_size=200), st.floats(0.1, 0.8))
def test_splits_cover_everything_in_time_order(seconds, train):
    distinct, counts = np.unique(np.asarray(seconds), return_counts=True)
    fractions = (train, (1 - train) / 2, (1 - train) / 2)
    if len(distinct) < 3:
        with pytest.raises(DataError, match="more data"):
            split_boundaries(distinct, counts, fractions)
        return
    split = split_of(distinct * 1000, split_boundaries(distinct, counts, fractions))
    assert list(split) == sorted(split)
    assert set(split) == {0, 1, 2}


def test_fractions_are_met_on_many_sessions():
    seconds = np.arange(10_000)
    bounds = split_boundaries(seconds, np.ones(10_000, np.int64), (0.6, 0.2, 0.2))
    assert bounds == (6000, 8000)


@pytest.mark.parametrize("name", ["retailrocket", "kuairand"])
def test_sessions_of_real_rows_equal_the_pandas_reference(name, shared_data):
    spec = load_dataset(name)
    [path] = readers.match_files(str(shared_data / name), spec.log_files)
    sources = tuple(c.source for c in spec.columns)
    blocks = [readers.parse_block(b, sources)[0] for b in readers.read_blocks(path)]
    events, rejects = validation.canonicalise(pl.concat(blocks), spec.columns, path)
    assert rejects.is_empty()
    plain = dataclasses.replace(SPEC, session_rule=spec.session_rule)
    keys = ["user_id", "item_id", "timestamp_ms"]
    rows = events.select(keys).unique().with_columns(click=pl.lit(0))
    built, _ = build_sessions(rows, plain)
    assert sessions_of(built) == sessions_by_pandas(rows.to_pandas(), GAP_MS)
