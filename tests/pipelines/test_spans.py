"""Where deliveries lie, and what tells their files apart."""

import itertools

import pytest

from mtfx.pipelines.spans import (
    at_span,
    available_spans,
    day_of_span,
    has_span,
    next_span,
    span_folders,
    span_range,
)


@pytest.mark.parametrize(
    ("pattern", "span", "path"),
    [
        ("day-{SPAN}/*", 7, "day-7/*"),
        ("{SPAN:8}/log/*.csv", 20261126, "20261126/log/*.csv"),
        ("d{SPAN:3}/*", 7, "d007/*"),
        ("*", 7, "*"),
    ],
)
def test_a_span_is_written_into_the_pattern(pattern, span, path):
    assert at_span(pattern, span) == path
    assert has_span(pattern) == (path != pattern)


def test_folders_of_several_days_need_a_span():
    assert span_folders("a/day-{SPAN}/*.csv", (1, 2)) == ("a/day-1", "a/day-2")
    assert span_folders("*", ()) == ()
    with pytest.raises(ValueError, match="SPAN"):
        span_folders("*", (1, 2))


def test_days_are_found_by_number_and_nothing_else_is(tmp_path):
    for name in ("day-2", "day-10", "day-x", "week-3", ".day-4.partial"):
        (tmp_path / name).mkdir()
    (tmp_path / "day-5").write_text("a file")
    assert available_spans(str(tmp_path), "day-{SPAN}/*.parquet") == (2, 10)
    assert available_spans(str(tmp_path / "nowhere"), "day-{SPAN}/*.parquet") == ()


@pytest.mark.parametrize(
    ("first", "last", "spans"),
    [
        (3, 6, (3, 4, 5, 6)),
        (20261129, 20261202, (20261129, 20261130, 20261201, 20261202)),
        (20240228, 20240301, (20240228, 20240229, 20240301)),
        (20261231, 20270101, (20261231, 20270101)),
        (10_000_000, 10_000_002, (10_000_000, 10_000_001, 10_000_002)),  # no date
        (5, 5, (5,)),
    ],
)
def test_numbers_follow_each_other_and_dates_as_the_calendar_has_them(first, last, spans):
    assert span_range(first, last) == spans
    assert all(next_span(one) == other for one, other in itertools.pairwise(spans))


@pytest.mark.parametrize("span", [19991231, 99991231, 10000101, 21000101])
def test_a_number_that_would_be_a_date_of_an_implausible_year_is_no_date(span):
    assert next_span(span) == span + 1
    assert span_range(span, span + 1) == (span, span + 1)


def test_a_number_that_is_a_date_has_its_day_in_the_data_sets_zone():
    begin, end = day_of_span(20220425, 8.0)
    assert (begin, end) == (1650816000000, 1650902400000)
    assert day_of_span(20220425, 0.0)[0] == begin + 8 * 3_600_000
    assert day_of_span(17, 8.0) is None
    assert day_of_span(20220431, 8.0) is None
