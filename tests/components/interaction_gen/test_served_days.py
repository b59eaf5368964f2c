"""Joined days become transitions: sessions across midnight are whole where both days are read."""

import numpy as np
import pytest

from mtfx.components.feedback_join.pipeline import join_feedback
from mtfx.components.interaction_gen.config import ServedInteractionConfig
from mtfx.datasets.transitions.spec import TransitionSpec
from tests.components.feedback_join.test_days import HOURS, write_day
from tests.components.feedback_join.test_join import NAMES

SPEC = TransitionSpec(3, ("a", "b"), NAMES, 2)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    root = tmp_path_factory.mktemp("days")
    for day in (1, 2, 3):
        # Rewards that are all the same are refused: there is nothing to learn from them.
        write_day(root / "logs", day, with_watch_times=True)
        join_feedback(str(root / "logs" / f"day-{day}"), str(root / "served" / f"day-{day}"), HOURS)
    return root / "served"


@pytest.mark.parametrize(
    ("days", "transitions", "ended", "begun", "opened"),
    [
        # 142 requests in sessions of ten; the last is cut by the log's end at its second.
        ((1, 2, 3), 141, 14, 0, 1),
        # From the 46th to the 93rd: four are of a session before, of the last four one is open.
        ((2,), 43, 4, 4, 1),
        # Without the second day: 0 to 45 and 94 to 141. Nothing ends at 45, nothing begins at 94.
        ((1, 3), 45 + 41, 4 + 4, 6, 2),
    ],
)
def test_no_request_around_midnight_is_bad(
    served, serve, tmp_path, days, transitions, ended, begun, opened
):
    config = ServedInteractionConfig(
        SPEC,
        str(tmp_path / "quarantine"),
        max_bad_share=0.0,
        earlier=tuple(f"day-{day}" for day in days[:-1]),
    )
    found = serve(served, config, f"day-{days[-1]}/*.parquet")
    figures = found.summary.splits.values()
    assert found.summary.quarantined == {}
    assert sum(split.transitions for split in figures) == transitions
    assert sum(split.ended for split in figures) == ended
    assert (found.summary.begun, found.summary.open) == (begun, opened)
    for split in ("train", "eval"):
        batch = found.batch(split)
        last = np.append(batch.session_id[1:] != batch.session_id[:-1], True)
        assert np.all(batch.step[~last] + 1 == batch.step[1:][~last[:-1]])
