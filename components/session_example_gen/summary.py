"""What SessionExampleGen did with a log, as a JSON file beside the examples."""

from __future__ import annotations

import dataclasses
import json
import os

import tensorflow as tf

from components.session_example_gen import gaps
from components.session_example_gen.config import SessionExampleGenConfig
from components.session_example_gen.counts import Counts
from datasets.errors import DataError
from datasets.sessions import SPLITS
from datasets.spec import DatasetSpec

FILE_NAME = "ingestion.json"


@dataclasses.dataclass(frozen=True)
class IngestionSummary:
    """Counts of one run of SessionExampleGen.

    Attributes:
      dataset: The data set.
      files: Rows read and quarantined of each file: ``{path: {rows, quarantined}}``.
      quarantined: Rows quarantined by reason.
      duplicates: Identical rows dropped.
      split_sessions: Sessions split because of their length.
      implied: Impressions known only by a later event of theirs.
      sessions: Sessions by split.
      impressions: Impressions by split.
      daily: Rows of ``{day, split, impressions, <task>: sum of its known labels, known: {<task>:
        number of them}}``.
      data_span_ms: First and last impression, Unix time in ms.
      notes: What was missing or left out, in words.
      config: The component's configuration.
      unknown_labels: Impressions without a known label, by task and split, where there are any.
      filled: Empty cells read as a default, see ``gaps.filled_cells``.
      joined: What each side table met, see ``gaps.joined_tables``.
    """

    dataset: str
    files: dict[str, dict[str, int]]
    quarantined: dict[str, int]
    duplicates: int
    split_sessions: int
    implied: int
    sessions: dict[str, int]
    impressions: dict[str, int]
    daily: list[dict]
    data_span_ms: tuple[int, int] | None
    notes: list[str]
    config: dict
    unknown_labels: dict[str, dict[str, int]] = dataclasses.field(default_factory=dict)
    filled: dict[str, dict[str, int]] = dataclasses.field(default_factory=dict)
    joined: dict[str, dict] = dataclasses.field(default_factory=dict)

    def write(self, uri: str) -> None:
        """Writes the summary below an artifact's URI."""
        with tf.io.gfile.GFile(os.path.join(uri, FILE_NAME), "w") as file:
            file.write(json.dumps(dataclasses.asdict(self), indent=1))

    @classmethod
    def read(cls, uri: str) -> IngestionSummary:
        """Reads the summary of an Examples artifact."""
        with tf.io.gfile.GFile(os.path.join(uri, FILE_NAME)) as file:
            return cls(**json.loads(file.read()))


def summarise(
    counts: Counts,
    config: SessionExampleGenConfig,
    notes: list[str],
    table_files: dict[str, list[str]],
) -> IngestionSummary:
    """Arranges the workers' counts.

    Args:
      counts: Of all workers.
      config: The component's.
      notes: What was known before the files were read.
      table_files: Files of the side tables that are there.
    """
    files: dict[str, dict[str, int]] = {}
    quarantined: dict[str, int] = {}
    daily: dict[tuple[str, str], dict] = {}
    sessions: dict[str, int] = dict.fromkeys(SPLITS, 0)
    impressions: dict[str, int] = dict.fromkeys(SPLITS, 0)
    by_split = {"sessions": sessions, "impressions": impressions}
    for key, number in sorted(counts.sums.items()):
        kind, *rest = key
        if kind == "rows":
            files.setdefault(rest[0], {"rows": 0, "quarantined": 0})["rows"] += number
        elif kind == "quarantined":
            files.setdefault(rest[0], {"rows": 0, "quarantined": 0})["quarantined"] += number
            quarantined[rest[1]] = quarantined.get(rest[1], 0) + number
        elif kind in by_split:
            by_split[kind][rest[0]] = number
        elif kind in ("daily", "known"):
            day, split, column = rest
            row = daily.setdefault((day, split), {"day": day, "split": split, "known": {}})
            (row if kind == "daily" else row["known"])[column] = number
    notes = [*notes, *_notes_on_values(counts, config.spec())]
    span = None
    if counts.first_ms is not None and counts.last_ms is not None:
        span = (counts.first_ms, counts.last_ms)
    rows = list(daily.values())
    unknown, filled = gaps.unknown_labels(rows), gaps.filled_cells(counts)
    joined = gaps.joined_tables(counts)
    said = gaps.sentences(
        config.spec(), sum(impressions.values()), unknown, filled, joined, table_files
    )
    return IngestionSummary(
        dataset=config.dataset,
        files=files,
        quarantined=quarantined,
        duplicates=counts.sums[("duplicates",)],
        split_sessions=counts.sums[("split_sessions",)],
        implied=counts.sums[("implied",)],
        sessions=sessions,
        impressions=impressions,
        daily=rows,
        data_span_ms=span,
        notes=[*notes, *said],
        config=dataclasses.asdict(config),
        unknown_labels=unknown,
        filled=filled,
        joined=joined,
    )


def _notes_on_values(counts: Counts, spec: DatasetSpec) -> list[str]:
    """What is odd about the columns of several values."""
    notes = []
    for feature in spec.features:
        if feature.kind != "multivalued":
            continue
        name, most = feature.name, feature.max_values
        if many := counts.sums[("many_values", name)]:
            notes.append(
                f"{many:,} impressions have more than {most} values of {name}: the {most} most "
                "frequent ones count"
            )
        if counts.sums[("with_values", name)] and not counts.sums[("several_values", name)]:
            notes.append(
                f"no impression has more than one value of {name}: is {spec.delimiter(name)!r} "
                "the delimiter of its column?"
            )
    return notes


def check_bad_rows(summary: IngestionSummary, limit: float, quarantine: str) -> None:
    """Raises DataError if a file's share of quarantined rows exceeds ``limit``."""
    for path, numbers in summary.files.items():
        share = numbers["quarantined"] / max(numbers["rows"], 1)
        if share > limit:
            reasons = ", ".join(f"{n} x {reason}" for reason, n in summary.quarantined.items())
            raise DataError(
                f"{path}: {numbers['quarantined']} of {numbers['rows']} rows ({share:.1%}) are "
                f"bad, more than --max-bad-rows {limit:.1%} allows. Reasons in all "
                f"files: {reasons}. The rows are in {quarantine}"
            )
