"""Ends of a CSV file's records, as RFC 4180 has them: a quoted field may hold line breaks.

A quote opens a field only at its start; in the middle of an unquoted field it is a character like
any other, as Arrow and Python's ``csv`` have it. A quoted field must end with its closing quote:
a further character says that the quotes do not pair up, so that nobody can tell text from rows.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

_COMMA, _NEWLINE, _RETURN, _QUOTE = b',\n\r"'
_QUOTED = rb'"[^"]*(?:""[^"]*)*"'
_BARE = rb'[^",\n][^,\n]*'
_RECORD = re.compile(
    rb"(?:%(q)s|%(b)s)?(?:,(?:%(q)s|%(b)s)?)*\r?(?:\n|\Z)" % {b"q": _QUOTED, b"b": _BARE}
)
_QUOTED_FIELD = re.compile(_QUOTED + rb'(?!")')
_BARE_FIELD = re.compile(rb"[^,\n]*")


class Records(NamedTuple):
    """The records that some bytes begin with.

    Attributes:
      ends: End of each record, its line break included, int64 `[n]`, ascending. What follows the
        last one is the beginning of a record.
      whole: Whether its quotes pair up, bool `[n]`. One whose quotes do not reaches to the end of
        the line where that shows: at a character behind a closing quote or, where a quote stays
        open, at the end of the file.
    """

    ends: np.ndarray
    whole: np.ndarray


def find_records(data: bytes, final: bool) -> Records:
    """Finds the records in bytes that begin with one.

    Args:
      data: Part of a file, which begins where a record does.
      final: Whether the file ends with ``data``.
    """
    if b'"' not in data:
        buffer = np.frombuffer(data, np.uint8)
        return _closed(np.flatnonzero(buffer == _NEWLINE) + 1, data, final)
    return _by_parity(data, final) or _one_by_one(data, final)


def fields_of(record: bytes) -> list[bytes]:
    """The fields of a whole record, unquoted."""
    body = record.removesuffix(b"\n").removesuffix(b"\r")
    fields, at = [], 0
    while True:
        quoted = _QUOTED_FIELD.match(body, at)
        found = quoted or _BARE_FIELD.match(body, at)
        assert found is not None
        text = found.group()
        fields.append(text[1:-1].replace(b'""', b'"') if quoted else text)
        at = found.end() + 1
        if at > len(body):
            return fields


def _closed(ends: np.ndarray, data: bytes, final: bool, open_quote: bool = False) -> Records:
    whole = np.ones(len(ends), bool)
    if final and (int(ends[-1]) if len(ends) else 0) < len(data):
        return Records(np.append(ends, len(data)), np.append(whole, not open_quote))
    return Records(ends, whole)


def _by_parity(data: bytes, final: bool) -> Records | None:
    """All records at once; None unless every quote opens, closes or doubles as RFC 4180 says.

    Then a line break ends a record if an even number of quotes precedes it.
    """
    buffer = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(buffer == _QUOTE)
    opening, closing = quotes[0::2], quotes[1::2]
    before = buffer[opening[opening > 0] - 1]
    # An opening quote behind a quote is the second of a doubled one.
    if not np.isin(before, (_COMMA, _NEWLINE, _QUOTE)).all():
        return None
    padded = np.append(buffer, np.frombuffer(b"\n\n", np.uint8))
    after, then = padded[closing + 1], padded[closing + 2]
    ends_field = np.isin(after, (_COMMA, _NEWLINE, _QUOTE))
    if not (ends_field | ((after == _RETURN) & (then == _NEWLINE))).all():
        return None
    breaks = np.flatnonzero(buffer == _NEWLINE)
    ends = breaks[np.searchsorted(quotes, breaks) % 2 == 0] + 1
    return _closed(ends, data, final, open_quote=len(quotes) % 2 == 1)


def _one_by_one(data: bytes, final: bool) -> Records:
    ends: list[int] = []
    whole: list[bool] = []
    at = 0
    while at < len(data):
        found = _RECORD.match(data, at)
        if found is not None:
            at = found.end()
        else:
            fault = _fault(data, at)
            at = -1 if fault is None else data.find(b"\n", fault) + 1
            at = at if at > 0 else len(data)
        # What ends with the data and not with a line may go on.
        if at == len(data) and not final and (found is None or data[-1] != _NEWLINE):
            break
        ends.append(at)
        whole.append(found is not None)
    return Records(np.asarray(ends, np.int64), np.asarray(whole, bool))


def _fault(data: bytes, start: int) -> int | None:
    """Where a field goes on behind its closing quote; None if a quote stays open."""
    at = start
    while True:
        if data[at : at + 1] != b'"':
            found = _BARE_FIELD.match(data, at)
        else:
            found = _QUOTED_FIELD.match(data, at)
        if found is None:
            return None
        at = found.end()
        if data[at : at + 1] != b",":
            return at
        at += 1
