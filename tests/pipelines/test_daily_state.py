"""The daily loop's memory: which days a window holds, and what a model begins with."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtfx.errors import UserError
from mtfx.evaluation.reports.daily import Day, Model
from mtfx.pipelines.daily_state import FILE, DailyState

STATUSES = ("done", "checked", "refused", "failed")


def _state(**statuses):
    state = DailyState()
    for name, status in statuses.items():
        span = int(name[1:])
        state.record(Day(span, status, statistics=f"stats-{span}"))
    return state


@given(
    days=st.dictionaries(st.integers(0, 12), st.sampled_from(STATUSES)),
    span=st.integers(0, 13),
    size=st.integers(1, 5),
)
def test_a_window_is_the_last_days_that_passed(days, span, size):
    state = DailyState({n: Day(n, status) for n, status in days.items()})
    window = state.window(span, size)
    passed = sorted(n for n, status in days.items() if status != "refused" and n < span)
    assert list(window) == passed[len(passed) - min(size - 1, len(passed)) :]


@given(
    days=st.dictionaries(st.integers(0, 12), st.sampled_from(STATUSES)),
    span=st.integers(0, 13),
    size=st.integers(1, 5),
    number=st.integers(0, 6),
)
def test_what_is_looked_back_on_comes_before_the_window(days, span, size, number):
    state = DailyState({n: Day(n, status) for n, status in days.items()})
    passed = sorted(n for n, status in days.items() if status != "refused" and n < span)
    past, window = state.before_window(span, size, number), state.window(span, size)
    assert len(past) <= number
    both = [*past, *window]
    assert both == passed[len(passed) - len(both) :]
    assert len(past) == number or both == passed


def test_a_refused_day_is_no_baseline():
    state = _state(d1="done", d2="refused")
    assert state.statistics_before(3) == "stats-1"
    assert state.statistics_before(1) == ""


def test_a_model_begins_with_the_last_blessed_one():
    state = _state(d1="done", d2="done", d3="done")
    for span, blessed in ((1, True), (2, True), (3, False)):
        model = Model(artifact=f"model-{span}", blessed=blessed)
        state.record(Day(span, "done", ranking=model))
    assert state.model_before(4, "ranking") == "model-2"
    assert state.model_before(2, "ranking") == "model-1"
    assert state.model_before(4, "policy") == ""


def test_what_is_written_is_read_again(tmp_path):
    state = _state(d1="done", d2="refused")
    state.record(
        Day(
            3,
            "failed",
            reason="why",
            window=(1, 3),
            served_window=(2,),
            served_refused=True,
            ranking=Model("a", True, "b", {"click AUC": 0.7}),
        )
    )
    state.write(tmp_path)
    assert DailyState.read(tmp_path) == state
    assert DailyState.read(tmp_path / "nothing") == DailyState()


@pytest.mark.parametrize(
    "content", ["", "[]", '{"days": [{"span": 1}]}', json.dumps({"days": [{"status": "odd"}]})]
)
def test_a_damaged_record_is_named(tmp_path, content):
    (tmp_path / FILE).write_text(content)
    with pytest.raises(UserError, match=FILE):
        DailyState.read(tmp_path)
