"""Transition files in memory, ready to be sampled by an agent or an estimator."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from mtfx.datasets.transitions.candidates import CandidateRows
from mtfx.datasets.transitions.checks import RecordFault, write_faults
from mtfx.datasets.transitions.codec import TransitionBatch
from mtfx.datasets.transitions.reader import read_blocks
from mtfx.datasets.transitions.spec import MANIFEST, TransitionManifest, TransitionSpec
from mtfx.errors import DataError


@dataclasses.dataclass(frozen=True)
class TransitionTable:
    """N transitions as tensors: whole sessions, one after another, steps in order.

    The steps of every session count from 0 without gaps.

    Attributes:
      states: float32 `[N, S]`.
      actions: float32 `[N, A]` in [-1, 1].
      rewards: float32 `[N]`.
      next_states: float32 `[N, S]`, zeros where the discount is 0.
      discounts: float32 `[N]`, 0 at the end of a session; gamma multiplies it.
      steps: int32 `[N]`, from 0 in each session.
      session_index: int32 `[N]`, sessions in order of their first request's time, from 0.
      log_density: float32 `[N]`, log density of the action under the policy that took it; NaN where
        unknown.
      feedback: float32 `[N, F]`, 0 or 1.
      watch_s: float32 `[N]`, seconds.
      user_ids: str `[N]`.
      spec: Sizes and names.
      num_quarantined: Records left out because they are bad.
      num_cut: Good records left out because an earlier one of their session was.
      predictions: Of the candidates, float16 `[N, C, K]`, 0 where there is none; None unless they
        were asked for.
      mask: bool `[N, C]`, False where there is no candidate; None as ``predictions`` is.
      shown: Of the candidate that was shown, float16 `[N, K]`; None as ``predictions`` is.
    """

    states: tf.Tensor
    actions: tf.Tensor
    rewards: tf.Tensor
    next_states: tf.Tensor
    discounts: tf.Tensor
    steps: tf.Tensor
    session_index: tf.Tensor
    log_density: tf.Tensor
    feedback: tf.Tensor
    watch_s: tf.Tensor
    user_ids: np.ndarray
    spec: TransitionSpec
    num_quarantined: int = 0
    num_cut: int = 0
    predictions: tf.Tensor | None = None
    mask: tf.Tensor | None = None
    shown: tf.Tensor | None = None

    @property
    def num_transitions(self) -> int:
        """N."""
        return int(self.states.shape[0])

    @property
    def num_sessions(self) -> int:
        """Number of sessions."""
        return int(self.session_index[-1]) + 1


def load_transitions(
    pattern: str | Sequence[str],
    spec: TransitionSpec | None = None,
    max_transitions: int = 1_000_000,
    max_bad_share: float = 0.01,
    quarantine_path: str | None = None,
    candidates: int | None = None,
) -> TransitionTable:
    """Reads transition files.

    Args:
      pattern: Glob pattern or patterns of the files, whose names are in order of time as
        ``InteractionGen`` writes them.
      spec: What the transitions must be; None takes what their manifest says.
      max_transitions: About how many to keep: the latest whole sessions of so many transitions,
        and at least one session. BatchRL-MTF's buffer holds 100,000; a million of state size 71
        take 0.7 GB.
      max_bad_share: Share of bad records, above which nothing is returned.
      quarantine_path: CSV file for the bad records (``file, record, reason``); written only if
        there are any.
      candidates: How many candidates of a request to keep, drawn at random; 0 keeps all, and None
        keeps no predictions.

    Raises:
      ValueError: if a limit is out of its range.
      DataError: if there is no file or no transition; if the manifest or the records do not fit
        ``spec``; if a file is damaged; if too many records are bad; if the candidates do not fit
        into memory. The message names the file, and
        the first bad record.
    """
    if max_transitions < 1:
        raise ValueError(f"max_transitions must be at least 1, not {max_transitions}")
    if not 0 <= max_bad_share <= 1:
        raise ValueError(f"max_bad_share is a share from 0 to 1, not {max_bad_share}")
    patterns = [pattern] if isinstance(pattern, str) else list(pattern)
    paths = sorted({path for one in patterns for path in tf.io.gfile.glob(one)})
    paths = [path for path in paths if os.path.basename(path) != MANIFEST]
    if not paths:
        raise DataError(f"no transition file matches {' or '.join(patterns)}")
    spec = _checked_spec(paths, spec)
    rows, faults = _Rows(None if candidates is None else CandidateRows(candidates)), []
    read = 0
    # The latest sessions are in the last files.
    for path in reversed(paths):
        for block in read_blocks(path, spec):
            rows.add(block.batch)
            faults += block.faults
            read += block.batch.size + len(block.faults)
        # Most records bad: the files are of another kind, and the rest need not be read to say so.
        if rows.size >= max_transitions or len(faults) > max(rows.size, 1000):
            break
    _check_faults(faults, read, max_bad_share, quarantine_path)
    if not rows.size:
        why = f" that can be used: all {read:,} are bad, such as {faults[0]}" if faults else ""
        raise DataError(f"{' and '.join(patterns)}: the files hold no transitions{why}")
    return rows.table(spec, max_transitions, len(faults))


def _checked_spec(paths: list[str], spec: TransitionSpec | None) -> TransitionSpec:
    """The spec, compared with the manifests beside the files or in the directory above."""
    for folder in sorted({os.path.dirname(path) for path in paths}):
        for directory in (folder, os.path.dirname(folder)):
            if tf.io.gfile.exists(os.path.join(directory, MANIFEST)):
                manifest = TransitionManifest.read(directory)
                if spec is not None:
                    manifest.spec.check_is(spec, directory)
                spec = manifest.spec
                break
    if spec is None:
        raise DataError(
            f"there is no {MANIFEST} beside {paths[0]} or in the directory above it, so the sizes "
            "of its transitions are unknown"
        )
    return spec


def _check_faults(faults: list[RecordFault], read: int, limit: float, path: str | None) -> None:
    if not faults:
        return
    faults = sorted(faults, key=lambda fault: (fault.path, fault.record))
    if path is not None:
        write_faults(faults, path)
    where = f"; all are in {path}" if path else ""
    message = f"{len(faults):,} of {read:,} transitions are bad: {faults[0]}{where}"
    if len(faults) / read > limit:
        raise DataError(
            f"{message}. That is more than {limit:.1%}: write the files again, or allow a larger "
            "share of bad records"
        )
    logging.getLogger("mtfx.progress").warning("%s. They are left out", message)


class _Rows:
    """What a table keeps of the records read so far."""

    _KEPT = (
        "state",
        "action",
        "reward",
        "next_state",
        "discount",
        "step",
        "session_id",
        "log_density",
        "feedback",
        "watch_s",
        "user_id",
        "timestamp_ms",
    )

    def __init__(self, candidates: CandidateRows | None) -> None:
        self.size = 0
        self._candidates = candidates
        self._parts: dict[str, list[np.ndarray]] = {name: [] for name in self._KEPT}

    def add(self, batch: TransitionBatch) -> None:
        self.size += batch.size
        for name, parts in self._parts.items():
            parts.append(getattr(batch, name))
        if self._candidates is not None:
            self._candidates.add(batch)

    def table(self, spec: TransitionSpec, limit: int, quarantined: int) -> TransitionTable:
        columns = {name: np.concatenate(parts) for name, parts in self._parts.items()}
        order, session = _whole_sessions(
            columns["session_id"], columns["step"], columns["timestamp_ms"]
        )
        cut = self.size - len(order)
        if not len(order):
            raise DataError(
                "no session's first request is among the transitions: no session is whole"
            )
        # The latest sessions that together have no more than the limit.
        counts = np.bincount(session)
        from_end = np.cumsum(counts[::-1])[::-1]
        first = min(int(np.sum(from_end > limit)), len(counts) - 1)
        keep = session >= first
        order, session = order[keep], session[keep] - first
        taken = {name: values[order] for name, values in columns.items()}
        predictions = mask = shown = None
        if self._candidates is not None:
            predictions, mask = map(tf.constant, self._candidates.padded(order))
            shown = tf.constant(self._candidates.shown(order))
        return TransitionTable(
            states=tf.constant(taken["state"]),
            actions=tf.constant(taken["action"]),
            rewards=tf.constant(taken["reward"]),
            next_states=tf.constant(taken["next_state"]),
            discounts=tf.constant(taken["discount"]),
            steps=tf.constant(taken["step"], tf.int32),
            session_index=tf.constant(session, tf.int32),
            log_density=tf.constant(taken["log_density"]),
            feedback=tf.constant(taken["feedback"]),
            watch_s=tf.constant(taken["watch_s"]),
            user_ids=taken["user_id"],
            spec=spec,
            num_quarantined=quarantined,
            num_cut=cut,
            predictions=predictions,
            mask=mask,
            shown=shown,
        )


def _whole_sessions(
    session_ids: np.ndarray, steps: np.ndarray, times: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rows in order of session and step, without those after a gap in their session's steps.

    Returns:
      Row numbers int64 `[M]`, and the session of each, from 0 in order of the first times.
    """
    _, session = np.unique(session_ids, return_inverse=True)
    start = np.full(session.max() + 1, np.iinfo(np.int64).max)
    np.minimum.at(start, session, times)
    order = np.lexsort((steps, session, start[session]))
    ordered = session[order]
    new = np.append(True, ordered[1:] != ordered[:-1])
    begins = np.flatnonzero(new)
    place = np.arange(len(order)) - begins[np.cumsum(new) - 1]
    # A session's steps are distinct, so once one is beyond its place, all later ones are too.
    whole = steps[order] == place
    order, ordered = order[whole], ordered[whole]
    new = np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]
    return order, np.cumsum(new) - 1
