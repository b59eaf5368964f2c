"""A time that no log can hold is told from one that can, and its unit is guessed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtfx.serving.plausible_time import EARLIEST_MS, LATEST_MS, main_span, time_fault, time_faults

_PER_MS = {"s": 1e-3, "ms": 1, "us": 1e3, "ns": 1e6}
DAY = 86_400_000


@given(st.integers(EARLIEST_MS, LATEST_MS - 1), st.sampled_from(["s", "us", "ns"]))
def test_a_plausible_time_is_none_in_another_unit_and_the_unit_is_guessed(time, unit):
    assert time_fault(time) == ""
    assert f"is it in {unit} instead of ms" in time_fault(int(time * _PER_MS[unit]))


@given(st.integers(-(2**63), 2**63 - 2))
def test_what_is_outside_the_years_has_a_fault_and_only_that(time):
    assert (time_fault(time) == "") == (EARLIEST_MS <= time < LATEST_MS)


@pytest.mark.parametrize("said", _PER_MS)
@pytest.mark.parametrize("meant", _PER_MS)
def test_the_guess_is_right_whatever_unit_was_said(said, meant):
    read_ms = 1_700_000_000_000 * _PER_MS[meant] / _PER_MS[said]
    found = [f.reason for f in time_faults(said) if f.low <= read_ms < f.high]
    if said == meant:
        assert not found
    elif read_ms < 2**63:
        assert f"is it in {meant} instead of {said}" in found[0]


def test_few_times_years_off_are_no_part_of_a_logs_span():
    times = 1_700_000_000_000 + np.arange(1000) * 60_000
    stray = [0, 946_684_800_001, 1_400_000_000_000, 1_900_000_000_000, 4_000_000_000_000]
    assert main_span(np.append(times, stray)) == (times[0], times[-1])
    assert main_span(np.asarray([0, 5])) is None
    # A pause of a month is one if it is not for a few rows, but one of years is none.
    paused = times[-1] + 30 * DAY
    assert main_span(np.append(times, np.full(50, paused))) == (times[0], paused)
    assert main_span(np.append(times, np.full(5, paused))) == (times[0], times[-1])
    years = np.full(300, 1_900_000_000_000)
    assert main_span(np.append(times, years)) == (times[0], times[-1])


@given(st.lists(st.integers(1, 10), min_size=1, max_size=30), st.integers(0, 400))
def test_a_log_without_a_weeks_silence_is_spanned_whole(hours, shift):
    times = 1_600_000_000_000 + shift * DAY + np.cumsum(hours) * 3_600_000
    span = (times.min(), times.max())
    assert main_span(np.random.default_rng(0).permutation(times)) == span
    assert main_span(times, np.arange(len(times)) + 1) == span
