"""Construction of a simulator's world from a log and a ranking model."""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from mtfx.datasets.feature_roles import changing_features
from mtfx.datasets.fused_predictions import FusedPrediction
from mtfx.datasets.labels import UNKNOWN
from mtfx.datasets.registry import load_dataset
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.fitting.config import WorldConfig
from mtfx.environments.simulator.fitting.log_data import (
    WorldData,
    load_world_data,
    read_logged_histories,
)
from mtfx.environments.simulator.fitting.logged_requests import LoggedRequests
from mtfx.environments.simulator.fitting.pools import Pools, make_pools
from mtfx.environments.simulator.fitting.prediction_scales import fit_scales
from mtfx.environments.simulator.fitting.predictions import RankingPredictions, true_predictions
from mtfx.environments.simulator.fitting.published import (
    SOURCE,
    published_notes,
    published_tables,
)
from mtfx.environments.simulator.fitting.truth import (
    moved_to_main_tab,
    true_response,
    uses_truth,
)
from mtfx.environments.simulator.fitting.world_response import fit_response_model, response_tables
from mtfx.environments.simulator.response import ResponseModel
from mtfx.environments.simulator.saved_simulator import DIRECTORY as SAVED_MODEL
from mtfx.environments.simulator.saved_simulator import export_simulator
from mtfx.environments.simulator.world import INDEPENDENT, World, save_world

#: Written beside the world: what was fitted and how well.
FIT_FILE = "fit.json"
_USERS_AT_ONCE = 100


@dataclasses.dataclass(frozen=True)
class FittedWorld:
    """A world and what it was made of.

    Attributes:
      world: The world.
      independent: Of the response ``published``, the same world with the response ``auto``.
      data: The log that it was fitted to.
      pools: Its users and the items that each of them may be shown.
      respond: The response model of any users and items.
      summary: What ``fit.json`` holds.
    """

    world: World
    data: WorldData
    pools: Pools
    respond: Callable[[Pools], ResponseModel]
    summary: dict[str, Any]
    independent: World | None = None


def build_world(
    examples: str, transform_graph: str, model: str, config: WorldConfig
) -> FittedWorld:
    """Fits a response model and a retrieval model, and tabulates what they say of some users.

    Args:
      examples: URI of SessionExampleGen's artifact.
      transform_graph: URI of the Transform output that the ranking model was trained with.
      model: Directory of the ranking SavedModel.
      config: What to build.

    Raises:
      ValueError: if the log or the model does not suit.
      DataError: if files are damaged.
    """
    begin = time.monotonic()
    spec = load_dataset(config.dataset)
    data = load_world_data(spec, config.data_dir, examples, transform_graph, config.max_impressions)
    _report(sum(frame.height for frame in data.splits.values()), "impressions read")
    pools = make_pools(data, config, _epochs("retrieval"))
    notes = _notes(data, pools, config)
    truth = uses_truth(config)
    if truth:
        pools = moved_to_main_tab(pools)
        respond = functools.partial(true_response, config, data)
        found = {"source": "the known truth"}
    else:
        fitted = fit_response_model(data, config, _epochs("response model"))
        respond, found = functools.partial(response_tables, data, fitted), fitted.summary()
    predict = RankingPredictions(model, spec, config.leave_out)
    fused = fused_of(predict, config, examples)
    response = respond(pools)
    histories = read_logged_histories(examples, transform_graph, pools.requests)
    requests = LoggedRequests(data, pools, histories)
    if config.predictions == "true":
        notes.append(
            "predictions are the response model's own probabilities, as no ranker has them"
        )
        predictions = _true_predictions(response, fused, config.seed)
    else:
        predictions = _predict_pools(predict, requests, fused)
    world = World(
        requests=requests.user_requests(),
        predictions=predictions,
        prediction_names=tuple(one.name for one in fused),
        response=response,
        item_ids=_ids(data.catalogue["item_id"].to_numpy())[pools.items],
        user_ids=_ids(pools.requests["user_id"].to_numpy()),
        fused=fused,
    )
    independent, about = None, {"response_model": "truth" if truth else "fitted", "response": found}
    if config.response == "published":
        respond = functools.partial(published_tables, data, predict, histories)
        answers = respond(pools)
        independent, world = world, dataclasses.replace(world, response=answers)
        notes[:0] = published_notes(answers, config.max_views)
        published = {"response_model": "published", "response": {"source": SOURCE}}
        about = {**published, "independent": about}
    summary = {
        "dataset": config.dataset,
        "users": world.num_users,
        "pool": world.pool_size,
        "items": data.catalogue.height,
        "predictions": [one.to_dict() for one in fused],
        "feedback_names": list(world.feedback_names),
        **about,
        "retrieval": {
            "losses": list(pools.losses),
            "hit_rate": None if np.isnan(pools.hit_rate) else pools.hit_rate,
            "chance": pools.chance,
        },
        "notes": notes,
        "seconds": time.monotonic() - begin,
        "config": json.loads(config.to_json()),
    }
    return FittedWorld(world, data, pools, respond, summary, independent)


