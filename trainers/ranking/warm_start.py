"""Warm start: a ranking model begins with the weights of an earlier one.

Keras' own loading needs the same shapes, and vocabularies grow from day to day; so the rows of
embedding tables are carried over by the value that they stand for.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from mtfx.errors import DataError
from mtfx.models.ranking_model import RankingModel

_TABLE = re.compile(r"/(?:history_)?embedding_(?P<table>[^/]+)/embeddings:0\Z")


@dataclasses.dataclass(frozen=True)
class WarmStart:
    """What was carried over.

    Attributes:
      variables: Variables that have the earlier model's values.
      rows: Of the embedding tables by name: rows carried over, and rows in all.
    """

    variables: int
    rows: dict[str, tuple[int, int]]


def earlier_weights(
    base_model: str,
    transform_output: tft.TFTransformOutput,
    on_start: Callable[[WarmStart], None] | None = None,
) -> Callable[[RankingModel], None]:
    """A function that gives a built model the weights of an exported one.

    Every value of a vocabulary that the earlier model knew keeps its embedding; a new one, and the
    out-of-vocabulary buckets that the earlier model lacks, keep the random one they have. The
    optimizer starts anew: its moments are no part of a served model.

    Args:
      base_model: Directory of a SavedModel that ``mtfx.models.export.ranking`` wrote.
      transform_output: Of the new model.
      on_start: Told what was carried over.

    Returns:
      A function for ``initial_weights`` of :func:`mtfx.trainers.ranking.training.train`. It raises
      DataError if there is no such model, or one of another configuration.
    """

    def give(model: RankingModel) -> None:
        earlier = _variables(base_model)
        if len(earlier) != len(model.trainable_variables):
            raise _differs(
                base_model,
                f"it has {len(earlier)} weights, not {len(model.trainable_variables)}",
            )
        rows: dict[str, tuple[int, int]] = {}
        values: list[tuple[tf.Variable, np.ndarray]] = []
        # By place: Keras numbers the layers of a process, so the same weight may have two names.
        for variable, (old_name, old) in zip(model.trainable_variables, earlier, strict=True):
            name = variable.name
            if _last(name) != _last(old_name):
                raise _differs(base_model, f"it has {old_name} in place of {name}")
            table = _TABLE.search(name)
            same_width = table is not None and old.shape[1:] == tuple(variable.shape[1:])
            if not same_width and old.shape != tuple(variable.shape):
                raise _differs(
                    base_model, f"its {old_name} is {list(old.shape)}, not {list(variable.shape)}"
                )
            if table is not None:
                old, kept = carry_rows(
                    old,
                    variable.numpy(),
                    _vocabulary(os.path.join(base_model, "assets", table["table"])),
                    _vocabulary(transform_output.vocabulary_file_by_name(table["table"])),
                )
                rows[table["table"]] = (kept, len(old))
            values.append((variable, old))
        for variable, value in values:
            variable.assign(value)
        if on_start is not None:
            on_start(WarmStart(len(values), rows))

    return give


def carry_rows(
    old: np.ndarray, new: np.ndarray, old_values: Sequence[bytes], new_values: Sequence[bytes]
) -> tuple[np.ndarray, int]:
    """Carries an embedding table's rows over to another vocabulary.

    Args:
      old: The earlier table, float32 `[old value + bucket, embedding]`; the out-of-vocabulary
        buckets are its last rows.
      new: The new table as it was initialised, likewise.
      old_values: The earlier vocabulary, in the order of the rows.
      new_values: The new one.

    Returns:
      The new table, and how many of its rows are the earlier one's.
    """
    merged = new.copy()
    place = {value: row for row, value in enumerate(old_values)}
    known = [(row, place[value]) for row, value in enumerate(new_values) if value in place]
    buckets = min(len(old) - len(old_values), len(new) - len(new_values))
    known += [(len(new_values) + i, len(old_values) + i) for i in range(buckets)]
    if known:
        to, of = np.asarray(known).T
        merged[to] = old[of]
    return merged, len(known)


def _last(name: str) -> str:
    return name.rsplit("/", 1)[-1]


def _variables(base_model: str) -> list[tuple[str, np.ndarray]]:
    """The trainable variables of an exported model with their names, in order."""
    try:
        loaded = tf.saved_model.load(base_model)
        variables = loaded.model_variables
    except (OSError, AttributeError, tf.errors.OpError) as error:
        raise DataError(
            f"{base_model} is no ranking model to start from ({error}); give the directory of a "
            "model that `mtfx ranking` made"
        ) from error
    return [(variable.name, variable.numpy()) for variable in variables if variable.trainable]


def _vocabulary(path: str | None) -> list[bytes]:
    if path is None or not tf.io.gfile.exists(path):
        return []
    with tf.io.gfile.GFile(path, "rb") as file:
        return file.read().removesuffix(b"\n").split(b"\n")


def _differs(base_model: str, what: str) -> DataError:
    return DataError(
        f"the model in {base_model} cannot be started from: {what}. Train with its "
        "backbone, sizes and tasks, or start without it"
    )
