"""Which join goes on from which is read from their names and the times of their logs."""

import json

import pytest

from mtfx.components.feedback_join.sequence import AUTO, earlier_join, outdated_notes

DAY, HOUR, BEGIN = 86_400_000, 3_600_000, 1_700_000_000_000


def made(root, name, first, last, **values):
    (root / name).mkdir(parents=True)
    content = {"first_ms": first, "last_ms": last, "state": f"of {name}", "waiting": 3} | values
    (root / name / "join.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("before", "name"),
    [
        ("day-2", "day-3"),
        ("day-9", "day-10"),
        ("2026-11-30", "2026-12-01"),
        ("joined 20261231 a", "joined 20270101 a"),
        ("7", "8"),
    ],
)
def test_the_day_before_is_found_by_its_name(tmp_path, before, name):
    made(tmp_path, before, BEGIN, BEGIN + DAY)
    for other in (f"x{before}", f"{before}.partial", f"{before}.earlier"):
        made(tmp_path, other, BEGIN, BEGIN + DAY)
    (tmp_path / "day-1").mkdir()
    # A night without a request is no missing day where the names follow each other.
    span = (BEGIN + DAY + 9 * HOUR, BEGIN + 2 * DAY)
    found = earlier_join(tmp_path / name, AUTO, span, HOUR)
    assert found.directory == tmp_path / before
    assert (found.state, found.notes) == (f"of {before}", ())


@pytest.mark.parametrize(
    ("before", "name"), [("day-1", "day-3"), ("2026-11-30", "2026-12-02"), ("a-1-9", "a-2-1")]
)
def test_a_name_in_between_is_missing_unless_the_logs_times_meet(tmp_path, before, name):
    made(tmp_path, before, BEGIN, BEGIN + DAY)
    found = earlier_join(tmp_path / name, AUTO, (BEGIN + 2 * DAY, BEGIN + 3 * DAY), HOUR)
    assert found.directory is None
    assert "3 requests wait" in found.notes[0]
    near = earlier_join(tmp_path / name, AUTO, (BEGIN + DAY + HOUR, BEGIN + 3 * DAY), HOUR)
    assert (near.directory, near.notes) == (tmp_path / before, ())


def test_names_without_numbers_have_no_order(tmp_path):
    made(tmp_path, "joined", BEGIN, BEGIN + DAY)
    found = earlier_join(tmp_path / "other", AUTO, (BEGIN + DAY, BEGIN + 2 * DAY), HOUR)
    assert (found.directory, found.notes) == (None, ())


def test_only_the_join_after_and_only_if_it_took_something_else_is_outdated(tmp_path):
    span = (BEGIN, BEGIN + DAY)
    made(tmp_path, "day-2", BEGIN + DAY, BEGIN + 2 * DAY, earlier="day-1", earlier_state="old")
    made(tmp_path, "day-3", BEGIN + 2 * DAY, BEGIN + 3 * DAY)
    assert outdated_notes(tmp_path / "day-1", span, "old") == ()
    [note] = outdated_notes(tmp_path / "day-1", span, "new")
    assert "day-2 was joined without" in note
    # It took none because one was missing, and still is.
    assert outdated_notes(tmp_path / "day-0", span, "new") == ()
    assert outdated_notes(tmp_path / "day-3", span, "new") == ()
