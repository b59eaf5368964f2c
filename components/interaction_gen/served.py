"""Logs of served requests as a source: read, check, group by session, join."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

import apache_beam as beam
import numpy as np
from apache_beam import pvalue

from mtfx.components.beam_results import Counts
from mtfx.components.interaction_gen import joining
from mtfx.components.interaction_gen.config import ServedInteractionConfig
from mtfx.datasets.rewards import build_reward
from mtfx.datasets.transitions.checks import RecordFault
from mtfx.datasets.transitions.codec import TransitionBatch, concatenate
from mtfx.datasets.transitions.reader import RecordBlock, read_blocks
from mtfx.errors import DataError, fenced
from mtfx.serving.plausible_time import main_span

FAULTS, COUNTS = "faults", "counts"
_GRAINS, _GRAIN_MS = "ten minutes", 600_000
#: A log without a request for so long misses a day, give or take what its join had to wait for.
_SILENCE_MS = 20 * 3_600_000


class ReadRequests(beam.DoFn):
    """Reads a file of requests.

    Yields ``(bucket, Block)`` with the requests of some sessions, and the tagged outputs ``faults``
    (:class:`RecordFault`) and ``counts`` (:class:`Counts`, with the span of all times, and how many
    are in which ten minutes).
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

    def _block(self, block: RecordBlock, path: str) -> Iterator:
        counts = Counts()
        counts.add(("read", path), block.batch.size + len(block.faults))
        if block.batch.size:
            times = block.batch.timestamp_ms
            counts.span(int(times.min()), int(times.max()))
            grains, numbers = np.unique(times // _GRAIN_MS, return_counts=True)
            for grain, number in zip(grains.tolist(), numbers.tolist(), strict=True):
                counts.add((_GRAINS, str(grain)), number)
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
        """See the class; ``spans`` has the times of all of the log's requests."""
        parts = sorted(element[1], key=lambda part: (part[0], int(part[1][0])))
        requests = concatenate([batch for _, _, batch in parts])
        joined = joining.join_requests(
            requests, self._reward, log_parts(spans), self._config.open_minutes
        )
        paths = np.repeat([path for path, _, _ in parts], [batch.size for _, _, batch in parts])
        records = np.concatenate([numbers for _, numbers, _ in parts])
        counts = Counts()
        counts.add(("identical",), int((joined.reasons == joining.IDENTICAL).sum()))
        counts.add(("open",), int((joined.reasons == joining.OPEN).sum()))
        counts.add(("begun",), int((joined.reasons == joining.BEGUN).sum()))
        yield pvalue.TaggedOutput(COUNTS, counts)
        for row in np.flatnonzero(np.isin(joined.reasons, joining.BAD_REASONS)):
            fault = RecordFault(str(paths[row]), int(records[row]), str(joined.reasons[row]))
            yield pvalue.TaggedOutput(FAULTS, fault)
        if joined.transitions.size:
            yield joined.transitions


def log_parts(spans: Counts) -> np.ndarray:
    """Begins and ends of what a log covers without a missing day, in ms, int64 `[P, 2]`.

    A few clocks that are years off do not move them.

    Args:
      spans: The span of all times, and how many are in which ten minutes.
    """
    sums = {int(key[1]): int(number) for key, number in spans.sums.items() if key[0] == _GRAINS}
    grains = np.asarray(sorted(sums), np.int64)
    span = main_span(grains * _GRAIN_MS, np.asarray([sums[grain] for grain in grains.tolist()]))
    assert span is not None
    assert spans.first_ms is not None
    assert spans.last_ms is not None
    times = grains[(grains * _GRAIN_MS >= span[0]) & (grains * _GRAIN_MS <= span[1])] * _GRAIN_MS
    breaks = np.flatnonzero(np.diff(times) > _SILENCE_MS)
    begins, ends = np.append(0, breaks + 1), np.append(breaks, len(times) - 1)
    parts = np.stack([times[begins], times[ends] + _GRAIN_MS - 1], axis=1)
    # At the log's own ends the times are known to the ms.
    return np.clip(parts, spans.first_ms, spans.last_ms)


def count_fault(fault: RecordFault) -> Counts:
    """One quarantined request."""
    counts = Counts()
    counts.add(("quarantined", fault.path, fault.reason), 1)
    return counts
