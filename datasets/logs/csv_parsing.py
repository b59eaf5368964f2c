"""The header and the records of a CSV file: good rows on one side, rejects on the other.

Arrow parses what it can; a record that it would take for two, or for none, is parsed by itself, so
that one bad record neither ends the reading nor costs another row.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv

from mtfx.datasets.logs import csv_records
from mtfx.errors import DataError

#: A header is looked for in so many bytes.
HEADER_BYTES = 1 << 20
OPEN_QUOTE = "a quote opens a field, and no quote closes it where it ends (RFC 4180)"
BEHIND_OPEN_QUOTE = "behind the open quote of an earlier row"
NUL = "a NUL byte"
#: Of a rejected row, at most.
SHOWN_CHARACTERS = 1000
#: A record of more lines is looked through for rows.
_LINES = 3
_MARK = b"\xef\xbb\xbf"

#: File, row, reason, text.
Reject = tuple[str, int, str, str]


def header_of(path: str, beginning: bytes) -> tuple[tuple[str, ...], int, int]:
    """Reads a file's header.

    Args:
      path: The file, for messages.
      beginning: Its first bytes, all of them or :data:`HEADER_BYTES`.

    Returns:
      The column names, the bytes that the header takes, and its number of lines.

    Raises:
      DataError: if there is no header, or it is not UTF-8.
    """
    marked = len(_MARK) if beginning.startswith(_MARK) else 0
    text = beginning[marked:]
    complete = len(beginning) < HEADER_BYTES
    ends, whole = csv_records.find_records(text, complete)
    # Of a header whose quotes do not pair up, the line is shown to the check of the columns.
    end = int(ends[0]) if len(ends) and whole[0] else text.find(b"\n") + 1
    end = end or (len(text) if complete else 0)
    if not end and text:
        raise DataError(f"{path}, row 1: the header does not end within {HEADER_BYTES:,} bytes")
    record = text[:end]
    if not record.strip():
        raise DataError(f"{path} is empty: not even a header. Remove the file or copy it again")
    try:
        line = record.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}, row 1: the header is not UTF-8 ({error.reason})") from error
    if "\0" in line:
        raise DataError(f"{path}, row 1: the header has NUL bytes: save the file as UTF-8")
    try:
        names = next(csv.reader([line]))
    except csv.Error as error:
        raise DataError(
            f"{path}, row 1: the header cannot be read ({error}): end each line with \\n or \\r\\n"
        ) from error
    return tuple(name.strip() for name in names), marked + end, record.count(b"\n") or 1


def parse_records(
    payload: bytes,
    path: str,
    first_row: int,
    header: Sequence[str],
    columns: Sequence[str],
    row_column: str,
) -> tuple[pl.DataFrame, list[Reject]]:
    """Parses records.

    Args:
      payload: The records, the first one from its beginning, the last one to its end.
      path: The file.
      first_row: Row of the first record. A row is a line of the file, the first one is row 1; a
        record's row is that of its first line.
      header: The file's column names.
      columns: The names to keep.
      row_column: Name of the column that gets the row.

    Returns:
      The columns as text with the row's number, in the rows' order, and what was rejected. Of a
      record whose quotes do not pair up every line is rejected.
    """
    ends, usable = csv_records.find_records(payload, final=True)
    starts = np.append(0, ends[:-1])
    buffer = np.frombuffer(payload, np.uint8)
    breaks = np.flatnonzero(buffer == ord("\n"))
    rows = first_row + np.searchsorted(breaks, starts)
    behind = first_row + len(breaks) + (not payload.endswith(b"\n"))
    for index in np.flatnonzero(np.diff(rows, append=behind) > _LINES).tolist():
        usable[index] &= not _holds_rows(payload[starts[index] : ends[index]], len(header))
    rejects: list[Reject] = []
    for index in np.flatnonzero(~usable).tolist():
        rejects += _lines(payload[starts[index] : ends[index]], path, int(rows[index]))
    frames = []
    odd = _odd(payload, buffer, starts, ends)
    plain = usable & ~odd
    if plain.any():
        parsed = _by_arrow(payload, path, starts, ends, rows, plain, header, columns, row_column)
        if parsed is None:
            odd[:] = True
        else:
            frames.append(parsed[0])
            rejects += parsed[1]
    kept: list[tuple] = []
    places = [header.index(name) for name in columns]
    for index in np.flatnonzero(usable & odd).tolist():
        row, record = int(rows[index]), payload[starts[index] : ends[index]]
        fields, reason = _fields(record, len(header))
        if reason:
            rejects.append((path, row, reason, shown(record)))
        else:
            kept.append((*(fields[place] for place in places), row))
    schema = {**dict.fromkeys(columns, pl.String), row_column: pl.Int64}
    frames.append(pl.DataFrame(kept, schema=schema, orient="row"))
    frame = pl.concat(frames)
    return (frame.sort(row_column) if kept else frame), sorted(rejects, key=lambda one: one[1])


def _lines(record: bytes, path: str, first_row: int) -> list[Reject]:
    """A reject for each line: nobody can tell whether it is text or a row."""
    return [
        (path, first_row + offset, BEHIND_OPEN_QUOTE if offset else OPEN_QUOTE, shown(line))
        for offset, line in enumerate(record.removesuffix(b"\n").split(b"\n"))
    ]


def shown(record: bytes) -> str:
    """A record as a quarantine shows it: as it is in the file, and not more than one can read."""
    start = record[: 4 * SHOWN_CHARACTERS].removesuffix(b"\n").removesuffix(b"\r")
    text = start.decode("utf-8", "backslashreplace").replace("\0", "\\x00")
    if len(text) <= SHOWN_CHARACTERS and len(record) <= 4 * SHOWN_CHARACTERS:
        return text
    return f"{text[:SHOWN_CHARACTERS]}… ({len(record):,} bytes)"


def _odd(payload: bytes, buffer: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Records that Arrow does not read as one: with NUL, a lone carriage return, or not UTF-8."""
    odd = np.zeros(len(ends), bool)
    places = np.zeros(0, np.int64)
    if b"\0" in payload:
        places = np.flatnonzero(buffer == 0)
    if payload.count(b"\r") != payload.count(b"\r\n"):
        returns = np.flatnonzero(buffer == ord("\r"))
        alone = np.append(buffer, 0)[returns + 1] != ord("\n")
        places = np.append(places, returns[alone])
    odd[np.searchsorted(ends, places, side="right")] = True
    if not _is_utf8(payload):
        for index, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
            odd[index] |= not _is_utf8(payload[start:end])
    return odd


