"""Two logs meet by request id: against a plain loop, and by Beam into what InteractionGen reads."""

import dataclasses
import json

import numpy as np
import polars as pl
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtfx.components.feedback_join.config import FeedbackJoinConfig
from mtfx.components.feedback_join.joining import join
from mtfx.components.feedback_join.log_files import SCHEMAS
from mtfx.components.feedback_join.pipeline import join_feedback
from mtfx.datasets.transitions.reader import read_blocks
from mtfx.datasets.transitions.spec import TransitionSpec
from mtfx.errors import DataError
from mtfx.serving.interaction_log import (
    InteractionLogger,
    RequestContext,
)
from mtfx.serving.messages import Ranking
from tests.beam_runners import RUNNERS, beam_args
from tests.request_examples import example

NAMES = ("click", "like")
CONFIG = FeedbackJoinConfig(NAMES, wait_minutes=1.0, files=3)
MINUTE = 60_000
RAW = example(item=["a", "b"])
#: Times of the small logs count from here.
BEGIN = 1_700_000_000_000


def request(name, at=0, step=0):
    return {
        "request_id": name,
        "session_id": f"session of {name}",
        "user_id": "ann",
        "step": step,
        "timestamp_ms": BEGIN + at,
        "state": [0.1, 0.2],
        "predictions": [0.5, 0.25],
        "candidate_count": 1,
        "chosen": 0,
        "action": [0.0, 0.0],
        "log_density": None,
        "behaviour_policy": "policy",
        "policy_version": 3,
        "duration_s": 9.0,
    }


def came(name, at, what, value=1.0):
    return {"request_id": name, "timestamp_ms": BEGIN + at, "name": what, "value": value}


def frames(requests, feedback):
    tables = (
        pyarrow.Table.from_pylist(rows, schema=schema)
        for rows, schema in ((requests, SCHEMAS["requests"]), (feedback, SCHEMAS["feedback"]))
    )
    return [pl.DataFrame(pl.from_arrow(table)) for table in tables]


def test_feedback_meets_its_request():
    requests = [request("a"), request("b", 10), request("c", 5 * MINUTE), request("a", 3)]
    feedback = [
        came("a", 20, "click"),
        came("a", 30, "watch_s", 2.5),
        came("a", 40, "watch_s", 7.5),
        came("a", MINUTE + 1, "like"),
        came("x", 20, "click"),
    ]
    joined = join(*frames(requests, feedback), CONFIG, log_end_ms=BEGIN + 5 * MINUTE)
    rows = {row["request_id"]: row for row in joined.requests.to_dicts()}
    assert rows["a"]["feedback"] == [1.0, 0.0]
    assert rows["a"]["watch_s"] == 7.5
    assert (rows["b"]["feedback"], rows["b"]["watch_s"]) == ([0.0, 0.0], 0.0)
    assert set(rows) == {"a", "b"}
    assert joined.counts == {
        "requests": 4,
        "feedback": 5,
        "carried": 0,
        "carried_feedback": 0,
        "due": 2,
        "answered": 1,
        "joined": 2,
        "with_feedback": 1,
        "unwatched": 0,
        "waiting": 1,
        "lost": 0,
        "repeated": 1,
        "late": 1,
        "early": 0,
        "orphaned": 1,
    }
    assert (joined.orphans, joined.silent) == (["x"], ["b"])
    lost = dataclasses.replace(CONFIG, missing="lost")
    without = join(*frames(requests, feedback), lost, log_end_ms=BEGIN + 5 * MINUTE)
    assert without.requests["request_id"].to_list() == ["a"]
    assert without.counts["lost"] == 1


def test_a_watch_time_that_nobody_reported_is_counted():
    requests = [request("a"), request("b", 10), request("c", 20)]
    feedback = [came("a", 20, "click"), came("b", 30, "watch_s", 0.0)]
    joined = join(*frames(requests, feedback), CONFIG, log_end_ms=BEGIN + 5 * MINUTE)
    # b reports a watch time of 0 s, c nothing at all, which --missing decides about.
    assert joined.counts["unwatched"] == 1
    assert joined.counts["joined"] == 3


_ROWS = st.tuples(
    st.sampled_from("abcx"), st.integers(0, 3 * MINUTE), st.sampled_from((*NAMES, "watch_s"))
)


