"""The requests of a saved simulator's users, with the raw features that it was built from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import tensorflow as tf

from mtfx.datasets.feature_roles import user_requests
from mtfx.datasets.registry import load_dataset
from mtfx.environments.simulator.fitting.building import FIT_FILE
from mtfx.environments.simulator.fitting.config import WorldConfig
from mtfx.environments.simulator.fitting.log_data import load_world_data, read_logged_histories
from mtfx.environments.simulator.fitting.logged_requests import LoggedRequests
from mtfx.environments.simulator.fitting.pools import Pools, catalogue_rows
from mtfx.environments.simulator.fitting.truth import in_main_tab
from mtfx.environments.simulator.synthetic_tables import MAIN_TAB
from mtfx.environments.simulator.world import World, load_world
from mtfx.files import read_json


class WorldRequests(LoggedRequests):
    """What a service knows of a simulator's users and of the items in their pools.

    Attributes:
      world: The simulator's.
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
        data = load_world_data(
            load_dataset(config.dataset),
            config.data_dir,
            examples,
            transform_graph,
            config.max_impressions,
        )
        requests = user_requests(data.splits["test"], data.roles, config.users, config.seed)
        if in_main_tab(fit):
            # The truth has all sessions in one tab.
            tab = pl.Series("tab", np.full(requests.height, MAIN_TAB), dtype=pl.Int64)
            requests = requests.with_columns(tab)
        known = data.catalogue["item_id"].is_in(self.world.item_ids.ravel()).sum()
        if requests["user_id"].to_list() != self.world.user_ids.tolist() or known < len(
            np.unique(self.world.item_ids)
        ):
            raise ValueError(f"{simulator_dir} was not built from the sessions in {examples}")
        pools = Pools(
            requests=requests,
            items=catalogue_rows(data.catalogue, pl.Series(self.world.item_ids.ravel())).reshape(
                self.world.item_ids.shape
            ),
            losses=(),
            hit_rate=float("nan"),
            chance=float("nan"),
        )
        histories = read_logged_histories(examples, transform_graph, requests)
        super().__init__(data, pools, histories)

    def predictions(self, ranker: str) -> np.ndarray:
        """An exported ranker's predictions of all pools, float32 `[user, slot, prediction]`.

        Args:
          ranker: Directory of its SavedModel.
        """
        model = tf.saved_model.load(ranker)
        serve = model.signatures["serving_default"]
        answers = (serve(request=tf.constant(self.example(u))) for u in range(self.num_users))
        return np.stack([answer["predictions"].numpy() for answer in answers])
