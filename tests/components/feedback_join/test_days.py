"""Logs of days are joined one after the other as one log of all is: each request once."""

import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtfx.components.feedback_join.config import FeedbackJoinConfig
from mtfx.components.feedback_join.joining import join
from mtfx.components.feedback_join.pipeline import join_feedback
from mtfx.errors import DataError
from mtfx.serving.interaction_log import InteractionLogger, RequestContext
from tests.components.feedback_join.test_join import (
    BEGIN,
    CONFIG,
    MINUTE,
    NAMES,
    RAW,
    came,
    frames,
    ranking,
    request,
)

DAY = 86_400_000
START = BEGIN // DAY * DAY
HOURS = FeedbackJoinConfig(NAMES, wait_minutes=60.0, files=3)
_COLUMNS = ["request_id", "timestamp_ms", "feedback", "watch_s"]
#: Of a request: its name, its time, and when and which feedback came.
_EVENTS = st.tuples(
    st.sampled_from("abcdefgh"),
    st.integers(0, 10 * MINUTE),
    st.lists(
        st.tuples(st.integers(-MINUTE // 2, 2 * MINUTE), st.sampled_from((*NAMES, "watch_s"))),
        max_size=3,
    ),
)


@settings(max_examples=60)
@given(st.lists(_EVENTS, max_size=8), st.lists(st.integers(0, 12 * MINUTE), max_size=4))
def test_cut_anywhere_the_logs_are_joined_as_one(events, cuts):
    # Feedback is of the first request of its name, whenever it is repeated.
    asked: dict[str, int] = {}
    for name, at, _ in events:
        asked[name] = min(at, asked.get(name, at))
    requests = [request(name, at) for name, at, _ in events]
    feedback = [
        came(name, asked[name] + after, what) for name, _, given in events for after, what in given
    ]
    end = BEGIN + 12 * MINUTE
    whole = join(*frames(requests, feedback), CONFIG, end)
    before, found = None, []
    ends = [*(BEGIN + cut for cut in sorted(cuts)), end]
    for begin, until in zip([0, *ends], ends):  # noqa: B905 (one end more)
        part = [
            [row for row in rows if begin < row["timestamp_ms"] <= until]
            for rows in (requests, feedback)
        ]
        joined = join(*frames(*part), CONFIG, until, before)
        before = joined.waiting
        found.append(joined.requests.select(_COLUMNS))
    together = pl.concat(found).sort("request_id")
    assert together.equals(whole.requests.select(_COLUMNS).sort("request_id"))
    assert before is not None
    left = [before.requests, whole.waiting.requests]
    assert left[0].sort("request_id").equals(left[1].sort("request_id"))


def write_day(logs, day, minutes=30, prefix="r", liked_after=20, with_watch_times=False):
    """A request every so many minutes, each liked later; what comes after midnight is in the next
    day's folder, as a service writes it."""
    events = []
    for number in range((day - 2) * 1440 // minutes, day * 1440 // minutes):
        at = START + number * minutes * MINUTE
        events += [(at, "request", number), (at + liked_after * MINUTE, "like", number)]
    clock = [0]
    with InteractionLogger(Path(logs, f"day-{day}"), now_ms=lambda: clock[0]) as log:
        for at, kind, number in sorted(events):
            if not 0 <= at - START - (day - 1) * DAY < DAY or number < 0:
                continue
            clock[0] = at
            if kind == "like":
                watched = {"watch_s": 1.0 + number % 5} if with_watch_times else {}
                log.log_feedback(f"{prefix}{number}", {"like": 1.0, **watched})
            else:
                # A session of ten, some of which go on after midnight.
                context = RequestContext(
                    f"r{number}", f"s{number // 10}", "ann", number % 10, "policy"
                )
                log.log_request(context, RAW, ranking(), 0, 9.0)


@pytest.fixture
def days(tmp_path):
    for day in (1, 2, 3, 4):
        write_day(tmp_path / "logs", day)
    return tmp_path


def run(root, day, config=HOURS, **kwargs):
    output = root / "served" / f"day-{day}"
    return join_feedback(str(root / "logs" / f"day-{day}"), str(output), config, **kwargs)


def rows(root, *numbers):
    paths = [path for day in numbers for path in (root / "served").glob(f"day-{day}/*.parquet")]
    return pl.concat([pl.read_parquet(path, glob=False) for path in paths])


def contents(root, day):
    folder = root / "served" / f"day-{day}"
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_what_waits_is_joined_by_the_next_day_and_sessions_are_whole(days):
    first, second, third = (run(days, day) for day in (1, 2, 3))
    assert (first.joined, first.waiting, first.carried) == (46, 2, 0)
    assert (second.joined, second.waiting, second.carried) == (48, 2, 2)
    assert (second.earlier, second.earlier_state) == ("day-1", first.state)
    assert (third.orphaned, third.early, third.notes) == (0, 0, ())
    found = rows(days, 1, 2, 3).sort("timestamp_ms")
    assert found["request_id"].to_list() == [f"r{n}" for n in range(3 * 48 - 2)]
    assert found["feedback"].list.get(1).to_list() == [1.0] * (3 * 48 - 2)
    steps = found.group_by("session_id", maintain_order=True).agg("step")["step"].to_list()
    assert all(step == list(range(len(step))) for step in steps)
    assert [len(step) for step in steps[:-1]] == [10] * (len(steps) - 1)


def test_a_day_that_is_run_again_is_the_same(days):
    for day in (1, 2, 3):
        run(days, day)
    before = {day: contents(days, day) for day in (1, 2, 3)}
    for day in (2, 1, 3):
        assert run(days, day).notes == ()
    assert {day: contents(days, day) for day in (1, 2, 3)} == before


def test_a_missing_day_is_said_and_mended_by_running_it(days):
    run(days, 1)
    third = run(days, 3)
    [note] = third.notes
    assert "a join is missing" in note
    assert "2 requests" in note
    assert third.carried == 0
    second = run(days, 2)
    assert any("day-3 was joined without what waits here" in note for note in second.notes)
    assert run(days, 3).notes == ()
    assert rows(days, 1, 2, 3)["request_id"].n_unique() == rows(days, 1, 2, 3).height == 142
    # Where nothing was logged in between, what waited is taken by name.
    named = run(days, 4, earlier=str(days / "served" / "day-1"))
    assert (named.carried, named.earlier) == (2, "day-1")


def test_repeats_and_late_feedback_of_yesterday_are_known(days):
    clock = START + DAY + 5 * MINUTE
    with InteractionLogger(days / "logs" / "day-2", now_ms=lambda: clock) as log:
        log.log_request(RequestContext("r40", "s4", "ann", 0, "policy"), RAW, ranking(), 0, 9.0)
        log.log_feedback("r40", {"click": 1.0})
        log.log_feedback("r47", {"click": 1.0})
    run(days, 1)
    second = run(days, 2)
    assert (second.repeated, second.late, second.orphaned) == (1, 1, 0)
    found = rows(days, 1, 2)
    assert found["request_id"].n_unique() == found.height
    assert found.filter(request_id="r47")["feedback"].to_list() == [[1.0, 1.0]]


def test_joins_that_are_not_of_an_earlier_log_are_not_gone_on_from(days):
    for name in ("other-1", "other-2"):
        again = join_feedback(str(days / "logs" / "day-1"), str(days / name), HOURS)
        assert again.joined == 46
    assert "not before this one" in again.notes[0]
    with pytest.raises(DataError, match=r"--earlier-output .*not before this one"):
        run(days, 1, earlier=str(days / "other-1"))
    with pytest.raises(DataError, match=r"--earlier-output .*there is no join"):
        run(days, 1, earlier=str(days / "nowhere"))
    assert not (days / "served" / "day-1").exists()
    run(days, 1)
    assert run(days, 2, earlier="none").carried == 0
    summary = days / "served" / "day-1" / "join.json"
    values = json.loads(summary.read_text())
    summary.write_text(json.dumps({name: values[name] for name in ("requests", "joined")}))
    assert "kept nothing of what waits" in run(days, 2).notes[0]


def test_what_waits_and_is_damaged_is_named_and_nothing_written(days):
    run(days, 1)
    path = next((days / "served" / "day-1" / "waiting").glob("requests-*"))
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(DataError, match=r"requests-0000\d\.arrow is damaged"):
        run(days, 2)
    assert sorted(p.name for p in (days / "served").iterdir()) == ["day-1"]


@pytest.mark.parametrize("time_ms", [0, 1_700_000_000, BEGIN * 1000, BEGIN + 3000 * DAY])
def test_a_wrong_clock_neither_ends_the_log_nor_is_joined(days, time_ms):
    clean = run(days, 1)
    with InteractionLogger(days / "logs" / "day-1", now_ms=lambda: time_ms) as log:
        log.log_request(RequestContext("odd", "odd", "ann", 0, "policy"), RAW, ranking(), 0, 9.0)
    loose = FeedbackJoinConfig(NAMES, max_bad_share=0.05, files=3)
    found = run(days, 1, loose)
    assert (found.joined, found.waiting) == (clean.joined, clean.waiting)
    assert (found.first_ms, found.last_ms) == (clean.first_ms, clean.last_ms)
    [(reason, number)] = found.bad.items()
    assert reason.startswith("requests: timestamp_ms")
    assert number == 1
    assert "odd" in (days / "served" / "day-1" / "quarantine.csv").read_text()
    with pytest.raises(DataError, match=r"1 of 49 rows of the requests log.*--max-bad-rows"):
        run(days, 1)
