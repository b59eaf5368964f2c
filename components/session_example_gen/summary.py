"""Summary of what SessionExampleGen did with a log, as a JSON file beside the examples."""

from __future__ import annotations

import dataclasses
import json
import os
from collections import Counter
from collections.abc import Sequence

import tensorflow as tf

from mtfx.components.beam_results import NO_SPLITS, Counts
from mtfx.components.session_example_gen import gaps
from mtfx.components.session_example_gen.config import SessionExampleGenConfig
from mtfx.datasets.logs.sessions import SPLITS
from mtfx.datasets.spec import DatasetSpec
from mtfx.errors import DataError, in_words
from mtfx.files import read_json

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
      past_files: As ``files``, of the deliveries that are only looked back on.
      history: ``sessions``, those ``with_history`` and ``without_history``, and their
        ``mean_length``, the earlier impressions of a session that has some; empty where the
        examples have no such lists.
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
    past_files: dict[str, dict[str, int]] = dataclasses.field(default_factory=dict)
    history: dict[str, float] = dataclasses.field(default_factory=dict)

    def write(self, uri: str) -> None:
        """Writes the summary below an artifact's URI."""
        with tf.io.gfile.GFile(os.path.join(uri, FILE_NAME), "w") as file:
            file.write(json.dumps(dataclasses.asdict(self), indent=1))

    @classmethod
    def read(cls, uri: str) -> IngestionSummary:
        """Reads the summary of an Examples artifact."""
        return cls(**read_json(os.path.join(uri, FILE_NAME)))


def summarise(
    counts: Counts,
    config: SessionExampleGenConfig,
    notes: list[str],
    table_files: dict[str, list[str]],
    past: Sequence[str] = (),
) -> IngestionSummary:
    """Arranges the workers' counts.

    Args:
      counts: Of all workers.
      config: The component's.
      notes: What was known before the files were read.
      table_files: Files of the side tables that are there.
      past: Files of the log that are only looked back on.
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
    history = _history(counts)
    notes = [*notes, *_notes_on_values(counts, config.spec()), *_notes_on_history(history, config)]
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
        files={path: rows for path, rows in files.items() if path not in past},
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
        past_files={path: files[path] for path in past if path in files},
        history=history,
    )


def _history(counts: Counts) -> dict[str, float]:
    sessions = counts.sums[("history", "sessions")]
    if not sessions:
        return {}
    found = counts.sums[("history", "with_history")]
    return {
        "sessions": int(sessions),
        "with_history": int(found),
        "without_history": int(sessions - found),
        "mean_length": round(counts.sums[("history", "earlier")] / max(found, 1), 2),
    }


def _notes_on_history(history: dict[str, float], config: SessionExampleGenConfig) -> list[str]:
    if not history:
        return []
    share = history["with_history"] / history["sessions"]
    past = config.history_deliveries
    also = f", in {len(past)} earlier deliveries too" if past else ""
    return [
        f"{history['with_history']:,} of {history['sessions']:,} sessions ({share:.1%}) look back "
        f"on earlier impressions of their user{also}: {history['mean_length']:.1f} in the mean, at "
        f"most {config.history_length}"
    ]


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


def check_bad_rows(counts: Counts, limit: float, quarantine: str) -> None:
    """Raises DataError if a file's share of quarantined rows exceeds ``limit``."""
    over = []
    for path, rows in _by_file(counts, "rows").items():
        reasons = _reasons(counts, path)
        if sum(reasons.values()) > limit * rows:
            over.append((path, rows, reasons))
    if not over:
        return
    path, rows, reasons = over[0]
    bad = sum(reasons.values())
    others = f" So are too many of {len(over) - 1} other file(s)." if len(over) > 1 else ""
    raise DataError(
        f"{path}: {bad} of {rows} rows ({bad / rows:.1%}) are bad, more than --max-bad-rows "
        f"{limit:.1%} allows: {in_words(reasons)}.{others} The rows are in {quarantine}"
    )


def check_splits(counts: Counts, log: list[str], quarantine: str) -> None:
    """Raises DataError if time cannot split the sessions, with what is known of the cause."""
    found = [key[1] for key in counts.sums if key[0] == NO_SPLITS]
    if not found:
        return
    read = _by_file(counts, "rows")
    rows = sum(read.get(path, 0) for path in log)
    bad: Counter[str] = Counter()
    for path in log:
        bad.update(_reasons(counts, path))
    causes = [f"{rows} rows were read from {', '.join(log)}"]
    if bad:
        causes.append(
            f"{sum(bad.values())} of them are bad: {in_words(bad)}; they are in {quarantine}"
        )
    if duplicates := counts.sums[("duplicates",)]:
        causes.append(f"{duplicates} of them repeat another row to the letter")
    raise DataError(f"{found[0]}. {'; '.join(causes)}")


def _by_file(counts: Counts, kind: str) -> dict[str, int]:
    return {key[1]: number for key, number in sorted(counts.sums.items()) if key[0] == kind}


def _reasons(counts: Counts, path: str) -> Counter[str]:
    """How many of a file's rows are bad by reason."""
    found = {k[2]: n for k, n in counts.sums.items() if k[:2] == ("quarantined", path)}
    return Counter(found)
