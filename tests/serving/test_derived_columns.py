"""Derived columns of one request, beside those of a log."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtfx.datasets.logs.sessions import derive
from mtfx.serving.derived_columns import derived_columns, session_step, step_bucket

NOW = 1_700_000_000_000


@given(
    time_ms=st.integers(946_684_800_000, 4_102_444_799_999),
    step=st.integers(0, 60),
    offset=st.sampled_from([0.0, 8.0, -3.5, 5.75]),
)
def test_they_are_those_of_a_log(time_ms, step, offset):
    frame = derive(pl.DataFrame({"timestamp_ms": [time_ms], "step": [step]}), offset)
    assert derived_columns(time_ms, step, offset) == frame.drop("timestamp_ms").to_dicts()[0]


@pytest.mark.parametrize(
    ("past", "step"),
    [
        ([], 0),
        ([NOW - 1_800_000], 1),
        ([NOW - 1_800_001], 0),
        ([NOW - 3_000_000, NOW - 1_500_000], 2),
        ([NOW, NOW + 5, NOW - 5], 1),
    ],
)
def test_a_session_goes_back_without_a_longer_pause(past, step):
    assert session_step(NOW, past, 30.0) == step


def test_buckets_widen():
    assert [step_bucket(step) for step in (0, 1, 2, 3, 31, 99)] == [
        "1",
        "2-3",
        "2-3",
        "4-7",
        "32+",
        "32+",
    ]
