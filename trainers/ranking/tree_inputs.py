"""Columns that boosted trees can read, of what a ranking model is trained on.

Batches come from the model's own input pipeline, so the trees see what the model sees and nothing
else. Of the user's history, which is a list, they get summaries: how many entries, the mean and the
last of each feedback, the time since, and the same of the entries that have the impression's own
item, author or other value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mtfx.datasets.history import PREFIX
from mtfx.datasets.labels import UNKNOWN
from mtfx.datasets.spec import Task
from mtfx.evaluation.ranking.trees import TreeInputs
from mtfx.models.history_columns import HistoryColumns
from mtfx.models.input_features import InputFeature
from mtfx.trainers.ranking.input import impression_batches

#: Seconds from each entry to the impression, -1 where there is no entry.
AGE = "history_age_s"
_BATCH = 4096


def read_tree_inputs(
    file_patterns: str | Sequence[str],
    feature_spec: Mapping[str, Any],
    inputs: Sequence[InputFeature],
    tasks: Sequence[Task],
    buckets: Mapping[str, int] | None = None,
    history: HistoryColumns | None = None,
) -> TreeInputs:
    """Reads transformed session examples.

    Args:
      file_patterns: As for :func:`mtfx.trainers.ranking.input.impression_batches`, as are the
        next three.
      feature_spec: Likewise.
      inputs: Likewise.
      tasks: Likewise.
      buckets: By categorical feature, how many of its last ids are shared by values that have none
        of their own. Trees are told that such a value is missing: the bucket's mean and count are
        those of hundreds of other users or items, while a new one has the count 0.
      history: As for :func:`mtfx.trainers.ranking.input.impression_batches`.

    Returns:
      The impressions; of one file in its order.
    """
    batches = impression_batches(
        file_patterns, feature_spec, inputs, tasks, _BATCH, shuffle=False, seed=0, history=history
    )
    found = tree_inputs(batches.as_numpy_iterator(), inputs, tasks)
    ends = {f.name: f.vocabulary_size - (buckets or {}).get(f.name, 0) for f in inputs}
    ids = {name: np.where(column < ends[name], column, -1) for name, column in found.ids.items()}
    return TreeInputs(found.numbers, ids, found.labels)


def tree_inputs(
    batches: Iterable[tuple[Mapping[str, np.ndarray], np.ndarray]],
    inputs: Sequence[InputFeature],
    tasks: Sequence[Task],
) -> TreeInputs:
    """Gathers batches of impressions.

    Args:
      batches: Pairs of the model's features by name, `[batch, …]`, and labels `[batch, task]`.
      inputs: The model's features. Integers are ids, all others numbers; a vector is taken as its
        numbers.
      tasks: The tasks of the labels' columns.

    Raises:
      ValueError: if there is no impression.
    """
    numbers: list[dict[str, np.ndarray]] = []
    ids: list[dict[str, np.ndarray]] = []
    labels: list[np.ndarray] = []
    for features, known in batches:
        values = {f.name: features[f.name] for f in inputs if not f.is_history}
        ids.append({n: v.astype(np.int32) for n, v in values.items() if v.dtype.kind in "iu"})
        plain = {n: v for n, v in values.items() if n not in ids[-1]}
        numbers.append(_numbers(plain) | history_summaries(unpacked(features, inputs), inputs))
        labels.append(known)
    if not labels:
        raise ValueError("there is no impression")
    table = np.concatenate(labels)
    return TreeInputs(
        _joined(numbers), _joined(ids), {task.name: table[:, i] for i, task in enumerate(tasks)}
    )


def unpacked(
    features: Mapping[str, np.ndarray], inputs: Sequence[InputFeature]
) -> dict[str, np.ndarray]:
    """The columns of histories by themselves, beside the features.

    Args:
      features: Of a batch, as the model takes them.
      inputs: The model's features.

    Returns:
      The features, and for each column of a history ``history_<name>``, `[batch, length]`, or
      `[batch, length, values]` of several.
    """
    found = {f.name: features[f.name] for f in inputs if not f.is_history}
    for feature in inputs:
        start = 0
        for column in feature.columns:
            part = features[feature.name][:, :, start : start + column.width]
            found[PREFIX + column.name] = part if column.width > 1 else part[:, :, 0]
            start += column.width
    return found


def history_summaries(
    features: Mapping[str, np.ndarray], inputs: Sequence[InputFeature]
) -> dict[str, np.ndarray]:
    """The user's past as numbers.

    Args:
      features: Of :func:`unpacked`. The history's are ``history_age_s``
        `[batch, length]`, -1 where there is no entry, newest first; ids `[batch, length]` or
        `[batch, length, values]` under ``history_<feature>``; feedbacks as floats, -1 where
        unknown.
      inputs: The model's features; entries are compared by those that have a vocabulary of their
        own.

    Returns:
      By name, float32 `[batch]`, NaN where the history has nothing; empty without a history.
    """
    if AGE not in features:
        return {}
    age = features[AGE]
    held = age >= 0
    found = {"history_entries": held.sum(1), "history_since": _first(age, held)}
    past = {n: v for n, v in features.items() if n.startswith(PREFIX) and n != AGE}
    feedbacks = {n: v for n, v in past.items() if v.dtype.kind == "f" and v.ndim == 2}
    given = {name: held & (values != UNKNOWN) for name, values in feedbacks.items()}
    for name, values in feedbacks.items():
        found[f"{name}_mean"] = _mean(values, given[name])
        found[f"{name}_last"] = _first(values, given[name])
    for feature in inputs:
        ids = past.get(PREFIX + feature.name)
        if ids is None or ids.dtype.kind == "f" or feature.vocabulary:
            continue
        same = _shares_a_value(features[feature.name], ids) & held
        found[f"same_{feature.name}"] = same.sum(1)
        found[f"same_{feature.name}_since"] = _first(age, same)
        for name, values in feedbacks.items():
            found[f"same_{feature.name}_{name}"] = _mean(values, given[name] & same)
    return {name: column.astype(np.float32) for name, column in found.items()}


def _shares_a_value(own: np.ndarray, past: np.ndarray) -> np.ndarray:
    """Whether each entry has an id of the impression: `[batch, length]`."""
    if past.ndim == 2:
        return past == own[:, None]
    equal = (past[:, :, :, None] == own[:, None, None, :]) & (past >= 0)[:, :, :, None]
    return equal.any(axis=(2, 3))


def _mean(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    count = chosen.sum(1)
    total = np.where(chosen, values, 0.0).sum(1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _first(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The newest of the chosen entries' values."""
    if not values.shape[1]:
        return np.full(len(values), np.nan)
    place = chosen.argmax(1)[:, None]
    return np.where(chosen.any(1), np.take_along_axis(values, place, 1)[:, 0], np.nan)


def _numbers(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    columns = {}
    for name, value in values.items():
        for i, column in enumerate(value.reshape(len(value), -1).T):
            columns[name if value.ndim == 1 else f"{name}_{i}"] = column.astype(np.float32)
    return columns


def _joined(parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
