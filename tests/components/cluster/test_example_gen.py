"""Deliveries by number, as the driver of file-based inputs finds them."""

import pytest

from mtfx.components.cluster.example_gen import patterns_before, window_patterns
from mtfx.errors import DataError


@pytest.fixture
def deliveries(tmp_path):
    for day in ("01", "02", "04"):
        (tmp_path / f"day-{day}").mkdir()
        (tmp_path / f"day-{day}" / "log.csv").write_text("a\n1\n")
    return str(tmp_path)


def test_a_window_is_its_deliveries_in_order(deliveries):
    pattern = "day-{SPAN:2}/*"
    assert window_patterns(deliveries, pattern, 2, 2) == ["day-01/*", "day-02/*"]
    assert window_patterns(deliveries, pattern, 4, 1) == ["day-04/*"]
    assert window_patterns(deliveries, "day-04/*", 9, 1) == ["day-04/*"]


def test_the_latest_version_of_a_delivery_is_read(tmp_path):
    for version in (1, 2):
        (tmp_path / "day-3" / f"v{version}").mkdir(parents=True)
        (tmp_path / "day-3" / f"v{version}" / "log.csv").write_text("a\n1\n")
    found = window_patterns(str(tmp_path), "day-{SPAN}/v{VERSION}/*", 3, 1)
    assert found == ["day-3/v2/*"]


@pytest.mark.parametrize(
    ("pattern", "span", "days", "message"),
    [
        ("day-{SPAN:2}/*", 4, 2, "has no delivery 3 of day"),
        ("day-{SPAN:2}/*", 5, 1, "has no delivery 5 of day"),
        ("*", 1, 2, "has no {SPAN}, by which 2 deliveries"),
        ("day-{SPAN:2}/*", 4, 0, "days must be at least 1"),
    ],
)
def test_a_window_with_a_hole_is_none(deliveries, pattern, span, days, message):
    with pytest.raises(DataError, match=message):
        window_patterns(deliveries, pattern, span, days)


def test_of_deliveries_to_look_back_on_those_are_taken_that_are_there(deliveries):
    pattern = "day-{SPAN:2}/*"
    assert patterns_before(deliveries, pattern, 4, 14) == ["day-01/*", "day-02/*", "day-04/*"]
    assert patterns_before(deliveries, pattern, 3, 2) == ["day-02/*"]
    assert patterns_before(deliveries, pattern, 3, 0) == []
    assert patterns_before(deliveries, pattern, -1, 14) == []
    assert patterns_before(deliveries, "day-04/*", 3, 14) == []
