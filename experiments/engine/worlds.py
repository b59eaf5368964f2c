"""The simulated world that the trials of the fusion experiments share."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os

import numpy as np

from mtfx.environments.simulator.world import TABLES_FILE, WORLD_FILE, load_world


@dataclasses.dataclass(frozen=True)
class WorldData:
    """A world on disk, as ``mtfx simulator`` writes it.

    Attributes:
      directory: Where it is.
      users: Number of users.
      pool_size: Items of each user's pool.
      predictions: Names of the ranking model's predictions.
      feedbacks: Names of the feedbacks of the response model.
      fingerprint: Changes with the content.
    """

    directory: str
    users: int
    pool_size: int
    predictions: tuple[str, ...]
    feedbacks: tuple[str, ...]
    fingerprint: str

    def facts(self) -> tuple[str, ...]:
        """See :class:`mtfx.experiments.engine.data.TrialData`."""
        return (
            f"world: {self.users:,} users with {self.pool_size:,} items each",
            f"predictions: {', '.join(self.predictions)}",
            f"feedbacks: {', '.join(self.feedbacks)}",
            f"data fingerprint: {self.fingerprint}",
        )


def describe_world(directory: str) -> WorldData:
    """Reads a world, and says what it is.

    Raises:
      DataError: if there is no whole world.
    """
    world = load_world(directory)
    return WorldData(
        directory=os.path.abspath(directory),
        users=world.num_users,
        pool_size=world.pool_size,
        predictions=world.prediction_names,
        feedbacks=tuple(world.feedback_names),
        fingerprint=_fingerprint(directory),
    )


def _fingerprint(directory: str) -> str:
    """First 16 hexadecimal digits of the SHA-256 over tables and settings.

    Of the arrays and not of the file, because an archive holds the time at which it was written.
    """
    digest = hashlib.sha256()
    with open(os.path.join(directory, WORLD_FILE), encoding="utf-8") as file:
        digest.update(json.dumps(json.load(file), sort_keys=True).encode())
    with np.load(os.path.join(directory, TABLES_FILE)) as tables:
        for name in sorted(tables.files):
            table = tables[name]
            digest.update(f"\0{name}\0{table.dtype.str}\0{table.shape}\0".encode())
            digest.update(np.ascontiguousarray(table).tobytes())
    return digest.hexdigest()[:16]
