"""Requests to a ranker from the users of a simulator, with the raw features of users and items."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import tensorflow as tf

from mtfx.datasets.feature_roles import user_requests
from mtfx.datasets.history import session_statistics, statistic_columns
from mtfx.datasets.registry import load_dataset
from mtfx.datasets.spec import DatasetSpec
from mtfx.environments.simulator.fitting.building import FIT_FILE
from mtfx.environments.simulator.fitting.config import WorldConfig
from mtfx.environments.simulator.fitting.log_data import WorldData, load_world_data
from mtfx.environments.simulator.fitting.pools import Pools, catalogue_rows, pairs
from mtfx.environments.simulator.fitting.predictions import RankingPredictions
from mtfx.environments.simulator.synthetic_tables import MAIN_TAB
from mtfx.environments.simulator.world import World, load_world
from mtfx.files import read_json

_KINDS = {"int64": "int64_list", "string": "bytes_list", "float32": "float_list"}
_USERS_KEPT = 4096


class WorldRequests:
    """What a service knows of a simulator's users and of the items in their pools.

    Attributes:
      world: The simulator's.
      spec: The data set.
    """

    def __init__(self, simulator_dir: str, examples: str, transform_graph: str) -> None:
        """Finds the raw features again that the world was built from.

        Args:
          simulator_dir: The simulator's artifact.
          examples: URI of the session examples that it was built from.
          transform_graph: URI of their Transform output.

        Raises:
          DataError: if a file is damaged.
          ValueError: if the examples are not those of the simulator.
        """
        fit = read_json(Path(simulator_dir, FIT_FILE))
        config = WorldConfig.from_json(json.dumps(fit["config"]))
        self.world: World = load_world(simulator_dir)
        self.spec: DatasetSpec = load_dataset(config.dataset)
        data = load_world_data(
            self.spec, config.data_dir, examples, transform_graph, config.max_impressions
        )
        requests = user_requests(data.splits["test"], data.roles, config.users, config.seed)
        if fit["response_model"] == "truth":
            # The truth has all sessions in one tab.
            tab = pl.Series("tab", np.full(requests.height, MAIN_TAB), dtype=pl.Int64)
            requests = requests.with_columns(tab)
        known = data.catalogue["item_id"].is_in(self.world.item_ids.ravel()).sum()
        if requests["user_id"].to_list() != self.world.user_ids.tolist() or known < len(
            np.unique(self.world.item_ids)
        ):
            raise ValueError(f"{simulator_dir} was not built from the sessions in {examples}")
        self._data: WorldData = data
        self._pools = Pools(
            requests=requests,
            embedding=self.world.user_embedding,
            items=catalogue_rows(data.catalogue, pl.Series(self.world.item_ids.ravel())).reshape(
                self.world.item_ids.shape
            ),
            losses=(),
            hit_rate=float("nan"),
            chance=float("nan"),
        )
        self.columns = functools.lru_cache(_USERS_KEPT)(self._columns)

    def example(
        self, user: int, slots: Sequence[int], derived: Mapping[str, int | str] | None = None
    ) -> bytes:
        """A request's candidates as one serialized ``tf.Example``.

        Args:
          user: Index of the user.
          slots: Of the candidates in the user's pool.
          derived: The request's columns of ``mtfx.datasets.logs.sessions.derive``; those of the
            user's logged impression when None, as in the simulator's own predictions.
        """
        columns = self.columns(user)
        example: Any = tf.train.Example()
        for feature in self.spec.features:
            values = columns[feature.name]
            kept = values[:1] if feature.level == "session" else [values[slot] for slot in slots]
            if derived is not None and feature.name in derived:
                value = derived[feature.name]
                kept = [value.encode() if isinstance(value, str) else value] * len(kept)
            kind = _KINDS[feature.dtype]
            getattr(example.features.feature[feature.name], kind).value.extend(kept)
        of_session = session_statistics(self.spec)
        for name in statistic_columns(self.spec):
            counts = columns[name]
            kept = counts[:1] if name in of_session else [counts[slot] for slot in slots]
            example.features.feature[name].int64_list.value.extend(kept)
        return example.SerializeToString()

    def predictions(self, model: str) -> np.ndarray:
        """A ranking model's predictions of all pools, float32 `[user, slot, prediction]`.

        Args:
          model: Directory of its SavedModel.
        """
        predict = RankingPredictions(model, self.spec)
        found = predict(pairs(self._data, self._pools, 0, self.world.num_users))
        return found.reshape(*self.world.item_ids.shape, -1)

    def _columns(self, user: int) -> dict[str, list[Any]]:
        frame = pairs(self._data, self._pools, user, user + 1)
        counts = {name: frame[name].to_list() for name in statistic_columns(self.spec)}
        return counts | {
            feature.name: (
                [value.encode() for value in frame[feature.name].to_list()]
                if feature.dtype == "string"
                else frame[feature.name].to_list()
            )
            for feature in self.spec.features
        }
