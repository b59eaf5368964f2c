"""The true probabilities of a synthetic log, and the best AUC that a model can reach on it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Literal

import numpy as np
import polars as pl

from mtfx.errors import DataError


def truth_frame(
    keys: pl.DataFrame,
    tasks: Sequence[str],
    labels: np.ndarray,
    probabilities: np.ndarray,
    satisfaction: np.ndarray,
    mean_watch_time_ms: np.ndarray | None = None,
) -> pl.DataFrame:
    """Rows of a truth file.

    Args:
      keys: User, item and time of each impression, under the log's names.
      tasks: Names of the feedbacks.
      labels: What the user did, bool `[n, task]`.
      probabilities: What the user did with which probability, given everything before the
        impression and the item shown, float32 `[n, task]`.
      satisfaction: Before the impression, float32 `[n]`.
      mean_watch_time_ms: The mean of the watch time, likewise, float32 `[n]`; None leaves it out.

    Returns:
      ``keys`` with the columns ``satisfaction``, ``TASK`` and ``p_TASK`` for each task, and
      ``mean_watch_time_ms``.
    """
    columns = [pl.Series("satisfaction", satisfaction)]
    for index, task in enumerate(tasks):
        columns.append(pl.Series(task, labels[:, index].astype(np.int8)))
        columns.append(pl.Series(f"p_{task}", probabilities[:, index]))
    if mean_watch_time_ms is not None:
        columns.append(pl.Series("mean_watch_time_ms", mean_watch_time_ms))
    return keys.with_columns(columns)


def auc_ceiling(
    data_dir: str | os.PathLike[str], log: Literal["standard", "random"] = "standard"
) -> dict[str, float]:
    """AUC of the true probabilities against what users did: no model can be better in the mean.

    Two columns are in memory at a time (about 5 bytes an impression, more while ranking).

    Args:
      data_dir: A directory that ``synthesize`` wrote with ``with_truth``.
      log: Which exposures of the video profile; a shop has only ``standard``.

    Returns:
      AUC by task; NaN for a task without a positive or without a negative.

    Raises:
      DataError: if there is no truth of this log.
    """
    paths = _truth_paths(os.fspath(data_dir), log)
    frame = pl.concat([_scan(path) for path in paths])
    columns = frame.collect_schema().names()
    return {
        name[2:]: _auc(frame.select(probability=name, label=name[2:]).collect())
        for name in columns
        if name.startswith("p_")
    }


def _truth_paths(directory: str, log: str) -> list[str]:
    names = sorted(os.listdir(directory)) if os.path.isdir(directory) else []
    random = ("truth_random",)
    standard = ("truth_standard", "truth_views")
    prefixes = random if log == "random" else standard
    paths = [os.path.join(directory, name) for name in names if name.startswith(prefixes)]
    if not paths:
        raise DataError(
            f"{directory} holds no truth of the {log} log: synthesize it with with_truth=True"
        )
    return paths


def _scan(path: str) -> pl.LazyFrame:
    if path.endswith(".parquet"):
        return pl.scan_parquet(path, glob=False)
    types: dict[str, type[pl.DataType]] = {"satisfaction": pl.Float32}
    header = pl.scan_csv(path, glob=False).collect_schema().names()
    for name in header:
        if name.startswith("p_"):
            types |= {name: pl.Float32, name[2:]: pl.Int8}
    return pl.scan_csv(path, glob=False, schema_overrides=types)


def _auc(frame: pl.DataFrame) -> float:
    """Mann and Whitney's statistic, ties counted half."""
    positives = int(frame["label"].sum())
    negatives = frame.height - positives
    if not positives or not negatives:
        return float("nan")
    ranks = frame["probability"].rank("average").to_numpy()
    of_positives = float(ranks[frame["label"].to_numpy() == 1].sum())
    return (of_positives - positives * (positives + 1) / 2) / (positives * negatives)
