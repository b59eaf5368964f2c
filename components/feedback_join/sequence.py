"""Joins of consecutive logs: which goes on from which, and what waits beside one for the next.

The names of their directories count days, or are dates.
"""

from __future__ import annotations

import datetime
import hashlib
import re
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.ipc

from mtfx.components.feedback_join.joining import Waiting
from mtfx.errors import DataError
from mtfx.files import read_json

SUMMARY_FILE = "join.json"
#: Below a join's directory. No reader of joined requests takes Arrow files for Parquet's.
WAITING = "waiting"
#: In place of a directory: the one whose name comes before, or none.
AUTO, NONE = "auto", "none"


class Earlier(NamedTuple):
    """The join before one.

    Attributes:
      directory: None where there is none to go on from.
      state: Digest of what waits there.
      last_ms: Time of its log's last row.
      notes: Why there is none although one seems to be there, a sentence each.
    """

    directory: Path | None = None
    state: str = ""
    last_ms: int = 0
    notes: tuple[str, ...] = ()


def earlier_join(output: Path, wanted: str, span: tuple[int, int], wait_ms: int) -> Earlier:
    """Finds the join of the log before.

    Args:
      output: Directory of the join that is to be run.
      wanted: ``AUTO``, ``NONE`` or a directory. ``AUTO`` takes the one of the same parent whose
        name is the same but for lower numbers (``day-2`` before ``day-3``, ``2026-11-30`` before
        ``2026-12-01``), if no log is missing in between: the numbers or dates follow each other, or
        the logs' times do.
      span: First and last time of the log, in ms; zeros for a log without rows.
      wait_ms: How long feedback is waited for.

    Raises:
      DataError: if the wanted directory holds no join of an earlier log.
    """
    if wanted == NONE:
        return Earlier()
    found = _neighbour(output, -1) if wanted == AUTO else Path(wanted)
    if found is None:
        return Earlier()
    values = _summary(found)
    fault = "there is no join" if values is None else _fault(found, values, span)
    if values is None or fault:
        if wanted != AUTO:
            raise DataError(f"--earlier-output {wanted}: {fault}")
        return Earlier(notes=(f"{found} is not gone on from: {fault}.",))
    near = bool(span[1]) and span[0] - values["last_ms"] <= wait_ms
    follows = near or _follow(found.name, output.name)
    if wanted == AUTO and not follows:
        note = (
            f"between {found.name}, whose log ends at {_time(values['last_ms'])}, and this log, "
            f"which begins at {_time(span[0])}, a join is missing: {values['waiting']:,} requests "
            f"wait in {found} and are not in this one. Join what is between and run this again; if "
            f"nothing was logged, give --earlier-output {found}."
        )
        return Earlier(notes=(note,))
    return Earlier(found, values["state"], values["last_ms"])


def outdated_notes(output: Path, span: tuple[int, int], state: str) -> tuple[str, ...]:
    """Says if the join after this one was run before it, or with what waited here at that time.

    Args:
      output: Directory of the join.
      span: Of its log.
      state: What waits there now.
    """
    later = _neighbour(output, 1)
    values = None if later is None else _summary(later)
    if later is None or values is None or values.get("first_ms", 0) <= span[0]:
        return ()
    took = values.get("earlier", "") == output.name
    if took and values["earlier_state"] == state:
        return ()
    if not took and not _follow(output.name, later.name):
        return ()
    return (f"{later} was joined without what waits here now: join it again.",)


def _summary(directory: Path) -> dict | None:
    try:
        return read_json(directory / SUMMARY_FILE)
    except (OSError, ValueError):
        return None


def _fault(directory: Path, values: dict, span: tuple[int, int]) -> str:
    if not values.get("state"):
        return "its join kept nothing of what waits, as an earlier release's; run it again"
    if span[1] and not (values["first_ms"] < span[0] and values["last_ms"] <= span[1]):
        return (
            f"its log ({_time(values['first_ms'])} to {_time(values['last_ms'])}) is not before "
            f"this one ({_time(span[0])} to {_time(span[1])})"
        )
    return ""


def _neighbour(output: Path, step: int) -> Path | None:
    """The join in the same parent whose name comes next before (-1) or after (1)."""
    pattern, mine = _parts(output.name)
    if not mine or not output.absolute().parent.is_dir():
        return None
    found = {}
    for path in output.absolute().parent.iterdir():
        same, numbers = _parts(path.name)
        if same == pattern and step * _sign(numbers, mine) > 0 and (path / SUMMARY_FILE).exists():
            found[numbers] = output.parent / path.name
    if not found:
        return None
    return found[max(found) if step < 0 else min(found)]


def _sign(numbers: tuple[int, ...], others: tuple[int, ...]) -> int:
    return (numbers > others) - (numbers < others)


def _parts(name: str) -> tuple[str, tuple[int, ...]]:
    """A name without its numbers, and these."""
    return re.sub(r"\d+", "#", name), tuple(int(number) for number in re.findall(r"\d+", name))


def _follow(name: str, later: str) -> bool:
    """Whether there is no name between two: the next number, or the next day's date."""
    one, other = _parts(name)[1], _parts(later)[1]
    dates = _date(one), _date(other)
    if dates[0] is not None and dates[1] is not None:
        return (dates[1] - dates[0]).days == 1
    return one[:-1] == other[:-1] and other[-1] - one[-1] == 1


def _date(numbers: tuple[int, ...]) -> datetime.date | None:
    if len(numbers) == 1 and 20_000_101 <= numbers[0] < 21_000_101:
        numbers = (numbers[0] // 10_000, numbers[0] // 100 % 100, numbers[0] % 100)
    if len(numbers) != 3 or not 2000 <= numbers[0] < 2100:
        return None
    try:
        return datetime.date(*numbers)
    except ValueError:
        return None


def _time(time_ms: int) -> str:
    when = datetime.datetime.fromtimestamp(time_ms / 1000, datetime.timezone.utc)
    return when.isoformat(" ", "minutes").removesuffix("+00:00") + " UTC"


def write_waiting(waiting: Waiting, directory: str | Path, part: int) -> None:
    """Writes one part; empty tables are left out."""
    for name, rows in waiting._asdict().items():
        if rows.height:
            path = Path(directory, WAITING, f"{name}-{part:05d}.arrow")
            rows.write_ipc(path, compat_level=pl.CompatLevel.oldest())


def waiting_files(directory: str | Path) -> list[tuple[str, str]]:
    """Names of :class:`Waiting`'s tables and paths of their files, in order."""
    paths = sorted(Path(directory, WAITING).glob("*.arrow"))
    return [(path.name.rsplit("-", 1)[0], str(path)) for path in paths]


def read_waiting(path: str) -> pa.Table:
    """The rows of one file.

    Raises:
      DataError: if it is damaged.
    """
    try:
        with pa.OSFile(path) as file:
            return pa.ipc.open_file(file).read_all()
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(
            f"{path} is damaged ({error}): join that directory's log again, then this one"
        ) from error


def digest(directory: str | Path) -> str:
    """Of all that waits; the same for the same rows."""
    found = hashlib.sha256()
    for name, path in waiting_files(directory):
        found.update(f"{name} {Path(path).name}\n".encode())
        found.update(Path(path).read_bytes())
    return found.hexdigest()[:16]
