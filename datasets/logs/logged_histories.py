"""Histories that session examples hold, of some sessions, as a service would keep them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from mtfx.datasets.history import PREFIX, TIME

_SESSION_ID = "session_id"
_SESSIONS = 512

#: Lists of one length by column, oldest impression first.
HistoryLists = dict[str, list[Any]]


def read_histories(
    patterns: str | Sequence[str],
    transform_output: tft.TFTransformOutput,
    sessions: Collection[str],
) -> dict[str, HistoryLists]:
    """Reads what was known before some sessions.

    Args:
      patterns: Globs of the gzipped TFRecord files that SessionExampleGen writes.
      transform_output: Transform's output, whose raw schema says what an example holds.
      sessions: Ids of the sessions that are wanted.

    Returns:
      By session id, its lists ``history_*``, text as bytes. A session that is not there, and every
      session of a log without histories, is left out.
    """
    spec = transform_output.raw_feature_spec()
    if TIME not in spec or not sessions:
        return {}
    names = [name for name in spec if name.startswith(PREFIX)]
    spec = {name: spec[name] for name in (_SESSION_ID, *names)}
    globs = [patterns] if isinstance(patterns, str) else list(patterns)
    files = sorted({path for glob in globs for path in tf.io.gfile.glob(glob)})
    records = tf.data.TFRecordDataset(files, compression_type="GZIP", buffer_size=1 << 20)
    dataset = records.batch(_SESSIONS).map(
        lambda batch: tf.io.parse_example(batch, spec), num_parallel_calls=tf.data.AUTOTUNE
    )
    wanted = {session.encode() for session in sessions}
    found: dict[str, HistoryLists] = {}
    for parsed in dataset.prefetch(2):
        for row, session in enumerate(parsed[_SESSION_ID].numpy()[:, 0].tolist()):
            if session in wanted:
                lists = {name: parsed[name][row].numpy().tolist() for name in names}
                found[session.decode()] = lists
    return found
