"""Headers and records of CSV files: one bad record costs no other row."""

import pytest

from mtfx.datasets.logs.csv_parsing import (
    BEHIND_OPEN_QUOTE,
    NUL,
    OPEN_QUOTE,
    SHOWN_CHARACTERS,
    header_of,
    parse_records,
    shown,
)
from mtfx.errors import DataError


def parsed(payload, columns=("a", "b")):
    frame, rejects = parse_records(payload, "log.csv", 2, ("a", "b"), columns, "row")
    return frame.rows(), [(row, reason) for _, row, reason, _ in rejects]


def test_each_bad_record_is_rejected_by_itself():
    rows, rejects = parsed(b'1,2\n3\n"x\ny",4\n5,\x006\n7,\xff\n8,9')
    assert rows == [("1", "2", 2), ("x\ny", "4", 4), ("8", "9", 8)]
    assert rejects == [
        (3, "1 fields where the header has 2"),
        (6, NUL),
        (7, "not UTF-8 at byte 2"),
    ]


def test_every_line_behind_an_open_quote_is_rejected():
    rows, rejects = parsed(b'1,2\n"3,4\n5,6\n')
    assert rows == [("1", "2", 2)]
    assert rejects == [(3, OPEN_QUOTE), (4, BEHIND_OPEN_QUOTE)]


def test_columns_are_chosen_in_any_order():
    assert parsed(b"1,2\n", ("b",))[0] == [("2", 2)]


def test_a_mark_and_a_quoted_line_end_belong_to_the_header():
    text = b'\xef\xbb\xbf"a", b\r\n1,2\r\n'
    assert header_of("log.csv", text) == (("a", "b"), text.index(b"1"), 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [(b"", "is empty"), (b"\n1,2\n", "is empty"), (b"a\xff\n", "not UTF-8"), (b"a\0b\n", "NUL")],
)
def test_a_header_that_says_nothing_is_refused(text, message):
    with pytest.raises(DataError, match=message):
        header_of("log.csv", text)


def test_a_quarantine_shows_no_more_than_one_can_read():
    assert shown(b"a\0\xff\r\n") == "a\\x00\\xff"
    long = shown(b"x" * 10_000)
    assert long.startswith("x" * SHOWN_CHARACTERS)
    assert long.endswith("(10,000 bytes)")
