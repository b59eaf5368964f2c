"""A reader of CSV one character at a time, as RFC 4180 reads: slow, and easy to check."""

from __future__ import annotations


def records_of(data: bytes) -> list[tuple[bytes, bool]]:
    """The records of a whole file, and whether the quotes of each pair up."""
    records = []
    start = at = 0
    state = "field start"
    while at < len(data):
        byte = data[at : at + 1]
        at += 1
        if state == "quoted":
            state = "quote in quoted" if byte == b'"' else "quoted"
        elif byte == b"\n":
            records.append((data[start:at], state != "broken"))
            start, state = at, "field start"
        elif state == "broken":
            continue
        elif byte == b",":
            state = "field start"
        elif byte == b'"' and state in ("field start", "quote in quoted"):
            state = "quoted"
        elif state == "quote in quoted":
            ends = byte == b"\r" and data[at : at + 1] in (b"\n", b"")
            state = "quote in quoted" if ends else "broken"
        else:
            state = "bare"
    if start < len(data):
        records.append((data[start:], state not in ("quoted", "broken")))
    return records
