"""Every function beside a plain second implementation, and the two questions of leakage."""

import dataclasses
from collections import defaultdict

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from mtfx.datasets import history
from mtfx.datasets.history import History
from mtfx.datasets.logs.history import (
    Timelines,
    daily_totals,
    summed,
    up_to_the_day_before,
    watch_share,
    with_feedback_time,
)
from mtfx.datasets.spec import Column, DatasetSpec, Feature, Task
from mtfx.errors import DataError

DAY = 86_400_000
START = 18_000 * DAY
SPEC = DatasetSpec(
    name="mine",
    title="",
    log_files=("log.csv",),
    columns=(
        Column("user_id", "u", "user"),
        Column("item_id", "i", "item"),
        Column("timestamp_ms", "t", "timestamp"),
        Column("tag", "tag", "context", dtype="string"),
        Column("click", "click", "label"),
        Column("like", "like", "label", required=False),
        Column("watch_ms", "w", "watch_time", dtype="float32", required=False),
        Column("duration_ms", "d", "context"),
    ),
    features=(
        Feature("user_id", "categorical", level="session"),
        Feature("item_id", "categorical"),
        Feature("tag", "categorical", dtype="string"),
    ),
    tasks=(Task("click"), Task("like")),
    utc_offset_hours=8.0,
    history=History(),
)
EVENTS = dataclasses.replace(SPEC, to_impressions=lambda events: events)

#: Few users, items and times, so that all of them meet.
ROWS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.integers(0, 4),
        st.integers(0, 5 * 8).map(lambda hours: START + hours * (DAY // 8)),
        st.sampled_from([0, 1]),
        st.sampled_from([0, 1, None]),
        st.integers(0, 3 * DAY),
    ),
    min_size=1,
    max_size=40,
)


