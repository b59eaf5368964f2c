"""The end of both sources' pipelines: transitions are split by time and written, and counted."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam import pvalue

from mtfx.components.beam_results import NO_SPLITS, Counts
from mtfx.components.interaction_gen.cuts import (
    SPLITS,
    Cuts,
    MergeStartCounts,
    cuts_from,
    session_starts,
    start_counts,
)
from mtfx.components.session_example_gen.encoding import write_examples
from mtfx.datasets.transitions.codec import TransitionBatch, concatenate, encode_transitions
from mtfx.datasets.transitions.spec import TransitionSpec
from mtfx.errors import DataError

_COUNTS = "counts"


@dataclasses.dataclass(frozen=True)
class Target:
    """Where transitions go.

    Attributes:
      uri: Of the Examples artifact.
      spec: Sizes and names.
      eval_fraction: Share of the sessions, the last ones, in ``eval``.
      shards: Files per split; 0 derives it from the number of transitions.
    """

    uri: str
    spec: TransitionSpec
    eval_fraction: float
    shards: int


class WriteTransitions(beam.PTransform):
    """Writes a PCollection of :class:`TransitionBatch`, each of whole sessions.

    A file holds the sessions of a range of time, in order of their start, so that what is written
    does not depend on how the sessions were spread over workers, and the order of the files' names
    is that of time.

    Returns:
      A PCollection of :class:`Counts`, with one of kind ``NO_SPLITS`` if there is nothing to split.
    """

    def __init__(self, target: Target):
        super().__init__()
        self._target = target

    def expand(self, input_or_inputs: pvalue.PCollection) -> pvalue.PValue:
        """See the class."""
        target, batches = self._target, input_or_inputs
        cuts: Any = (
            batches
            | "Starts" >> beam.Map(start_counts)
            | "MergeStarts" >> beam.CombineGlobally(MergeStartCounts())
            | "Cuts"
            >> beam.FlatMap(_cuts, target.eval_fraction, target.shards).with_outputs(
                _COUNTS, main="cuts"
            )
        )
        written = (
            batches
            | "ByFile" >> beam.FlatMap(_by_file, pvalue.AsSingleton(cuts.cuts))
            | "GroupByFile" >> beam.GroupByKey()
            | "Write" >> beam.Map(_write, target, pvalue.AsSingleton(cuts.cuts))
        )
        return (written, cuts[_COUNTS]) | "Written" >> beam.Flatten()


def _cuts(counts: np.ndarray, eval_fraction: float, shards: int) -> Iterator:
    """Yields the cuts; why there are none is a count, for the caller, which knows its cause."""
    try:
        yield cuts_from(counts, eval_fraction, shards)
    except DataError as error:
        why = Counts()
        why.add((NO_SPLITS, str(error)), 1)
        yield pvalue.TaggedOutput(_COUNTS, why)
        yield Cuts({split: np.zeros(1, np.int64) for split in SPLITS})


def _by_file(
    batch: TransitionBatch, cuts: Cuts
) -> Iterator[tuple[tuple[int, int], TransitionBatch]]:
    split, shard = cuts.place(session_starts(batch))
    for key in np.unique(np.stack([split, shard], axis=1), axis=0).tolist():
        rows = np.flatnonzero((split == key[0]) & (shard == key[1]))
        yield (key[0], key[1]), batch.rows(rows)


def _write(
    element: tuple[tuple[int, int], Iterable[TransitionBatch]], target: Target, cuts: Cuts
) -> Counts:
    """Files are named after their place in time, so that a retried bundle writes the same file."""
    (index, shard), batches = element
    split = SPLITS[index]
    batch = concatenate(list(batches))
    batch = batch.rows(np.lexsort((batch.step, batch.session_id, session_starts(batch))))
    name = f"data_tfrecord-{shard:05d}-of-{len(cuts.starts[split]):05d}.gz"
    write_examples(
        encode_transitions(batch, target.spec),
        f"{target.uri}/Split-{split}/{name}",
        f"{target.uri}/.temporary/{split}-{name}",
    )
    return _count(batch, split, target.spec)


def _count(batch: TransitionBatch, split: str, spec: TransitionSpec) -> Counts:
    counts = Counts()
    counts.add(("transitions", split), batch.size)
    counts.add(("sessions", split), int((batch.step == 0).sum()))
    counts.add(("ended", split), int((batch.discount == 0).sum()))
    # Sums in float64: float32 loses digits over many transitions.
    counts.add(("reward", split), float(batch.reward.sum(dtype=np.float64)))
    counts.add(("squared_reward", split), float(np.square(batch.reward.astype(np.float64)).sum()))
    counts.add(("watch_s", split), float(batch.watch_s.sum(dtype=np.float64)))
    for name, number in zip(spec.feedback_names, batch.feedback.sum(axis=0), strict=True):
        counts.add(("feedback", split, name), float(number))
    policies, numbers = np.unique(batch.behaviour_policy, return_counts=True)
    for policy, number in zip(policies, numbers, strict=True):
        counts.add(("behaviour", split, str(policy)), int(number))
    counts.add(("unknown_density", split), int(np.isnan(batch.log_density).sum()))
    counts.span(int(batch.timestamp_ms.min()), int(batch.timestamp_ms.max()))
    return counts
