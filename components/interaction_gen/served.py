"""Logs of served requests as a source: read, check, group by session, join."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

import apache_beam as beam
import numpy as np
from apache_beam import pvalue

from components.interaction_gen import joining
from components.interaction_gen.config import ServedInteractionConfig
from components.session_example_gen.counts import Counts
from datasets.errors import DataError, fenced
from datasets.rewards import build_reward
from datasets.transition_checks import RecordFault
from datasets.transition_codec import TransitionBatch, concatenate
from datasets.transition_reader import Block, read_blocks

FAULTS, COUNTS = "faults", "counts"


class ReadRequests(beam.DoFn):
    """Reads a file of requests.

    Yields ``(bucket, Block)`` with the requests of some sessions, and the tagged outputs ``faults``
    (:class:`RecordFault`) and ``counts`` (:class:`Counts`, with the span of all times).
    """

    def __init__(self, config: ServedInteractionConfig, buckets: int):
        self._spec = config.spec
        self._buckets = buckets

    def process(self, element: str) -> Iterator:
        """See the class."""
        try:
            for block in read_blocks(element, self._spec, requests=True):
                yield from self._block(block, element)
        except DataError as error:
            raise fenced(error) from error

    def _block(self, block: Block, path: str) -> Iterator:
        counts = Counts()
        counts.add(("read", path), block.batch.size + len(block.faults))
        if block.batch.size:
            times = block.batch.timestamp_ms
            counts.span(int(times.min()), int(times.max()))
        yield pvalue.TaggedOutput(COUNTS, counts)
        for fault in block.faults:
            yield pvalue.TaggedOutput(FAULTS, fault)
        ids = np.unique(block.batch.session_id)
        bucket_of = {name: zlib.crc32(name.encode()) % self._buckets for name in ids.tolist()}
        buckets = np.asarray([bucket_of[name] for name in block.batch.session_id.tolist()], int)
        for bucket in np.unique(buckets).tolist():
            rows = np.flatnonzero(buckets == bucket)
            yield bucket, (path, block.records[rows], block.batch.rows(rows))


class JoinSessions(beam.DoFn):
    """Joins the requests of one bucket of sessions; main output :class:`TransitionBatch`."""

    def __init__(self, config: ServedInteractionConfig):
        self._config = config
        self._reward = build_reward(config.reward, config.spec.feedback_names)

    def process(
        self,
        element: tuple[int, Iterable[tuple[str, np.ndarray, TransitionBatch]]],
        spans: Counts,
    ) -> Iterator:
        """See the class; ``spans`` has the time of the log's last request."""
        parts = sorted(element[1], key=lambda part: (part[0], int(part[1][0])))
        requests = concatenate([batch for _, _, batch in parts])
        assert spans.last_ms is not None
        joined = joining.join_requests(
            requests, self._reward, spans.last_ms, self._config.open_minutes
        )
        paths = np.repeat([path for path, _, _ in parts], [batch.size for _, _, batch in parts])
        records = np.concatenate([numbers for _, numbers, _ in parts])
        counts = Counts()
        counts.add(("identical",), int((joined.reasons == joining.IDENTICAL).sum()))
        counts.add(("open",), int((joined.reasons == joining.OPEN).sum()))
        yield pvalue.TaggedOutput(COUNTS, counts)
        for row in np.flatnonzero(np.isin(joined.reasons, joining.BAD_REASONS)):
            fault = RecordFault(str(paths[row]), int(records[row]), str(joined.reasons[row]))
            yield pvalue.TaggedOutput(FAULTS, fault)
        if joined.transitions.size:
            yield joined.transitions


def count_fault(fault: RecordFault) -> Counts:
    """One quarantined request."""
    counts = Counts()
    counts.add(("quarantined", fault.path, fault.reason), 1)
    return counts
