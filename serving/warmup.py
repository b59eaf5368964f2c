"""Warm-up requests: what TF Serving answers before it lets a version take traffic.

The format is TF Serving's: TFRecords of ``PredictionLog`` in ``assets.extra``. The load test sends
the same requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from mtfx.files import atomic_path
from mtfx.serving.messages import REQUEST, SIGNATURE
from mtfx.serving.request_fields import HISTORY_PREFIX

FILE = "tf_serving_warmup_requests"
#: TF Serving's own limit; a version with more requests does not load.
MAX_REQUESTS = 1000


def write_warmup(ranker: Path, requests: Sequence[bytes], model: str = "ranker") -> Path:
    """Writes warm-up requests into an exported ranker, whole or not at all.

    Args:
      ranker: The SavedModel's directory.
      requests: Serialized examples.
      model: Name that the ranker is served under.

    Returns:
      The file.

    Raises:
      ValueError: if there are none, or more than TF Serving takes.
    """
    if not 1 <= len(requests) <= MAX_REQUESTS:
        raise ValueError(f"1 to {MAX_REQUESTS:,} warm-up requests are needed, not {len(requests)}")
    path = ranker / "assets.extra" / FILE
    with atomic_path(path) as partial, tf.io.TFRecordWriter(str(partial)) as writer:
        for request in requests:
            log: Any = prediction_log_pb2.PredictionLog()
            message = log.predict_log.request
            message.model_spec.name, message.model_spec.signature_name = model, SIGNATURE
            message.inputs[REQUEST].CopyFrom(tf.make_tensor_proto(request, tf.string, shape=[]))
            writer.write(log.SerializeToString())
    return path


def read_warmup(ranker: Path) -> list[bytes]:
    """The warm-up requests of an exported ranker; the inverse of :func:`write_warmup`.

    Raises:
      FileNotFoundError: if there are none.
      ValueError: if the file is damaged.
    """
    path = ranker / "assets.extra" / FILE
    if not path.is_file():
        raise FileNotFoundError(f"{ranker} has no warm-up requests ({path.name}): export it again")
    requests = []
    try:
        for record in tf.data.TFRecordDataset(str(path)):
            log: Any = prediction_log_pb2.PredictionLog.FromString(record.numpy())
            inputs = log.predict_log.request.inputs
            requests.append(tf.make_ndarray(inputs[REQUEST]).item())
    except (tf.errors.DataLossError, ValueError, TypeError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if not requests:
        raise ValueError(f"{path} is damaged: it holds no request")
    return requests


def num_candidates(request: bytes) -> int:
    """Candidates of a request: the longest list that is not of earlier impressions."""
    try:
        features: Any = tf.train.Example.FromString(request).features.feature
    except DecodeError:
        return 1
    lists = (
        getattr(one, one.WhichOneof("kind") or "int64_list").value
        for name, one in features.items()
        if not name.startswith(HISTORY_PREFIX)
    )
    return max(map(len, lists), default=0)