def frame_of(rows):
    """Impressions; the tag follows from the item."""
    frame = pl.DataFrame(
        rows,
        schema={
            "user_id": pl.Int64,
            "item_id": pl.Int64,
            "timestamp_ms": pl.Int64,
            "click": pl.Int64,
            "like": pl.Int64,
            "delay": pl.Int64,
        },
        orient="row",
    )
    return frame.with_columns(
        tag=pl.format("t{}", pl.col("item_id") // 2),
        feedback_ms=pl.col("timestamp_ms") + pl.col("delay"),
    )


def plain_earlier(rows, user, start, length):
    own = [i for i, row in enumerate(rows) if row[0] == user and row[2] < start]
    return sorted(own, key=lambda i: (rows[i][2], rows[i][1], i))[-length:]


@given(ROWS, st.integers(1, 6), st.randoms())
def test_earlier_impressions_are_the_users_last_ones_before_the_session(rows, length, random):
    frame = frame_of(rows)
    asked = [(row[0], row[2] + random.choice([0, 1, -1, DAY])) for row in rows]
    users = pl.Series([user for user, _ in asked])
    starts = pl.Series([start for _, start in asked])
    found = Timelines(frame).before(users, starts, length)
    for i, (user, start) in enumerate(asked):
        own = found.rows[found.offsets[i] : found.offsets[i + 1]]
        assert list(own) == plain_earlier(rows, user, start, length)


def test_ids_that_are_text_are_found_likewise():
    rows = [(u, 1, START + t, 0, 0, 0) for t in range(5) for u in (10, 9, 1)]
    frame = frame_of(rows).with_columns(pl.col("user_id").cast(pl.String))
    users = pl.Series(["9", "10"])
    found = Timelines(frame).before(users, pl.Series([START + 2, START + 9]), 3)
    assert frame["user_id"].gather(found.rows).to_list() == ["9", "9", "10", "10", "10"]
    assert (frame["timestamp_ms"].gather(found.rows) - START).to_list() == [0, 1, 2, 3, 4]


def test_two_impressions_at_the_same_ms_do_not_see_each_other():
    rows = [(1, 7, START, 1, 1, 0), (1, 8, START, 1, 1, 0), (1, 9, START + 1, 0, 0, 0)]
    users, starts = pl.Series([1, 1, 1]), pl.Series([START, START, START + 1])
    found = Timelines(frame_of(rows)).before(users, starts, 50)
    assert found.offsets.tolist() == [0, 0, 0, 2]
    assert found.rows.tolist() == [0, 1]


@pytest.mark.timeout(60)
def test_a_user_with_many_impressions_takes_no_more_than_any_others():
    rows = 100_000
    frame = pl.DataFrame(
        {
            "user_id": np.ones(rows, np.int64),
            "item_id": np.arange(rows),
            "timestamp_ms": START + np.arange(rows)[::-1],
        }
    )
    users, starts = frame["user_id"], frame["timestamp_ms"]
    found = Timelines(frame).before(users, starts, 50)
    assert len(found.rows) == 50 * rows - 50 * 51 // 2
    last = found.rows[found.offsets[0] : found.offsets[1]]
    assert frame["timestamp_ms"].gather(last).to_list() == [
        START + rows - 1 - n for n in range(50, 0, -1)
    ]


def plain_totals(rows, key, spec):
    """The four counts of each value and day."""
    later = history.has_feedback_time(spec)
    totals = defaultdict(lambda: [0, 0, 0, 0])
    for user, item, time, click, like, delay in rows:
        value = {"user_id": user, "item_id": item, "tag": f"t{item // 2}"}[key]
        local = time + 8 * DAY // 24
        totals[value, local // DAY][0] += 1
        labels = totals[value, (local + (delay if later else 0)) // DAY]
        labels[1] += click
        labels[2] += like or 0
        labels[3] += like is not None
    return {key: tuple(counts) for key, counts in totals.items()}


@given(ROWS, st.sampled_from(["user_id", "item_id", "tag"]), st.sampled_from([SPEC, EVENTS]))
def test_totals_and_their_sums_up_to_the_day_before(rows, key, spec):
    totals = daily_totals(frame_of(rows), spec, key)
    assert totals.columns[2:] == list(history.statistics_of(spec, key).values())
    assert sorted(totals.rows()) == sorted(
        (*where, *counts) for where, counts in plain_totals(rows, key, spec).items()
    )
    asked = pl.DataFrame(
        [(value, day) for value in [*totals["value"].unique(), *_unseen(totals)] for day in DAYS],
        schema={"value": totals.schema["value"], "day": pl.Int64},
        orient="row",
    )
    found = up_to_the_day_before(totals, asked)
    plain = plain_totals(rows, key, spec)
    for value, day, *counts in found.iter_rows():
        before = [own for (v, d), own in plain.items() if v == value and d < day]
        assert counts == [sum(own[i] for own in before) for i in range(4)]


DAYS = range(17_999, 18_012, 2)


def _unseen(totals):
    return ["zz", "", "t0t"] if totals.schema["value"] == pl.String else [-1, 99]


@given(ROWS, st.integers(1, 4))
def test_totals_of_parts_sum_to_those_of_the_whole(rows, parts):
    frame = frame_of(rows)
    cut = [daily_totals(frame[i::parts], SPEC, "tag") for i in range(parts) if i < len(rows)]
    whole = daily_totals(frame, SPEC, "tag")
    assert_frame_equal(summed(pl.concat(cut)), whole, check_row_order=False)


def test_nothing_counted_is_0():
    totals = daily_totals(frame_of([(0, 0, START, 1, 1, 0)]).clear(), SPEC, "tag")
    asked = pl.DataFrame({"value": ["a"], "day": [18_000]})
    assert up_to_the_day_before(totals, asked).row(0) == ("a", 18_000, 0, 0, 0, 0)


def test_watch_share_is_clipped_and_unknown_where_either_side_is():
    frame = pl.DataFrame(
        {
            "watch_ms": pl.Series([5.0, 100.0, None, 3.0, -1.0, 0.0], dtype=pl.Float32),
            "duration_ms": [10, 10, 10, 0, 10, 10],
        }
    )
    found = watch_share(frame, SPEC)
    assert found.dtype == pl.Float32
    assert found.to_list() == [0.5, 3.0, -1.0, -1.0, -1.0, 0.0]


def test_feedback_has_a_time_of_its_own_or_its_impressions():
    frame = frame_of([(0, 0, START, 1, 1, 5)])
    assert with_feedback_time(frame, EVENTS)["feedback_ms"].to_list() == [START + 5]
    bare = with_feedback_time(frame.drop("feedback_ms"), EVENTS)
    assert bare["feedback_ms"].to_list() == [START]
    none = dataclasses.replace(EVENTS, history=None)
    assert "feedback_ms" not in with_feedback_time(frame, none).columns


@pytest.mark.parametrize("time", [START - 1, None])
def test_feedback_before_its_impression_is_refused(time):
    frame = frame_of([(0, 0, START, 1, 1, 5)] * 2)
    frame = frame.with_columns(feedback_ms=pl.Series([START, time]))
    with pytest.raises(DataError, match="gave 1 of 2 impressions a 'feedback_ms' that is no time"):
        with_feedback_time(frame, EVENTS)
