"""Data that the trials of an experiment share: a prepared log or a simulated world.

Plain values, which are handed to other processes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from typing import Any, ClassVar, Protocol

import numpy as np

from mtfx.config import Config

SPLITS = ("train", "eval", "test")


class TrialData(Protocol):
    """What the trials of a kind of experiment learn from: a frozen dataclass of plain values."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def fingerprint(self) -> str:
        """Changes with the content; trials of other data are not comparable."""
        ...

    def facts(self) -> tuple[str, ...]:
        """What a report says about it, a line each."""
        ...


@dataclasses.dataclass(frozen=True)
class PreparedData(Config):
    """Sessions that are read, split and transformed, ready to be trained on.

    Attributes:
      dataset: Registry name, or ``module:ATTRIBUTE`` of a ``DatasetSpec``.
      tasks: Names of the tasks, in the order of the models' columns.
      transform_graph: Directory of Transform's ``transform_graph``, for ``TFTransformOutput``.
      splits: Glob of each split's gzipped TFRecord files of transformed sessions, by the names
        ``train``, ``eval`` and ``test``.
      sessions: Sessions by split.
      impressions: Impressions by split.
      data_span: First and last impression (UTC, ISO 8601), or None for an empty log.
      fingerprint: Changes with the content of the files; trials of other data are not comparable.
    """

    dataset: str
    tasks: tuple[str, ...]
    transform_graph: str
    splits: dict[str, str]
    sessions: dict[str, int] = dataclasses.field(default_factory=dict)
    impressions: dict[str, int] = dataclasses.field(default_factory=dict)
    data_span: tuple[str, str] | None = None
    fingerprint: str = ""

    def __post_init__(self) -> None:
        missing = [split for split in SPLITS if split not in self.splits]
        if missing:
            raise ValueError(f"prepared data lacks the splits {', '.join(missing)}")

    def facts(self) -> tuple[str, ...]:
        """See :class:`TrialData`."""
        sizes = ", ".join(
            f"{split} {self.sessions[split]:,} sessions, {self.impressions[split]:,} impressions"
            for split in self.splits
            if split in self.sessions
        )
        span = " to ".join(self.data_span) if self.data_span else "unknown"
        return (
            f"data set: {self.dataset}, tasks {', '.join(self.tasks)}",
            f"data span: {span}; {sizes or 'sizes unknown'}",
            f"data fingerprint: {self.fingerprint}",
        )


@dataclasses.dataclass(frozen=True)
class SimulatedWorld:
    """A world on disk, as ``mtfx simulator`` writes it.

    Attributes:
      directory: Where it is.
      users: Number of users.
      pool_size: Items of each user's pool.
      predictions: Names of the ranking model's predictions.
      feedbacks: Names of the feedbacks of the response model.
      fingerprint: Changes with the content.
      caveat: What must stand beside every figure of it; empty if nothing.
    """

    directory: str
    users: int
    pool_size: int
    predictions: tuple[str, ...]
    feedbacks: tuple[str, ...]
    fingerprint: str
    caveat: str = ""

    def facts(self) -> tuple[str, ...]:
        """See :class:`TrialData`."""
        return (
            f"world: {self.users:,} users with {self.pool_size:,} items each",
            f"predictions: {', '.join(self.predictions)}",
            f"feedbacks: {', '.join(self.feedbacks)}",
            f"data fingerprint: {self.fingerprint}",
            *([self.caveat] if self.caveat else []),
        )


def describe_world(directory: str) -> SimulatedWorld:
    """Reads a world, and says what it is. Imports TensorFlow.

    Raises:
      DataError: if there is no whole world.
    """
    from mtfx.environments.simulator.world import load_world

    world = load_world(directory)
    return SimulatedWorld(
        directory=os.path.abspath(directory),
        users=world.num_users,
        pool_size=world.pool_size,
        predictions=world.prediction_names,
        feedbacks=tuple(world.feedback_names),
        fingerprint=_fingerprint(directory),
        caveat=world.response.caveat,
    )


def _fingerprint(directory: str) -> str:
    """First 16 hexadecimal digits of the SHA-256 over tables and settings.

    Of the arrays and not of the file, because an archive holds the time at which it was written.
    """
    from mtfx.environments.simulator.world import TABLES_FILE, WORLD_FILE

    digest = hashlib.sha256()
    with open(os.path.join(directory, WORLD_FILE), encoding="utf-8") as file:
        digest.update(json.dumps(json.load(file), sort_keys=True).encode())
    with np.load(os.path.join(directory, TABLES_FILE)) as tables:
        for name in sorted(tables.files):
            table = tables[name]
            digest.update(f"\0{name}\0{table.dtype.str}\0{table.shape}\0".encode())
            digest.update(np.ascontiguousarray(table).tobytes())
    return digest.hexdigest()[:16]
