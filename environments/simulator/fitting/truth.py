"""The known truth of a synthetic data set as a world's response."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from mtfx.datasets.synthetic.manifest import FILE_NAME as SYNTHETIC_MANIFEST
from mtfx.environments.simulator.fitting.config import WorldConfig
from mtfx.environments.simulator.fitting.log_data import WorldData
from mtfx.environments.simulator.fitting.pools import Pools
from mtfx.environments.simulator.response import ResponseModel
from mtfx.environments.simulator.synthetic_response import SyntheticResponse
from mtfx.environments.simulator.synthetic_tables import MAIN_TAB, synthetic_tables

_TRUTH_DATASET = "synthetic-video"


def uses_truth(config: WorldConfig) -> bool:
    """Whether the response model is the user model behind a synthetic data set.

    Raises:
      ValueError: if it shall be, but the data set has none.
    """
    known = config.dataset == _TRUTH_DATASET
    known = known and os.path.isfile(os.path.join(config.data_dir, SYNTHETIC_MANIFEST))
    if config.response == "truth" and not known:
        raise ValueError(
            f"the truth is known only of the data set {_TRUTH_DATASET} in a directory that "
            f"`mtfx synthesize` wrote, not of {config.dataset} in {config.data_dir}"
        )
    return known and config.response != "fitted"


def true_response(config: WorldConfig, data: WorldData, pools: Pools) -> ResponseModel:
    """The user model behind a synthetic data set, of the users' pools.

    Args:
      config: Of the world; its ``data_dir`` holds the manifest.
      data: The log.
      pools: Users and items.
    """
    items = data.catalogue["item_id"].to_numpy()[pools.items]
    users = pools.requests["user_id"].to_numpy()
    return SyntheticResponse(synthetic_tables(config.data_dir, users, items))


def moved_to_main_tab(pools: Pools) -> Pools:
    """The truth has all sessions in one tab, so the ranking model is asked about that one."""
    tab = np.full(pools.requests.height, MAIN_TAB, np.int64)
    requests = pools.requests
    return dataclasses.replace(pools, requests=requests.with_columns(tab=tab))


def in_main_tab(fit: Mapping[str, Any]) -> bool:
    """Whether the sessions of a world take place in the truth's one tab.

    Args:
      fit: What ``fit.json`` holds.
    """
    return "truth" in (fit["response_model"], fit.get("independent", {}).get("response_model"))
