"""The join as a Beam pipeline over Parquet files."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import shutil
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import polars as pl
import pyarrow as pa
import pyarrow.compute
from apache_beam import pvalue
from apache_beam.options.pipeline_options import PipelineOptions

from mtfx.components.beam_results import Counts, MergeCounts
from mtfx.components.feedback_join.checks import Examples, check
from mtfx.components.feedback_join.config import FeedbackJoinConfig, FeedbackJoinSummary
from mtfx.components.feedback_join.joining import Waiting, join
from mtfx.components.feedback_join.log_files import SCHEMAS, log_files, log_span, read_rows
from mtfx.components.feedback_join.sequence import (
    AUTO,
    SUMMARY_FILE,
    WAITING,
    Earlier,
    digest,
    earlier_join,
    outdated_notes,
    read_waiting,
    waiting_files,
    write_waiting,
)
from mtfx.errors import DataError, data_error_in, fenced
from mtfx.files import read_json, write_json
from mtfx.serving.interaction_log import FEEDBACK, REQUESTS, SHOWN

QUARANTINE_FILE = "quarantine.csv"
_COUNTS_FILE, _EXAMPLES_FILE = "counts.json", "examples.json"
_BAD, _EXAMPLES = "bad", "examples"
#: Tables of a part: the log's two, and those of what waited, under names of their own.
_SCHEMAS = {
    **SCHEMAS,
    f"{WAITING}/requests": SCHEMAS[REQUESTS],
    f"{WAITING}/feedback": SCHEMAS[FEEDBACK],
    f"{WAITING}/settled": pa.schema(
        [SCHEMAS[REQUESTS].field(name) for name in ("request_id", "timestamp_ms")]
    ),
}


def join_feedback(
    log_dir: str,
    output_dir: str,
    config: FeedbackJoinConfig,
    beam_args: Sequence[str] = (),
    earlier: str = AUTO,
) -> FeedbackJoinSummary:
    """Joins a service's two logs.

    Requests at the log's end, and the feedback that they have so far, are kept in
    ``output_dir/waiting`` for the join of the next log: it takes them from there, and writes no
    request again that is written here. Nothing else ties the two, so each may be run again.

    Args:
      log_dir: With ``requests/`` and ``feedback/``, as ``mtfx.serving.interaction_log`` writes
        them.
      output_dir: Gets Parquet files that ``ServedInteractionGen`` reads, ``join.json`` and, if rows
        were unusable, ``quarantine.csv``; must not exist, or be an earlier join's.
      config: Settings.
      beam_args: Of the runner.
      earlier: Directory of the join of the log before; see ``sequence.earlier_join``.

    Returns:
      What was joined and what was left out.

    Raises:
      DataError: if a log is missing or damaged, too many rows are unusable, feedback does not meet
        the requests, or the output directory holds something else. Nothing but the quarantine is
        written then.
    """
    output = Path(output_dir)
    if output.exists() and any(output.iterdir()) and not (output / SUMMARY_FILE).exists():
        raise DataError(f"{output_dir} holds other files: give a directory of the join's own")
    files = log_files(log_dir)
    span = log_span(files, config.max_bad_share)
    before = earlier_join(output, earlier, span, config.wait_ms)
    if not span[1]:
        span = (before.last_ms, before.last_ms)
    partial = Path(f"{output_dir.rstrip('/')}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / WAITING).mkdir(parents=True)
    try:
        _run(_inputs(files, before), partial, config, span[1], beam_args)
        if (shown := Path(log_dir, SHOWN)).is_dir():
            # Features of what was shown need no feedback; they go where the day's requests are.
            shutil.copytree(shown, partial / SHOWN, ignore=shutil.ignore_patterns(".*"))
        summary, examples = _outcome(partial)
        quarantine = Path(f"{output}.{QUARANTINE_FILE}")
        check(summary, examples, config, partial / QUARANTINE_FILE, quarantine)
        summary = _placed(summary, span, before, partial, output)
        write_json(partial / SUMMARY_FILE, dataclasses.asdict(summary))
    except Exception as error:
        shutil.rmtree(partial, ignore_errors=True)
        if (found := data_error_in(error)) is not None:
            raise DataError(str(found)) from error
        raise
    # Whoever is killed in between leaves the earlier join under the other name, not nothing.
    replaced = Path(f"{output_dir.rstrip('/')}.earlier")
    shutil.rmtree(replaced, ignore_errors=True)
    if output.exists():
        output.rename(replaced)
    partial.rename(output)
    shutil.rmtree(replaced, ignore_errors=True)
    return summary


def _inputs(files: dict[str, list[str]], before: Earlier) -> list[tuple[str, str]]:
    """Table and path of each file."""
    named = [(name, path) for name, paths in files.items() for path in paths]
    if before.directory is not None:
        named += [(f"{WAITING}/{name}", path) for name, path in waiting_files(before.directory)]
    return named


def _placed(
    summary: FeedbackJoinSummary,
    span: tuple[int, int],
    before: Earlier,
    partial: Path,
    output: Path,
) -> FeedbackJoinSummary:
    """With what says where the join stands among those of other logs."""
    state = digest(partial)
    return dataclasses.replace(
        summary,
        first_ms=span[0],
        last_ms=span[1],
        earlier="" if before.directory is None else before.directory.resolve().name,
        earlier_state=before.state,
        state=state,
        notes=(*before.notes, *outdated_notes(output, span, state)),
    )


def _run(
    files: list[tuple[str, str]],
    directory: Path,
    config: FeedbackJoinConfig,
    log_end_ms: int,
    args: Sequence[str],
) -> None:
    with beam.Pipeline(options=PipelineOptions(list(args))) as pipeline:
        joined = (
            pipeline
            | "Files" >> beam.Create(files)
            | "Spread" >> beam.Reshuffle()
            | "Read" >> beam.ParDo(_ReadRows(config.files))
            | "ByRequest" >> beam.GroupByKey()
            | "Join"
            >> beam.ParDo(_JoinPart(config, str(directory), log_end_ms)).with_outputs(
                _BAD, _EXAMPLES, main="counts"
            )
        )
        _ = (
            joined["counts"]
            | "MergeCounts" >> beam.CombineGlobally(MergeCounts())
            | "KeepCounts" >> beam.Map(_write_counts, str(directory / _COUNTS_FILE))
        )
        _ = (
            joined[_BAD]
            | "BadTogether" >> beam.GroupBy(lambda _: 0)
            | "KeepBad" >> beam.Map(_write_bad, str(directory / QUARANTINE_FILE))
        )
        _ = (
            joined[_EXAMPLES]
            | "ExamplesTogether" >> beam.combiners.ToList()
            | "KeepExamples" >> beam.Map(_write_examples, str(directory / _EXAMPLES_FILE))
        )


class _ReadRows(beam.DoFn):
    """Reads a file; yields rows by part."""

    def __init__(self, parts: int) -> None:
        self._parts = parts

    def process(self, element: tuple[str, str]) -> Iterator:
        name, path = element
        try:
            for table in read_rows(path, name) if name in SCHEMAS else [read_waiting(path)]:
                ids = table["request_id"].to_pylist()
                parts = pa.array([zlib.crc32((one or "").encode()) % self._parts for one in ids])
                for part in parts.unique().to_pylist():
                    yield part, (name, path, table.filter(pa.compute.equal(parts, part)))
        except DataError as error:
            raise fenced(error) from error


class _JoinPart(beam.DoFn):
    """Joins and writes one part; yields its counts, unusable rows as ``bad``, and ``examples``."""

    def __init__(self, config: FeedbackJoinConfig, directory: str, log_end_ms: int) -> None:
        self._config, self._directory, self._log_end_ms = config, directory, log_end_ms

    def process(self, element: tuple[int, Iterable[tuple[str, str, pa.Table]]]) -> Iterator:
        part, tables = element
        # Workers deliver in any order; what is first must not depend on it.
        ordered = sorted(tables, key=lambda table: table[1])
        frames = {
            name: pl.DataFrame(
                pl.from_arrow(
                    pa.concat_tables(
                        [
                            schema.empty_table(),
                            *(t.cast(schema) for kind, _, t in ordered if kind == name),
                        ]
                    )
                )
            )
            for name, schema in _SCHEMAS.items()
        }
        earlier = Waiting(*(frames[f"{WAITING}/{name}"] for name in Waiting._fields))
        joined = join(frames[REQUESTS], frames[FEEDBACK], self._config, self._log_end_ms, earlier)
        if joined.requests.height:
            joined.requests.write_parquet(os.path.join(self._directory, f"part-{part:05d}.parquet"))
        write_waiting(joined.waiting, self._directory, part)
        counts = Counts()
        for name, number in joined.counts.items():
            counts.add((name,), number)
        yield counts
        yield pvalue.TaggedOutput(_EXAMPLES, Examples(joined.orphans, joined.silent))
        for log, request, reason in joined.bad.rows():
            counts = Counts()
            counts.add(("bad", f"{log}: {reason}"), 1)
            yield counts
            yield pvalue.TaggedOutput(_BAD, (log, request or "", reason))


def _write_counts(counts: Counts, path: str) -> None:
    Path(path).write_text(json.dumps([[*key, number] for key, number in counts.sums.items()]))


def _write_bad(element: tuple[int, Iterable[tuple[str, str, str]]], path: str) -> None:
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["log", "request_id", "reason"])
        writer.writerows(sorted(element[1]))


def _write_examples(parts: list[Examples], path: str) -> None:
    orphans, silent = ({name for part in parts for name in part[kind]} for kind in (0, 1))
    Path(path).write_text(json.dumps([sorted(orphans), sorted(silent)]))


def _outcome(directory: Path) -> tuple[FeedbackJoinSummary, Examples]:
    """What the workers counted, taken out of the directory."""
    rows, examples = (read_json(directory / name) for name in (_COUNTS_FILE, _EXAMPLES_FILE))
    for name in (_COUNTS_FILE, _EXAMPLES_FILE):
        (directory / name).unlink()
    bad = {key[1]: int(number) for *key, number in rows if key[0] == "bad"}
    counted: dict[str, Any] = {key[0]: int(n) for *key, n in rows if key[0] != "bad"}
    return FeedbackJoinSummary(**counted, bad=bad), Examples(*examples)