def save_fitted_world(fitted: FittedWorld, config: WorldConfig, output: str) -> None:
    """Writes ``world.json``, ``world.npz``, ``fit.json`` and the simulator as a SavedModel.

    The same world with the independent response, where there is one, is ``independent`` in it.

    Args:
      fitted: By :func:`build_world`.
      config: Of the same world.
      output: Directory; the SavedModel is ``saved_model`` in it.
    """
    save_world(fitted.world, output)
    if fitted.independent is not None:
        save_world(fitted.independent, Path(output, INDEPENDENT))
    rules = dataclasses.replace(
        fitted.world.response.rules,
        max_views=config.max_views,
        carry_over=config.carry_over,
        leave_below=config.leave_below,
    )
    export_simulator(Simulator(fitted.world, rules), Path(output, SAVED_MODEL))
    summary = json.dumps(fitted.summary, indent=1) + "\n"
    Path(output, FIT_FILE).write_text(summary, encoding="utf-8")


def fused_of(
    predict: RankingPredictions, config: WorldConfig, examples: str
) -> tuple[FusedPrediction, ...]:
    """What is fused in a world, with its scales.

    Args:
      predict: The ranking model.
      config: Of the world; its ``fused`` is taken as it is, where it is given.
      examples: URI of the sessions that scales are fitted to otherwise.

    Raises:
      ValueError: if the predictions that are given are not the model's.
    """
    if not config.fused:
        return fit_scales(predict, predict.fusible, examples)
    has, wanted = (
        sorted(f"{one.name} ({one.kind})" for one in part)
        for part in (predict.fusible, config.fused)
    )
    if has != wanted:
        raise ValueError(
            f"the served log has the predictions {', '.join(wanted)}; the ranking model, without "
            f"those that are left out, has {', '.join(has)}: they must be the same"
        )
    return config.fused


def _predict_pools(
    predict: RankingPredictions, requests: LoggedRequests, fused: Sequence[FusedPrediction]
) -> np.ndarray:
    """The ranking model's predictions as they are fused, float32 `[user, slot, prediction]`."""
    found = []
    for first in range(0, requests.num_users, _USERS_AT_ONCE):
        last = min(first + _USERS_AT_ONCE, requests.num_users)
        examples = [requests.example(user) for user in range(first, last)]
        found.append(predict.fused(examples, fused))
        _report(found[-1].shape[0] * found[-1].shape[1], "pairs predicted")
    return np.concatenate(found)


def _true_predictions(
    response: ResponseModel, fused: Sequence[FusedPrediction], seed: int
) -> np.ndarray:
    """What the response model expects, as it is fused, float32 `[user, slot, prediction]`."""
    users = np.arange(response.num_users)
    parts = np.array_split(users, -(-len(users) // _USERS_AT_ONCE))
    return np.concatenate([true_predictions(response, fused, part, seed) for part in parts])


def _notes(data: WorldData, pools: Pools, config: WorldConfig) -> list[str]:
    notes = []
    users, slots = pools.items.shape
    if users < config.users:
        notes.append(f"{users:,} users instead of {config.users:,}: the test split has no more")
    if slots < config.pool:
        notes.append(f"pools of {slots:,} items instead of {config.pool:,}: there are no more")
    if slots < 2 * config.max_views:
        notes.append(
            f"pools of {slots:,} items are small for sessions of up to {config.max_views} views"
        )
    for split, frame in data.splits.items():
        if frame.height >= config.max_impressions:
            notes.append(f"{frame.height:,} impressions of the split {split} were read, not all")
    notes += [
        f"{name} differs between impressions of one item: if it describes the request, such as its "
        'tab or device, say so by Feature(..., level="request")'
        for name in changing_features(data.spec, data.roles, data.splits["train"])
    ]
    known = data.splits["train"]["user_id"].unique()
    strangers = int((~pools.requests["user_id"].is_in(known.implode())).sum())
    if strangers:
        notes.append(
            f"{strangers:,} of {users:,} users are not in the training split: a fitted response "
            "model gives them a neutral mood and the general rate of leaving"
        )
    everything = pl.concat(data.splits.values())
    for task in data.spec.tasks:
        unknown = int((everything[task.name] == UNKNOWN).sum()) if task.may_be_unknown else 0
        if unknown:
            notes.append(
                f"{task.name} is unknown in {unknown:,} of {everything.height:,} impressions: the "
                "response model is fitted without them, and they add nothing to satisfaction"
            )
    if data.exposures is not None:
        notes.extend(data.exposures.notes)
    return notes


def _ids(values: np.ndarray) -> np.ndarray:
    """Ids as int64 or fixed-width text, which can be stored without pickling."""
    return values if np.issubdtype(values.dtype, np.integer) else values.astype(str)


def _epochs(name: str):
    def report(epoch: int, loss: float) -> None:
        logging.getLogger("mtfx.progress").info("%s, epoch %d: loss %.4f", name, epoch, loss)

    return report


def _report(rows: int, what: str) -> None:
    logging.getLogger("mtfx.progress").info("%s %s", f"{rows:,}", what, extra={"rows": rows})
