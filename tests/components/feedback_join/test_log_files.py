"""A service's logs: rows as they were written, whatever their writer made of types and text."""

import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mtfx.components.feedback_join.checks import Examples, check
from mtfx.components.feedback_join.config import FeedbackJoinConfig, FeedbackJoinSummary
from mtfx.components.feedback_join.log_files import SCHEMAS, log_files, log_span, read_rows
from mtfx.errors import DataError
from mtfx.serving.interaction_log import FEEDBACK

START = 1_700_000_000_000


def feedback(path, times, **columns):
    schema = SCHEMAS[FEEDBACK]
    values = {
        field.name: columns.get(field.name, pa.nulls(len(times), field.type)) for field in schema
    }
    values["timestamp_ms"] = times
    pq.write_table(pa.table(values), path)
    return str(path)


def test_times_of_a_timestamp_type_are_read_in_ms(tmp_path):
    when = datetime.datetime.fromtimestamp(START / 1000, datetime.timezone.utc)
    for unit in ("s", "us"):
        path = feedback(tmp_path / unit, pa.array([when], pa.timestamp(unit, "UTC")))
        (rows,) = read_rows(path, FEEDBACK, ("timestamp_ms",))
        assert rows["timestamp_ms"].to_pylist() == [START]


def test_the_span_is_that_of_right_clocks(tmp_path):
    times = [START + second for second in range(300)]
    path = feedback(tmp_path / "rows", pa.array([*times, 5], pa.int64()))
    assert log_span({FEEDBACK: [path]}, most_stray=0.01) == (START, times[-1])
    assert log_span({FEEDBACK: []}, most_stray=0.01) == (0, 0)


def test_a_damaged_file_and_a_missing_log_are_named(tmp_path):
    (tmp_path / "bad").write_bytes(b"no Parquet")
    with pytest.raises(DataError, match="bad is damaged or no Parquet file of feedback"):
        list(read_rows(str(tmp_path / "bad"), FEEDBACK))
    with pytest.raises(DataError, match="requests"):
        log_files(str(tmp_path))


def test_limits_of_a_join_are_shares_that_may_just_be_reached(tmp_path):
    config = FeedbackJoinConfig(
        ("like",), max_orphan_share=0.25, min_feedback_share=0.5, max_bad_share=0.1
    )
    counts = {"requests": 10, "feedback": 8, "due": 10, "orphaned": 2, "answered": 5}
    examples = Examples(["a", "b", "c", "d"], [])
    places = (tmp_path / "quarantine", tmp_path / "kept")
    check(FeedbackJoinSummary(**counts), examples, config, *places)
    with pytest.raises(DataError, match=r"such as a, b, c; requests without feedback.*none"):
        check(FeedbackJoinSummary(**{**counts, "orphaned": 3}), examples, config, *places)
    with pytest.raises(DataError, match="to 4 of 10 requests"):
        check(FeedbackJoinSummary(**{**counts, "answered": 4}), examples, config, *places)
    places[0].write_text("rows")
    bad = FeedbackJoinSummary(**counts, bad={"requests: no user": 2})
    with pytest.raises(DataError, match=r"2 of 10 rows of the requests log.*no user \(2\)"):
        check(bad, examples, config, *places)
    assert places[1].read_text() == "rows"
