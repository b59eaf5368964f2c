"""Requests made of a log's sessions, to warm a ranker up and to check what it answers."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import tensorflow as tf

from mtfx.datasets.history import PREFIX
from mtfx.errors import DataError
from mtfx.serving.request_fields import TIMESTAMP_MS

#: Candidates of the requests: one, the default number, and a large set. TensorFlow plans memory
#: and kernels by shape, so the first request of a new size is slow.
SIZES = (1, 100, 500)
#: Read at most; enough for the largest size where sessions are short.
_SESSIONS = 2000


def read_sessions(patterns: Sequence[str]) -> list[bytes]:
    """Some serialized session examples of gzipped TFRecord files.

    Raises:
      DataError: if the files hold none.
    """
    files = sorted({path for pattern in patterns for path in tf.io.gfile.glob(pattern)})
    data = tf.data.TFRecordDataset(files, compression_type="GZIP").take(_SESSIONS)
    sessions = [record.numpy() for record in data]
    if not sessions:
        raise DataError(f"no session in {', '.join(patterns)}")
    return sessions


def merged_request(sessions: Iterable[bytes], candidates: int, item: str = "item_id") -> bytes:
    """One example with many candidates: the first session's user, the items of all.

    A feature whose list is as long as the items' in every session with two items or more belongs to
    the item, any other, and each list of earlier impressions, to the user and is given once, so
    that the ranker looks at the user once. The request's time is the first session's.

    Args:
      sessions: Serialized session examples.
      candidates: How many; where the sessions have fewer, their items come again.
      item: A feature that every impression has one value of.

    Returns:
      A serialized ``tf.Example``.

    Raises:
      DataError: if no session has an item.
    """
    parsed = [_columns(session) for session in sessions]
    parsed = [columns for columns in parsed if columns.get(item, ("", ()))[1]]
    if not parsed:
        raise DataError(f"no session has a {item}")
    of_user = {
        name
        for columns in parsed
        if (length := len(columns[item][1])) > 1
        for name, (_, values) in columns.items()
        if len(values) != length or name.startswith(PREFIX)
    }
    merged: Any = tf.train.Example()
    room = candidates
    for number, columns in enumerate(itertools.cycle(parsed)):
        taken = min(len(columns[item][1]), room)
        for name, (kind, values) in columns.items():
            if number and (name in of_user or name == TIMESTAMP_MS):
                continue
            kept = values if name in of_user else values[:taken]
            if name == TIMESTAMP_MS:
                kept = [min(values)] if values else []
            getattr(merged.features.feature[name], kind).value.extend(kept)
        room -= taken
        if not room:
            break
    return merged.SerializeToString()


def warmup_requests(sessions: Sequence[bytes], sizes: Sequence[int] = SIZES) -> list[bytes]:
    """Requests of several sizes.

    Args:
      sessions: Serialized session examples; each request begins with another one.
      sizes: Numbers of candidates.

    Returns:
      Serialized examples, as ``mtfx.serving.warmup`` takes them.
    """
    return [
        merged_request(sessions[number % len(sessions) :], size)
        for number, size in enumerate(sizes)
    ]


def _columns(session: bytes) -> dict[str, tuple[str, list[Any]]]:
    features: Any = tf.train.Example.FromString(session).features.feature
    columns = {}
    for name, feature in features.items():
        kind = feature.WhichOneof("kind")
        if kind is not None:
            columns[name] = (kind, list(getattr(feature, kind).value))
    return columns
