"""The world of a simulation: users, their pools of items, what is predicted, what is true."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from mtfx.datasets.fused_predictions import FusedPrediction, probabilities
from mtfx.environments.simulator.response import (
    RESPONSE_MODELS,
    ResponseModel,
    response_model_name,
)
from mtfx.environments.simulator.user_requests import UserRequests
from mtfx.errors import DataError
from mtfx.files import write_json

WORLD_FILE, TABLES_FILE = "world.json", "world.npz"
#: Folder, in that of a world of the response ``published``, of the same with an independent one.
INDEPENDENT = "independent"
_RESPONSE_PREFIX, _REQUEST_PREFIX = "response/", "requests/"
_VERSION = 3


@dataclasses.dataclass(frozen=True)
class World:
    """Users and the pools from which their candidates are drawn.

    Attributes:
      requests: What is known of each user when a session begins.
      predictions: Of the ranking model, those that are fused, in [0, 1], float32 `[user, slot,
        prediction]`.
      prediction_names: Names of the predictions, K of them.
      response: How users really respond.
      item_ids: Items of the pools, int64 or str `[user, slot]`, each at most once in a pool.
      user_ids: int64 or str `[user]`.
      fused: The maps by which the predictions were made of raw ones; empty: they are probabilities,
        and fused as they are.

    Raises:
      ValueError: at construction, naming what does not fit and where.
    """

    requests: UserRequests
    predictions: np.ndarray
    prediction_names: tuple[str, ...]
    response: ResponseModel
    item_ids: np.ndarray
    user_ids: np.ndarray
    fused: tuple[FusedPrediction, ...] = ()

    def __post_init__(self) -> None:
        _check_shapes(self)
        _check_values(self)
        fused = tuple(self.fused) or probabilities(self.prediction_names)
        if (names := tuple(one.name for one in fused)) != tuple(self.prediction_names):
            raise ValueError(
                f"the predictions are {', '.join(self.prediction_names)}, but their maps those of "
                f"{', '.join(names)}"
            )
        object.__setattr__(self, "fused", fused)
        object.__setattr__(self, "predictions", np.asarray(self.predictions, np.float32))
        object.__setattr__(self, "prediction_names", tuple(self.prediction_names))

    @property
    def num_users(self) -> int:
        """U, number of users."""
        return self.predictions.shape[0]

    @property
    def pool_size(self) -> int:
        """P, items of each user's pool."""
        return self.predictions.shape[1]

    @property
    def num_predictions(self) -> int:
        """K, predictions of a candidate."""
        return self.predictions.shape[2]

    @property
    def feedback_names(self) -> tuple[str, ...]:
        """Names of the feedbacks of the response model, F of them."""
        return self.response.feedback_names


def save_world(world: World, directory: str | os.PathLike[str]) -> None:
    """Writes ``world.json`` and ``world.npz``; the first comes last and makes it whole.

    Args:
      world: What to write.
      directory: Made if it is missing.

    Raises:
      ValueError: if the response model is not registered.
    """
    target = Path(directory)
    content = {
        "version": _VERSION,
        "predictions": [prediction.to_dict() for prediction in world.fused],
        "response": response_model_name(world.response),
        "response_settings": world.response.settings(),
    }
    target.mkdir(parents=True, exist_ok=True)
    tables = {
        "predictions": world.predictions,
        "item_ids": world.item_ids,
        "user_ids": world.user_ids,
    }
    tables |= {_RESPONSE_PREFIX + name: table for name, table in world.response.arrays().items()}
    tables |= {_REQUEST_PREFIX + name: table for name, table in world.requests.arrays().items()}
    (target / WORLD_FILE).unlink(missing_ok=True)
    with open(target / TABLES_FILE, "wb") as file:
        np.savez(file, **tables)  # type: ignore[arg-type]
    write_json(target / WORLD_FILE, content, indent=2)


