"""The model of a run on one split, impression by impression, as the Evaluator asks it.

TensorFlow Model Analysis keeps figures, not predictions. To compare two rankers on the same
impressions one needs both predictions of each and its user; they are gathered here from the served
signature, on the examples that SessionFlattener makes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from tfx.utils import io_utils, path_utils
from tfx_bsl.coders import example_coder

from mtfx.components.session_flattener import flatten_batch
from mtfx.datasets.logs.transformed import split_files
from mtfx.datasets.spec import Task

#: Sessions that are flattened at once, and impressions that the model is asked about at once.
_SESSIONS, _IMPRESSIONS = 512, 8192


@dataclasses.dataclass(frozen=True)
class JudgedSplit:
    """A split's impressions, in the order of its files.

    Attributes:
      users: Each impression's user, `[n]`.
      labels: By task, float32 `[n]`, ``mtfx.datasets.labels.UNKNOWN`` where unknown.
      predictions: By task, float32 `[n]`: probabilities, or values in the label's unit.
    """

    users: np.ndarray
    labels: dict[str, np.ndarray]
    predictions: dict[str, np.ndarray]


def judge(examples: str, schema: str, model: str, split: str, tasks: Sequence[Task]) -> JudgedSplit:
    """Asks a model about every impression of a split.

    Args:
      examples: URI of the raw session examples.
      schema: URI of their schema.
      model: URI of the Trainer's model.
      split: Name of the split.
      tasks: The model's tasks.

    Raises:
      ValueError: if the split has no impression.
    """
    read = io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(schema))
    loaded = tf.saved_model.load(path_utils.serving_model_path(model))
    serve = loaded.signatures["serving_default"]
    records = tf.data.TFRecordDataset(split_files(examples, split), compression_type="GZIP")
    decoder = example_coder.ExamplesToRecordBatchDecoder(read.SerializeToString())
    wanted = ["user_id", *(task.name for task in tasks)]
    columns: dict[str, list[np.ndarray]] = {name: [] for name in wanted}
    predictions: dict[str, list[np.ndarray]] = {task.name: [] for task in tasks}
    for sessions in records.batch(_SESSIONS).as_numpy_iterator():
        flat = flatten_batch(decoder.DecodeBatch(sessions), read)
        table = decoder.DecodeBatch(flat)
        for name, parts in columns.items():
            column = table.column(table.schema.get_field_index(name))
            parts.append(column.flatten().to_numpy(zero_copy_only=False))
        for start in range(0, len(flat), _IMPRESSIONS):
            found = serve(tf.constant(flat[start : start + _IMPRESSIONS]))
            for name, parts in predictions.items():
                parts.append(found[name].numpy()[:, 0])
    if not columns["user_id"]:
        raise ValueError(f"the {split} split has no impression")
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    return JudgedSplit(
        users=joined.pop("user_id"),
        labels={name: values.astype(np.float32) for name, values in joined.items()},
        predictions={name: np.concatenate(parts) for name, parts in predictions.items()},
    )