@settings(max_examples=40)
@given(st.lists(_ROWS, max_size=20), st.lists(st.integers(0, 2 * MINUTE), min_size=3, max_size=3))
def test_any_logs_are_joined_as_by_a_loop(rows, times):
    requests = [request(name, at) for name, at in zip("abc", times, strict=True)]
    feedback = [came(name, at, what) for name, at, what in rows]
    end = 3 * MINUTE
    joined = join(*frames(requests, feedback), CONFIG, BEGIN + end)
    found = {row["request_id"]: row for row in joined.requests.to_dicts()}
    for one in requests:
        name, asked = one["request_id"], one["timestamp_ms"] - BEGIN
        if asked > end - MINUTE:
            assert name not in found
            continue
        seen = {what for who, at, what in rows if who == name and at <= asked + MINUTE}
        assert found[name]["feedback"] == [float(what in seen) for what in NAMES]
        assert found[name]["watch_s"] == float("watch_s" in seen)
    orphans = [at for name, at, _ in rows if name == "x"]
    assert joined.counts["orphaned"] == sum(at <= end - MINUTE for at in orphans)
    assert joined.counts["early"] == sum(at > end - MINUTE for at in orphans)


def ranking(count=2):
    return Ranking(
        np.arange(count, dtype=np.int32),
        np.zeros(count, np.float32),
        np.full([count, 2], 0.25, np.float32),
        np.asarray([0.5, -0.5], np.float32),
        np.ones(3, np.float32),
        3,
    )


class Clock:
    now = 1_700_000_000_000

    def __call__(self):
        return self.now


def joined_rows(directory):
    parts = [pl.read_parquet(path, glob=False) for path in sorted(directory.glob("*.parquet"))]
    return pl.concat(parts).sort("request_id")


@pytest.fixture
def logs(tmp_path):
    """30 sessions of 3 requests an hour apart, one request in three clicked; and a last one."""
    clock = Clock()
    directory = tmp_path / "served [nov], *?"
    with InteractionLogger(directory / "log", rows_per_file=20, now_ms=clock) as log:
        for session in range(30):
            for step in range(3):
                name = f"{session}-{step}"
                context = RequestContext(name, f"s{session}", f"u{session}", step, "noise")
                log.log_request(context, RAW, ranking(1 + step), 0, 10.0, -0.5)
                clock.now += 1000
                if step == 1:
                    log.log_feedback(name, {"click": 1.0, "watch_s": 4.0})
            clock.now += 60 * MINUTE
        log.log_request(RequestContext("last", "s", "u", 0, "policy"), RAW, ranking(), 0, 10.0)
    return directory


def test_beam_writes_what_interaction_gen_reads(logs):
    output = logs / "joined"
    summary = join_feedback(str(logs / "log"), str(output), CONFIG)
    assert (summary.requests, summary.joined, summary.with_feedback) == (91, 90, 30)
    assert (summary.waiting, summary.bad) == (1, {})
    assert json.loads((output / "join.json").read_text())["joined"] == 90
    # Raw requests stay in their log: what learns needs the state as it was computed.
    for path in output.glob("*.parquet"):
        assert "request" not in pyarrow.parquet.read_schema(path).names
    spec = TransitionSpec(3, ("a", "b"), NAMES, 2)
    blocks = [
        block
        for path in sorted(output.glob("*.parquet"))
        for block in read_blocks(str(path), spec, requests=True)
    ]
    assert not any(block.faults for block in blocks)
    assert sum(block.batch.size for block in blocks) == 90
    for block in blocks:
        batch = block.batch
        np.testing.assert_array_equal(batch.feedback[:, 0], batch.step == 1)
        np.testing.assert_array_equal(batch.watch_s, 4.0 * (batch.step == 1))
        np.testing.assert_array_equal(batch.candidate_count, batch.step + 1)
    # Another run takes the place of the first, whole.
    again = join_feedback(str(logs / "log"), str(output), CONFIG)
    assert again == summary


def test_bad_rows_are_listed_and_too_many_stop_the_join(logs):
    with InteractionLogger(logs / "log", now_ms=lambda: 1_700_000_000_000) as log:
        log.log_feedback("0-0", {"share": 1.0, "click": 2.0})
    loose = dataclasses.replace(CONFIG, max_bad_share=0.1)
    summary = join_feedback(str(logs / "log"), str(logs / "joined"), loose)
    assert summary.bad == {
        "feedback: name is none of the feedbacks": 1,
        "feedback: a feedback is 0 or 1": 1,
    }
    assert "0-0" in (logs / "joined" / "quarantine.csv").read_text()
    with pytest.raises(DataError, match=r"2 of 62 rows of the feedback log.*max-bad-rows"):
        join_feedback(str(logs / "log"), str(logs / "strict"), CONFIG)
    assert not (logs / "strict").exists()
    assert "none of the feedbacks" in (logs / "strict.quarantine.csv").read_text()