def load_world(directory: str | os.PathLike[str]) -> World:
    """Reads what :func:`save_world` wrote.

    Raises:
      DataError: if there is no whole world, or its files do not fit each other.
    """
    # Beam's workers read it from wherever the pipeline's artifacts are.
    source = os.fspath(directory)
    if not tf.io.gfile.exists(source):
        raise DataError(f"{source}, where a simulator's world should be, is not there")
    if not tf.io.gfile.exists(os.path.join(source, WORLD_FILE)):
        raise DataError(f"{source} holds no {WORLD_FILE}: it is no saved world, or not a whole one")
    try:
        content = json.loads(_read(source, WORLD_FILE))
        if content["version"] != _VERSION:
            raise ValueError(f"version {content['version']} instead of {_VERSION}")
        with np.load(io.BytesIO(_read(source, TABLES_FILE))) as stored:
            tables = {name: stored[name] for name in stored.files}
        response = (
            RESPONSE_MODELS[content["response"]]
            .load()
            .restore(_with_prefix(tables, _RESPONSE_PREFIX), content["response_settings"])
        )
        fused = tuple(FusedPrediction.from_dict(one) for one in content["predictions"])
        return World(
            requests=UserRequests.restore(_with_prefix(tables, _REQUEST_PREFIX)),
            predictions=tables["predictions"],
            prediction_names=tuple(one.name for one in fused),
            response=response,
            item_ids=tables["item_ids"],
            user_ids=tables["user_ids"],
            fused=fused,
        )
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        zipfile.BadZipFile,
        tf.errors.OpError,
    ) as error:
        raise DataError(f"the world in {source} cannot be read ({error}); make it anew") from error


def load_predictions(directory: str | os.PathLike[str]) -> tuple[FusedPrediction, ...]:
    """What is fused in a saved world, and by which maps.

    Raises:
      DataError: if it cannot be read.
    """
    source = os.fspath(directory)
    try:
        content = json.loads(_read(source, WORLD_FILE))
        return tuple(FusedPrediction.from_dict(one) for one in content["predictions"])
    except (OSError, ValueError, KeyError, TypeError, tf.errors.OpError) as error:
        raise DataError(f"the world in {source} cannot be read ({error}); make it anew") from error


def load_caveat(directory: str | os.PathLike[str]) -> str:
    """What must stand beside every figure of a saved world; empty if nothing.

    Raises:
      DataError: if it cannot be read.
    """
    source = os.fspath(directory)
    try:
        return RESPONSE_MODELS[json.loads(_read(source, WORLD_FILE))["response"]].load().caveat
    except (OSError, ValueError, KeyError, TypeError, tf.errors.OpError) as error:
        raise DataError(f"the world in {source} cannot be read ({error}); make it anew") from error


def _with_prefix(tables: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {
        name.removeprefix(prefix): table
        for name, table in tables.items()
        if name.startswith(prefix)
    }


def _read(directory: str, name: str) -> bytes:
    with tf.io.gfile.GFile(os.path.join(directory, name), "rb") as file:
        return file.read()


def _check_shapes(world: World) -> None:
    shape = np.shape(world.predictions)
    if len(shape) != 3:
        raise ValueError(f"predictions must be [user, slot, prediction], got shape {list(shape)}")
    users, slots, predictions = shape
    if users == 0:
        raise ValueError("a world needs at least one user")
    if slots == 0:
        raise ValueError("the pools are empty: a world needs at least one item per user")
    if predictions == 0 or predictions != len(world.prediction_names):
        raise ValueError(
            f"{predictions} predictions per item, but {len(world.prediction_names)} names"
        )
    found = {
        "requests": ((world.requests.num_users,), (users,)),
        "item_ids": (np.shape(world.item_ids), (users, slots)),
        "user_ids": (np.shape(world.user_ids), (users,)),
        "the response model": (
            (world.response.num_users, world.response.pool_size),
            (users, slots),
        ),
    }
    for name, (has, wanted) in found.items():
        if tuple(has) != wanted:
            raise ValueError(
                f"{name} is for {list(has)}, but predictions for {users} users with {slots} items"
            )


def _check_values(world: World) -> None:
    predictions = np.asarray(world.predictions)
    # A comparison with NaN is false.
    wrong = ~((predictions >= 0) & (predictions <= 1))
    if wrong.any():
        user, slot, number = (int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(
            f"prediction {world.prediction_names[number]!r} of user {world.user_ids[user]}, item "
            f"{world.item_ids[user, slot]} is {predictions[user, slot, number]}, not in [0, 1] "
            f"({int(wrong.sum()):,} such values)"
        )
    ordered = np.sort(np.asarray(world.item_ids), axis=1)
    twice = (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
    if twice.any():
        user = int(np.argmax(twice))
        raise ValueError(f"the pool of user {world.user_ids[user]} holds an item twice")
