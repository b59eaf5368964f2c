"""Feedback that meets no request is refused: rewards of 0 would be taken for what users did."""

import pytest

from mtfx.components.feedback_join.config import FeedbackJoinConfig
from mtfx.components.feedback_join.pipeline import join_feedback
from mtfx.errors import DataError
from mtfx.serving.interaction_log import InteractionLogger, RequestContext
from tests.components.feedback_join.test_days import HOURS, START, write_day
from tests.components.feedback_join.test_join import MINUTE, NAMES, RAW, ranking


def config(**changes):
    return FeedbackJoinConfig(NAMES, files=3, **changes)


def joined(root, settings=HOURS):
    return join_feedback(str(root / "logs" / "day-1"), str(root / "joined"), settings)


def leftovers(root):
    return sorted(path.name for path in root.iterdir())


def test_ids_of_another_format_are_refused_with_examples_and_nothing_written(tmp_path):
    write_day(tmp_path / "logs", 1, prefix="req-")
    with pytest.raises(DataError) as caught:
        joined(tmp_path)
    said = str(caught.value)
    assert "48 of 48 feedbacks" in said
    assert "req-" in said
    assert "such as r0, r1, r10" in said
    assert "--max-orphan-feedback" in said
    assert leftovers(tmp_path) == ["logs"]
    # Allowed to be orphans, they still are no feedback to any request.
    with pytest.raises(DataError, match=r"to 0 of 46 requests any feedback came.*--min-feedback"):
        joined(tmp_path, config(max_orphan_share=1.0))
    found = joined(tmp_path, config(max_orphan_share=1.0, min_feedback_share=0.0))
    assert (found.joined, found.with_feedback, found.orphaned + found.early) == (46, 0, 48)


def test_a_refused_join_leaves_an_earlier_one_as_it_was(tmp_path):
    write_day(tmp_path / "logs", 1)
    joined(tmp_path)
    before = {p.name: p.read_bytes() for p in (tmp_path / "joined").glob("*") if p.is_file()}
    write_day(tmp_path / "logs", 1, prefix="req-")
    with pytest.raises(DataError, match="48 of 96 feedbacks"):
        joined(tmp_path)
    assert leftovers(tmp_path) == ["joined", "logs"]
    after = {p.name: p.read_bytes() for p in (tmp_path / "joined").glob("*") if p.is_file()}
    assert after == before


def test_few_orphans_are_counted(tmp_path):
    write_day(tmp_path / "logs", 1)
    with InteractionLogger(tmp_path / "logs" / "day-1", now_ms=lambda: START + MINUTE) as log:
        for number in range(5):
            log.log_feedback(f"gone-{number}", {"like": 1.0})
    assert joined(tmp_path).orphaned == 5
    with pytest.raises(DataError, match=r"5 of 53 feedbacks .*gone-0, gone-1, gone-2;"):
        joined(tmp_path, config(max_orphan_share=0.05))


def only_requests(root):
    clock = [START]
    with InteractionLogger(root / "logs" / "day-1", now_ms=lambda: clock[0]) as log:
        for number in range(48):
            clock[0] = START + number * 30 * MINUTE
            context = RequestContext(f"r{number}", f"s{number}", "ann", 0, "policy")
            log.log_request(context, RAW, ranking(), 0, 9.0)


def test_a_log_without_any_feedback_is_an_outage_unless_a_quiet_day_is_allowed(tmp_path):
    only_requests(tmp_path)
    with pytest.raises(DataError, match=r"feedback log is empty.* 46 requests.*--min-feedback 0"):
        joined(tmp_path)
    assert leftovers(tmp_path) == ["logs"]
    found = joined(tmp_path, config(min_feedback_share=0.0))
    assert (found.joined, found.with_feedback) == (46, 0)


def test_an_outage_is_seen_though_yesterdays_requests_had_feedback(tmp_path):
    write_day(tmp_path / "logs", 1)
    write_day(tmp_path / "logs", 2)
    for path in (tmp_path / "logs" / "day-2" / "feedback").glob("*.parquet"):
        path.unlink()

    def run(day):
        return join_feedback(
            str(tmp_path / "logs" / f"day-{day}"), str(tmp_path / f"day-{day}"), HOURS
        )

    assert run(1).waiting
    with pytest.raises(DataError, match="feedback log is empty"):
        run(2)


def test_feedback_that_comes_too_late_is_said(tmp_path):
    write_day(tmp_path / "logs", 1, liked_after=90)
    with pytest.raises(DataError, match=r"to 0 of 46 requests.*of which 45 came too late"):
        joined(tmp_path)


def test_nearly_no_feedback_is_refused_by_its_share(tmp_path):
    only_requests(tmp_path)
    with InteractionLogger(tmp_path / "logs" / "day-1", now_ms=lambda: START + MINUTE) as log:
        log.log_feedback("r0", {"like": 1.0})
    assert joined(tmp_path).with_feedback == 1
    with pytest.raises(DataError, match="to 1 of 46 requests any feedback came"):
        joined(tmp_path, config(min_feedback_share=0.05))