def _is_utf8(text: bytes) -> bool:
    if text.isascii():
        return True
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _holds_rows(record: bytes, width: int) -> bool:
    """Whether every inner line of a record would be a row of its own.

    A quote too many in one row and one in a later row then look like a quoted text of many lines.
    """
    inner = record.removesuffix(b"\n").split(b"\n")[1:-1]
    return width > 1 and all(line.count(b",") == width - 1 for line in inner)


def _by_arrow(
    payload: bytes,
    path: str,
    starts: np.ndarray,
    ends: np.ndarray,
    rows: np.ndarray,
    taken: np.ndarray,
    header: Sequence[str],
    columns: Sequence[str],
    row_column: str,
) -> tuple[pl.DataFrame, list[Reject]] | None:
    """The chosen records; None if Arrow makes another number of rows of them."""
    if not taken.all():
        spans = zip(starts[taken].tolist(), ends[taken].tolist(), strict=True)
        payload = b"".join(payload[start:end] for start, end in spans)
        rows, sizes = rows[taken], (ends - starts)[taken]
        ends = np.cumsum(sizes)
        starts = ends - sizes
    rejects: list[Reject] = []
    wrong: list[int] = []

    def on_invalid(row: pa.csv.InvalidRow) -> str:
        index = row.number - 1
        wrong.append(index)
        reason = _wrong_width(row.actual_columns, len(header))
        record = payload[starts[index] : ends[index]]
        rejects.append((path, int(rows[index]), reason, shown(record)))
        return "skip"

    try:
        table = pa.csv.read_csv(
            pa.BufferReader(payload),
            read_options=pa.csv.ReadOptions(
                column_names=header, use_threads=False, block_size=len(payload) + 1
            ),
            parse_options=pa.csv.ParseOptions(
                invalid_row_handler=on_invalid,
                ignore_empty_lines=False,
                newlines_in_values=b'"' in payload,
            ),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()),
                include_columns=columns,
                strings_can_be_null=False,
            ),
        )
    except (pa.ArrowException, IndexError):
        return None
    if table.num_rows + len(wrong) != len(ends):
        return None
    frame = pl.DataFrame(pl.from_arrow(table)) if columns else pl.DataFrame()
    numbers = pl.Series(row_column, np.delete(rows, wrong), pl.Int64)
    return frame.with_columns(numbers), rejects


def _fields(record: bytes, width: int) -> tuple[list[str], str]:
    """A record's fields, or why it cannot be used."""
    if b"\0" in record:
        return [], NUL
    try:
        record.decode("utf-8")
    except UnicodeDecodeError as error:
        return [], f"not UTF-8 at byte {error.start}"
    fields = [field.decode("utf-8") for field in csv_records.fields_of(record)]
    if fields == [""]:
        fields *= width
    return fields, "" if len(fields) == width else _wrong_width(len(fields), width)


def _wrong_width(actual: int, width: int) -> str:
    return f"{actual} fields where the header has {width}"
