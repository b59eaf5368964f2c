"""Sessions at the ends of a log, and at a day that is missing in it, are neither ended nor bad."""

import dataclasses

import numpy as np
import pytest

from mtfx.components.beam_results import Counts
from mtfx.components.interaction_gen import joining
from mtfx.components.interaction_gen.served import log_parts
from mtfx.datasets.rewards import RewardConfig, build_reward
from tests.transition_batches import SPEC, random_batch

MINUTE, DAY = 60_000, 86_400_000
MIDNIGHT = 1_700_000_000_000 // DAY * DAY


def batch_of(sessions):
    """Requests at the times (ms) given for each session, whose steps count from its first."""
    source = random_batch(sessions=200)
    names, steps, times = [], [], []
    for name, (first_step, at) in sessions.items():
        names += [name] * len(at)
        steps += range(first_step, first_step + len(at))
        times += at
    rows = source.rows(np.arange(len(times)))
    return dataclasses.replace(
        rows,
        session_id=np.asarray(names),
        user_id=np.asarray(["ann"] * len(times)),
        step=np.asarray(steps),
        timestamp_ms=np.asarray(times),
    )


def joined(batch, parts):
    reward = build_reward(RewardConfig(), SPEC.feedback_names)
    return joining.join_requests(batch, reward, np.asarray(parts), 30.0)


BEGIN, END = MIDNIGHT, MIDNIGHT + DAY


def test_a_session_that_began_before_the_log_is_left_out_and_is_not_bad():
    batch = batch_of(
        {
            "across": (3, [BEGIN + MINUTE, BEGIN + 2 * MINUTE]),
            "whole": (0, [BEGIN + MINUTE, BEGIN + 3 * MINUTE]),
            "torn": (1, [BEGIN + 600 * MINUTE]),
        }
    )
    found = joined(batch, [(BEGIN, END)])
    begun, gap = joining.BEGUN, joining.AFTER_GAP
    assert found.reasons.tolist() == [begun, begun, "", "", gap]
    assert begun not in joining.BAD_REASONS
    assert found.transitions.discount.tolist() == [1.0, 0.0]


def test_around_a_missing_day_sessions_go_on_in_it():
    parts = [(BEGIN, END), (END + DAY, END + 2 * DAY)]
    batch = batch_of(
        {
            "into": (0, [END - 9 * MINUTE, END - 5 * MINUTE]),
            "out of": (4, [END + DAY + MINUTE]),
            "within": (0, [END - 300 * MINUTE]),
        }
    )
    found = joined(batch, parts)
    assert found.reasons.tolist() == ["", joining.OPEN, joining.BEGUN, ""]
    # The last known one leads to another; nothing is taken for a session's end.
    assert found.transitions.discount.tolist() == [1.0, 0.0]
    assert found.transitions.session_id.tolist() == ["into", "within"]


@pytest.mark.parametrize("cut", range(1, 6))
def test_with_the_day_before_a_session_across_midnight_is_whole(cut):
    times = [END + (step - cut) * 2 * MINUTE for step in range(6)]
    whole = joined(batch_of({"across": (0, times)}), [(BEGIN, END + DAY)])
    assert whole.transitions.discount.tolist() == [1.0] * 5 + [0.0]
    # Without it nothing is bad, and of the day before alone nothing has ended.
    second = joined(batch_of({"across": (cut, times[cut:])}), [(END, END + DAY)])
    assert set(second.reasons) == {joining.BEGUN}
    first = joined(batch_of({"across": (0, times[:cut])}), [(BEGIN, END)])
    assert first.transitions.discount.tolist() == [1.0] * (cut - 1)


def spans_of(times):
    counts = Counts()
    counts.span(min(times), max(times))
    for time in times:
        counts.add(("ten minutes", str(time // 600_000)), 1)
    return counts


def test_parts_of_a_log_are_those_between_missing_days():
    first = [BEGIN + 5 + minute * MINUTE for minute in range(0, 1380, 3)]
    third = [END + DAY + 7 + minute * MINUTE for minute in range(0, 1380, 3)]
    assert log_parts(spans_of(first)).tolist() == [[first[0], first[-1]]]
    [one, other] = log_parts(spans_of(first + third)).tolist()
    assert one[0] == first[0]
    assert 0 <= one[1] - first[-1] < 600_000
    assert 0 <= third[0] - other[0] < 600_000
    assert other[1] == third[-1]
    # A clock that is years off ends no log.
    [odd] = log_parts(spans_of([*first, END + 4000 * DAY])).tolist()
    assert odd[0] == first[0]
    assert 0 <= odd[1] - first[-1] < 600_000