def test_an_id_that_is_not_utf8_does_not_end_the_join(logs):
    [path] = sorted((logs / "log" / "requests").glob("*.parquet"))[:1]
    table = pyarrow.parquet.read_table(path)
    place = table.schema.get_field_index("user_id")
    values = [b"\xff", *(value.encode() for value in table["user_id"].to_pylist()[1:])]
    bytes_ = pyarrow.array(values)
    text = pyarrow.Array.from_buffers(pyarrow.string(), len(values), bytes_.buffers())
    pyarrow.parquet.write_table(table.set_column(place, "user_id", text), path)
    summary = join_feedback(str(logs / "log"), str(logs / "joined"), CONFIG)
    assert summary.joined == 90
    assert joined_rows(logs / "joined")["user_id"].to_list().count("\\xff") == 1


@pytest.mark.parametrize("unit", ["us", "ns"])
def test_logs_with_timestamps_of_another_unit_are_joined_alike(logs, unit):
    plain = join_feedback(str(logs / "log"), str(logs / "plain"), CONFIG)
    for path in (logs / "log").glob("*/*.parquet"):
        table = pyarrow.parquet.read_table(path)
        place = table.schema.get_field_index("timestamp_ms")
        times = table["timestamp_ms"].cast(pyarrow.timestamp("ms")).cast(pyarrow.timestamp(unit))
        typed = table.set_column(place, "timestamp_ms", times)
        pyarrow.parquet.write_table(typed, path, version="2.6")
    assert join_feedback(str(logs / "log"), str(logs / "typed"), CONFIG) == plain
    joined = [joined_rows(logs / name) for name in ("plain", "typed")]
    assert joined[0].equals(joined[1])


@pytest.mark.parametrize("kind", [pyarrow.date32(), pyarrow.list_(pyarrow.int64())], ids=str)
def test_a_log_whose_times_are_none_is_refused_by_name(logs, kind):
    path = logs / "log" / "feedback" / "feedback-0.parquet"
    columns = [("request_id", pyarrow.string()), ("timestamp_ms", kind)]
    schema = pyarrow.schema([*columns, *list(SCHEMAS["feedback"])[2:]])
    rows = [dict.fromkeys(schema.names)]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema=schema), path)
    with pytest.raises(DataError, match=r"feedback-0\.parquet .*(date32|list)"):
        join_feedback(str(logs / "log"), str(logs / "joined"), CONFIG)


def test_what_cannot_be_read_is_named(logs, tmp_path):
    bad = logs / "log" / "feedback" / "feedback-0.parquet"
    bad.write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"feedback-0\.parquet is damaged"):
        join_feedback(str(logs / "log"), str(logs / "joined"), CONFIG)
    bad.unlink()
    pl.DataFrame({"request_id": ["a"]}).write_parquet(bad)
    with pytest.raises(DataError, match=r"feedback-0\.parquet lacks the columns name"):
        join_feedback(str(logs / "log"), str(logs / "joined"), CONFIG)
    assert not (logs / "joined").exists()
    with pytest.raises(DataError, match="no Parquet file of served requests"):
        join_feedback(str(tmp_path / "nowhere"), str(logs / "joined"), CONFIG)
    (logs / "log" / "feedback").rename(logs / "elsewhere")
    with pytest.raises(DataError, match=r"no directory .*feedback"):
        join_feedback(str(logs / "log"), str(logs / "joined"), CONFIG)
    (logs / "mine").mkdir()
    (logs / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(DataError, match="holds other files"):
        join_feedback(str(logs / "log"), str(logs / "mine"), CONFIG)


@pytest.mark.parametrize(
    "changes",
    [
        {"feedback_names": ()},
        {"feedback_names": ("a", "a")},
        {"wait_minutes": 0.0},
        {"missing": "maybe"},
        {"max_bad_share": 2.0},
        {"max_orphan_share": -0.1},
        {"min_feedback_share": 1.1},
        {"files": 0},
    ],
)
def test_wrong_settings_are_named(changes):
    with pytest.raises(ValueError, match=next(iter(changes)).replace("_", ".")):
        dataclasses.replace(CONFIG, **changes)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("runner", RUNNERS)
def test_every_runner_joins_the_same(logs, runner):
    with InteractionLogger(logs / "log", now_ms=lambda: 1_700_000_000_000) as log:
        log.log_feedback("0-0", {"share": 1.0})
    config = dataclasses.replace(CONFIG, max_bad_share=0.1)
    expected = join_feedback(str(logs / "log"), str(logs / "here"), config)
    with beam_args(runner) as arguments:
        found = join_feedback(str(logs / "log"), str(logs / "there"), config, arguments)
    assert found == expected
    assert found.joined == 90
    one, other = (joined_rows(logs / name) for name in ("here", "there"))
    assert one.equals(other)
    bad = [(logs / name / "quarantine.csv").read_text() for name in ("here", "there")]
    assert bad[0] == bad[1]
