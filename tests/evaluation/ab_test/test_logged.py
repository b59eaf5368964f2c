"""Two arms of a joined log: sums by user and day, and logs that show no trial."""

import polars as pl
import pytest

from mtfx.errors import DataError, UserError
from mtfx.evaluation.ab_test.logged import logged_arms

DAY = 86_400_000
START = 19_700 * DAY
NAMES = ("click", "like")


def rows(**changes):
    """Users a and b of two arms, two requests each on the first day and one on the third."""
    count = 6
    found = {
        "request_id": [f"r{i}" for i in range(count)],
        "user_id": ["a", "a", "b", "b", "a", "b"],
        "timestamp_ms": [START + i for i in range(4)] + [START + 2 * DAY] * 2,
        "behaviour_policy": ["old", "old", "new", "new", "old", "new"],
        "watch_s": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        "feedback": [[1.0, 0.0], [0.0, 1.0]] * 3,
    }
    return pl.DataFrame({**found, **changes}, strict=False)


def read(directory, *frames, names=NAMES):
    for number, frame in enumerate(frames):
        frame.write_parquet(directory / f"part-{number}.parquet")
    return logged_arms(str(directory), "old", "new", names)


def test_requests_are_summed_by_user_and_day(tmp_path):
    found = read(tmp_path, rows())
    assert found.days == ("2023-12-09", "2023-12-10", "2023-12-11")
    assert found.control.name == "old"
    assert found.control.day.tolist() == [0, 2]
    # A click alone is no positive interaction where there are likes.
    assert found.control.values.tolist() == [[3.0, 2.0, 1.0], [5.0, 1.0, 0.0]]
    assert found.treatment.values.tolist() == [[7.0, 2.0, 1.0], [6.0, 1.0, 1.0]]
    assert found.notes == ()


def test_requests_that_two_joins_hold_count_once(tmp_path):
    found = read(tmp_path, rows(), rows()[:2])
    assert found.control.values.tolist() == [[3.0, 2.0, 1.0], [5.0, 1.0, 0.0]]
    assert found.notes == ("2 repeated requests are left out.",)


def test_what_an_interrupted_join_left_is_not_read(tmp_path):
    (tmp_path / "day-2.partial").mkdir()
    (tmp_path / "day-2.partial" / "rows.parquet").write_bytes(b"half")
    assert read(tmp_path, rows()).notes == ()


@pytest.mark.parametrize(
    ("frame", "error", "message"),
    [
        (rows(user_id=["a", "a", "a", "b", "a", "b"]), DataError, "1 users were served by both"),
        (rows(behaviour_policy=["old"] * 6), UserError, "--treatment new.*no requests"),
        (rows(watch_s=[0.0] * 6, feedback=[[0.0, 0.0]] * 6), DataError, "was the feedback joined"),
        (
            rows(watch_s=[1.0, 1.0, 0.0, 0.0, 1.0, 0.0], feedback=[[0.0, 0.0]] * 6),
            DataError,
            "none of the 3 requests of new",
        ),
        (rows(watch_s=[1.0, -2.0, 1.0, 1.0, 1.0, 1.0]), DataError, "1 of 6 requests lack"),
        (rows(timestamp_ms=[5] + [START] * 5), DataError, "as 1 do"),
        (rows().drop("watch_s"), DataError, "lacks watch_s"),
    ],
)
def test_a_log_that_shows_no_trial_is_refused(tmp_path, frame, error, message):
    with pytest.raises(error, match=message):
        read(tmp_path, frame)


def test_other_feedbacks_than_the_logs_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"--feedback names 1, but .* with 2 feedbacks"):
        read(tmp_path, rows(), names=("click",))
    with pytest.raises(DataError, match="no Parquet file"):
        logged_arms(str(tmp_path / "empty"), "old", "new", NAMES)
