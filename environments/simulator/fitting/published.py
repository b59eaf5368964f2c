"""Response of a world as in xMTF's published simulator: the ranking model's predictions."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from mtfx.datasets.fused_predictions import watch_time_task
from mtfx.datasets.labels import is_known
from mtfx.datasets.logs.logged_histories import HistoryLists
from mtfx.environments.simulator.config import CIRCULAR
from mtfx.environments.simulator.fitting.log_data import WorldData
from mtfx.environments.simulator.fitting.logged_requests import LoggedRequests
from mtfx.environments.simulator.fitting.pools import Pools
from mtfx.environments.simulator.fitting.predictions import RankingPredictions
from mtfx.environments.simulator.published_response import PublishedResponse

#: In ``fit.json``: where the response comes from.
SOURCE = "the ranking model's own predictions, as in xMTF's published simulator"
_MS_PER_S = 1_000.0
_USERS_AT_ONCE = 100


def published_tables(
    data: WorldData,
    predict: RankingPredictions,
    histories: Mapping[str, HistoryLists],
    pools: Pools,
) -> PublishedResponse:
    """The published response of the users' pools, of a session's first request.

    Args:
      data: The log.
      predict: The ranking model.
      histories: What the log held before the sessions of the pools' users.
      pools: Users and items.

    Raises:
      ValueError: if the model predicts no watch time, or a negative one.
    """
    watch = watch_time_task(data.spec, predict.outputs)
    names = data.rule.feedback_names
    predicted = [name for name in names if name in predict.outputs]
    requests = LoggedRequests(data, pools, histories)
    users, slots = pools.items.shape
    watch_s = np.empty((users, slots), np.float32)
    chances = np.zeros((users, slots, len(names)), np.float32)
    for first in range(0, users, _USERS_AT_ONCE):
        rows = range(first, min(first + _USERS_AT_ONCE, users))
        asked = [requests.example(user) for user in rows]
        raw = predict.raw_of_requests(asked, (watch, *predicted))
        watch_s[rows] = raw[watch] / _MS_PER_S
        for name in predicted:
            chances[rows, :, names.index(name)] = raw[name]
    return PublishedResponse(
        {
            "watch_s": watch_s,
            "chances": chances,
            "logged_s": logged_seconds(data, pools.requests["user_id"]),
            "duration_s": data.duration_s(data.catalogue)[pools.items],
        },
        names,
    )


def logged_seconds(data: WorldData, users: pl.Series) -> np.ndarray:
    """Seconds that users have watched in all splits of the log, float32 `[user]`.

    Impressions of unknown watch time count 0 s.
    """
    log = pl.concat(data.splits.values())
    watch_s = data.watch_s(log)
    if watch_s is None:
        return np.zeros(len(users), np.float32)
    seconds = pl.Series("seconds", np.where(is_known(watch_s), watch_s, 0.0).astype(np.float64))
    sums = log.select("user_id").with_columns(seconds).group_by("user_id").sum()
    found = users.to_frame("user_id").join(sums, on="user_id", how="left", maintain_order="left")
    return found["seconds"].fill_null(0.0).to_numpy().astype(np.float32)


def published_notes(response: PublishedResponse, max_views: int) -> list[str]:
    """What a reader of this world's figures must know: first of all that it is circular.

    Args:
      response: Of the world.
      max_views: The view cap.
    """
    settings, rules, tables = response.config, response.rules, response.arrays()
    notes = [CIRCULAR]
    if response.pool_size < rules.candidates + max_views - 1:
        offered = min(rules.candidates, response.pool_size)
        notes.append(
            f"requests offer {offered:,} items at first and fewer as they are shown, as there are "
            f"no more; the published simulator offers {rules.candidates:,} each time"
        )
    least = settings.logged_s * settings.least_satisfaction
    lowest = float((tables["logged_s"] <= least).mean())
    if lowest:
        notes.append(
            f"{lowest:.0%} of the users begin with the lowest satisfaction, "
            f"{settings.least_satisfaction:g}, as the log has no more than {least:,.0f} s of them: "
            "their sessions are short"
        )
    enough = settings.watch_s * rules.leave_below
    long = float((tables["watch_s"] >= enough).mean())
    notes.append(
        f"{long:.1%} of the predicted play times are {enough:g} s or more: these alone keep a user "
        "from leaving, as a session that shows no others does not end before the view cap"
    )
    return notes
