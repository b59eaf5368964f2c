"""Sessions as files: one shard of each split for a bucket of users, and what is counted of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import polars as pl

from mtfx.components.beam_results import Counts
from mtfx.components.session_example_gen import encoding
from mtfx.components.session_example_gen.encoding import PastImpressions
from mtfx.components.session_example_gen.reading import ROWS
from mtfx.components.session_example_gen.statistics import with_statistics
from mtfx.components.session_example_gen.transforms import only_written
from mtfx.datasets.history import WATCH_SHARE, has_watch_share
from mtfx.datasets.logs import readers, sessions
from mtfx.datasets.logs.history import watch_share
from mtfx.datasets.spec import DatasetSpec

ANSWERS = "answers"


class WriteSplits(beam.DoFn):
    """Writes one bucket's sessions as one shard of each split and yields counts."""

    def __init__(self, spec: DatasetSpec, uri: str, shards: int, history_length: int):
        self._spec = spec
        self._uri = uri
        self._shards = shards
        self._length = history_length if spec.history is not None else 0

    def process(
        self, element: tuple[int, dict[str, Iterable[Any]]], boundaries: tuple[int, int]
    ) -> Iterator[Counts]:
        """Shards are named after their bucket, so that a retried bundle writes the same file."""
        bucket, parts = element
        for payload in parts[ROWS]:
            impressions = readers.from_ipc(payload)
            if self._length and has_watch_share(self._spec):
                share = watch_share(impressions, self._spec)
                impressions = impressions.with_columns(share.alias(WATCH_SHARE))
            written = with_statistics(
                only_written(impressions), impressions, parts[ANSWERS], self._spec
            )
            if not self._length:
                yield from self._write(bucket, written, None, boundaries)
                continue
            past = PastImpressions(impressions, self._spec, self._length)
            yield from self._write(bucket, written, past, boundaries)
            counts = Counts()
            for name, number in past.counts.items():
                counts.add(("history", name), number)
            yield counts

    def _write(
        self,
        bucket: int,
        written: pl.DataFrame,
        past: PastImpressions | None,
        boundaries: tuple[int, int],
    ) -> Iterator[Counts]:
        split = sessions.split_of(written["session_start_ms"].to_numpy(), boundaries)
        for index, name in enumerate(sessions.SPLITS):
            part = written.filter(pl.Series(split == index))
            if not part.height:
                continue
            shard = f"data_tfrecord-{bucket:05d}-of-{self._shards:05d}.gz"
            temporary = f"{self._uri}/.temporary/{name}-{shard}"
            examples = encoding.encode_sessions(part, self._spec, past)
            encoding.write_examples(examples, f"{self._uri}/Split-{name}/{shard}", temporary)
            yield self._count(part, name)

    def _count(self, part: pl.DataFrame, split: str) -> Counts:
        counts = Counts()
        counts.add(("sessions", split), part["session_id"].n_unique())
        counts.add(("impressions", split), part.height)
        times = part["timestamp_ms"]
        counts.span(int(times.min()), int(times.max()))  # type: ignore[arg-type]
        day = pl.from_epoch("timestamp_ms", time_unit="ms").dt.strftime("%Y-%m-%d")
        labels = [task.name for task in self._spec.tasks]
        daily = part.group_by(day=day).agg(
            pl.len().alias("impressions"),
            pl.col(labels).sum(),
            pl.col(labels).count().name.suffix("/known"),
        )
        for row in daily.iter_rows(named=True):
            for name in ("impressions", *labels):
                counts.add(("daily", row["day"], split, name), row[name])
            for name in labels:
                counts.add(("known", row["day"], split, name), row[f"{name}/known"])
        for feature in self._spec.features:
            if feature.kind == "multivalued":
                delimiter = self._spec.delimiter(feature.name)
                text = part[feature.name]
                values = text.str.count_matches(delimiter, literal=True) + 1
                counts.add(("with_values", feature.name), int((text != "").sum()))
                counts.add(("many_values", feature.name), int((values > feature.max_values).sum()))
                counts.add(("several_values", feature.name), int((values > 1).sum()))
        return counts
