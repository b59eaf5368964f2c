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

import apache_beam as beam
import polars as pl
import pyarrow as pa
import pyarrow.parquet
from apache_beam import pvalue
from apache_beam.options.pipeline_options import PipelineOptions

from components.feedback_join.config import FeedbackJoinConfig, FeedbackJoinSummary
from components.feedback_join.joining import join
from components.session_example_gen.counts import Counts, MergeCounts
from datasets import arrow_types
from datasets.errors import DataError, data_error_in, fenced
from serving.interaction_log import (
    FEEDBACK,
    FEEDBACK_SCHEMA,
    REQUEST_SCHEMA,
    REQUESTS,
    SHOWN,
)

SUMMARY_FILE, QUARANTINE_FILE = "join.json", "quarantine.csv"
_SCHEMAS = {REQUESTS: REQUEST_SCHEMA, FEEDBACK: FEEDBACK_SCHEMA}
_BATCH_ROWS = 10_000
_COUNTS, _BAD = "counts", "bad"


def join_feedback(
    log_dir: str,
    output_dir: str,
    config: FeedbackJoinConfig,
    beam_args: Sequence[str] = (),
) -> FeedbackJoinSummary:
    """Joins a service's two logs.

    Args:
      log_dir: With ``requests/`` and ``feedback/``, as ``serving.interaction_log`` writes them.
      output_dir: Gets Parquet files that ``ServedInteractionGen`` reads, ``join.json`` and, if rows
        were unusable, ``quarantine.csv``; must not exist, or be an earlier join's.
      config: Settings.
      beam_args: Of the runner.

    Returns:
      What was joined and what was left out.

    Raises:
      DataError: if a log is missing or damaged, too many rows are unusable, or the output directory
        holds something else. Nothing but the quarantine is written then.
    """
    output = Path(output_dir)
    if output.exists() and any(output.iterdir()) and not (output / SUMMARY_FILE).exists():
        raise DataError(f"{output_dir} holds other files: give a directory of the join's own")
    files = {name: _files(log_dir, name) for name in _SCHEMAS}
    partial = Path(f"{output_dir.rstrip('/')}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        _run(files, str(partial), config, beam_args)
    except Exception as error:
        shutil.rmtree(partial, ignore_errors=True)
        if (found := data_error_in(error)) is not None:
            raise DataError(str(found)) from error
        raise
    if (shown := Path(log_dir, SHOWN)).is_dir():
        # Features of what was shown need no feedback; they go where the day's requests are.
        shutil.copytree(shown, partial / SHOWN, ignore=shutil.ignore_patterns(".*"))
    summary = _summary(partial)
    _check(summary, partial, output, config)
    (partial / SUMMARY_FILE).write_text(json.dumps(dataclasses.asdict(summary), indent=1))
    # Whoever is killed in between leaves the earlier join under the other name, not nothing.
    earlier = Path(f"{output_dir.rstrip('/')}.earlier")
    shutil.rmtree(earlier, ignore_errors=True)
    if output.exists():
        output.rename(earlier)
    partial.rename(output)
    shutil.rmtree(earlier, ignore_errors=True)
    return summary


def _files(log_dir: str, name: str) -> list[str]:
    directory = Path(log_dir, name)
    paths = sorted(str(path) for path in directory.glob("*.parquet"))
    if not paths and name == REQUESTS:
        raise DataError(f"{directory} holds no Parquet file of served requests")
    if not directory.is_dir():
        # An empty log says that nobody did anything; none at all says that the path is wrong.
        raise DataError(f"there is no directory {directory}: where was the feedback written?")
    return paths


def _run(
    files: dict[str, list[str]], directory: str, config: FeedbackJoinConfig, args: Sequence[str]
) -> None:
    named = [(name, path) for name, paths in files.items() for path in paths]
    with beam.Pipeline(options=PipelineOptions(list(args))) as pipeline:
        read = (
            pipeline
            | "Files" >> beam.Create(named)
            | "Spread" >> beam.Reshuffle()
            | "Read" >> beam.ParDo(_ReadRows(config.files)).with_outputs(_COUNTS, main="rows")
        )
        ends = read[_COUNTS] | "LogEnd" >> beam.CombineGlobally(MergeCounts())
        joined = (
            read["rows"]
            | "ByRequest" >> beam.GroupByKey()
            | "Join"
            >> beam.ParDo(_JoinPart(config, directory), pvalue.AsSingleton(ends)).with_outputs(
                _BAD, main="counts"
            )
        )
        _ = (
            joined["counts"]
            | "MergeCounts" >> beam.CombineGlobally(MergeCounts())
            | "KeepCounts" >> beam.Map(_write_counts, os.path.join(directory, "counts.json"))
        )
        _ = (
            joined[_BAD]
            | "BadTogether" >> beam.GroupBy(lambda _: 0)
            | "KeepBad" >> beam.Map(_write_bad, os.path.join(directory, QUARANTINE_FILE))
        )


class _ReadRows(beam.DoFn):
    """Reads a file; yields rows by part, and the span of its times as ``counts``."""

    def __init__(self, parts: int) -> None:
        self._parts = parts

    def process(self, element: tuple[str, str]) -> Iterator:
        name, path = element
        try:
            yield from self._rows(name, path)
        except DataError as error:
            raise fenced(error) from error

    def _rows(self, name: str, path: str) -> Iterator:
        schema = _SCHEMAS[name]
        try:
            file = pyarrow.parquet.ParquetFile(path)
            if missing := set(schema.names) - set(file.schema_arrow.names):
                raise DataError(f"{path} lacks the columns {', '.join(sorted(missing))}")
            for batch in file.iter_batches(_BATCH_ROWS, columns=schema.names):
                table = _in_ms(pa.Table.from_batches([batch])).cast(schema)
                counts = Counts()
                times = table["timestamp_ms"].drop_null().to_numpy()
                if len(times):
                    counts.span(int(times.min()), int(times.max()))
                yield pvalue.TaggedOutput(_COUNTS, counts)
                ids = table["request_id"].to_pylist()
                parts = pa.array([zlib.crc32((one or "").encode()) % self._parts for one in ids])
                for part in parts.unique().to_pylist():
                    yield part, (name, path, table.filter(pa.compute.equal(parts, part)))
        except (
            pa.ArrowInvalid,
            pa.ArrowTypeError,
            pa.ArrowNotImplementedError,
            OSError,
        ) as error:
            raise DataError(f"{path} is damaged or no Parquet file of {name}: {error}") from error


def _in_ms(table: pa.Table) -> pa.Table:
    """With times of a timestamp type as what the log's own are."""
    place = table.schema.get_field_index("timestamp_ms")
    times = table.column(place)
    if arrow_types.meaning(times.type) in ("date", "duration"):
        raise pa.ArrowTypeError(f"column timestamp_ms is of type {times.type}: write a timestamp")
    return table.set_column(place, "timestamp_ms", arrow_types.arrow_in_ms(times))


class _JoinPart(beam.DoFn):
    """Joins and writes one part; yields its counts, and its unusable rows as ``bad``."""

    def __init__(self, config: FeedbackJoinConfig, directory: str) -> None:
        self._config, self._directory = config, directory

    def process(
        self, element: tuple[int, Iterable[tuple[str, str, pa.Table]]], ends: Counts
    ) -> Iterator:
        part, tables = element
        # Workers deliver in any order; what is first must not depend on it.
        ordered = sorted(tables, key=lambda table: table[1])
        frames = {
            name: pl.DataFrame(
                pl.from_arrow(
                    pa.concat_tables(
                        [schema.empty_table(), *(t for kind, _, t in ordered if kind == name)]
                    )
                )
            )
            for name, schema in _SCHEMAS.items()
        }
        joined = join(frames[REQUESTS], frames[FEEDBACK], self._config, ends.last_ms or 0)
        if joined.requests.height:
            joined.requests.write_parquet(os.path.join(self._directory, f"part-{part:05d}.parquet"))
        counts = Counts()
        for name, number in joined.counts.items():
            counts.add((name,), number)
        yield counts
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


def _summary(directory: Path) -> FeedbackJoinSummary:
    path = directory / "counts.json"
    rows = json.loads(path.read_text())
    path.unlink()
    bad = {key[1]: int(number) for *key, number in rows if key[0] == "bad"}
    return FeedbackJoinSummary(
        **{key[0]: int(number) for *key, number in rows if key[0] != "bad"}, bad=bad
    )


def _check(
    summary: FeedbackJoinSummary, partial: Path, output: Path, config: FeedbackJoinConfig
) -> None:
    for log, rows in ((REQUESTS, summary.requests), (FEEDBACK, summary.feedback)):
        bad = sum(number for reason, number in summary.bad.items() if reason.startswith(log))
        if bad > config.max_bad_share * rows:
            kept = Path(f"{output}.{QUARANTINE_FILE}")
            shutil.copyfile(partial / QUARANTINE_FILE, kept)
            shutil.rmtree(partial)
            reasons = ", ".join(f"{reason} ({n:,})" for reason, n in summary.bad.items())
            raise DataError(
                f"{bad:,} of {rows:,} rows of the {log} log are unusable: {reasons}; they are "
                f"listed in {kept}. Mend the log, or allow a larger share with --max-bad-rows"
            )
