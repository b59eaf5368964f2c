"""Validation of simulated sessions against the log's held-out ones, on like terms.

The users, their items and the rules are the same on both sides, so that what is compared is the
response model: the pools of the simulation are the items that the log showed each user.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import polars as pl

from mtfx.datasets.labels import UNKNOWN
from mtfx.datasets.logs.impressions import SESSION
from mtfx.environments.simulator.config import CIRCULAR, SimulatorConfig
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.fitting.config import WorldConfig
from mtfx.environments.simulator.fitting.log_data import WorldData
from mtfx.environments.simulator.fitting.pools import Pools, logged_pools
from mtfx.environments.simulator.fitting.truth import in_main_tab
from mtfx.environments.simulator.response import ResponseModel
from mtfx.environments.simulator.synthetic_tables import MAIN_TAB
from mtfx.environments.simulator.user_requests import UserRequests
from mtfx.environments.simulator.watch_time import UNKNOWN_LONGEST_S
from mtfx.environments.simulator.world import World
from mtfx.errors import DataError
from mtfx.evaluation.reports.simulator import SimulatorReport
from mtfx.evaluation.simulator.session_sample import sample_of_impressions
from mtfx.evaluation.simulator.sessions import LoggedItems, simulate_sessions

#: Compare the sessions of no more users: their items' responses must be tabulated too.
_MOST_USERS = 500
#: Of the log, compare no more sessions; the intervals are narrow by then.
_MOST_SESSIONS = 20_000
#: Simulate as many as the log has, but no fewer.
_LEAST_SESSIONS = 4_000
#: As in ``FittedSettings.max_loops`` and ``mtfx.datasets.synthetic``.
_MAX_LOOPS = 3.0
_POLICY = (
    "every request shows a random one of the items that the log showed this user and that the "
    "session has not shown yet; those of the test split come first into the pool of {logged} items "
    "at most, then those of the other splits. Neither the ranking model nor a fusion takes part."
)
_RANDOM_POLICY = (
    " {share:.1%} of what these users saw meanwhile was shown at random and is in a log of its "
    "own; as often, the simulation shows a random item and does not count the view."
)

_WATCH_TERM = (
    f"Watch times beyond {_MAX_LOOPS:.0f} times an item's length count as that, on both sides.",
)


def validate_world(
    data: WorldData,
    config: WorldConfig,
    pools: Pools,
    respond: Callable[[Pools], ResponseModel],
    fit: Mapping[str, Any],
) -> SimulatorReport:
    """Simulates sessions of the users of the log's held-out sessions and compares.

    Args:
      data: The log.
      config: Of the world.
      pools: The world's users.
      respond: The response model of any users and items.
      fit: What ``fit.json`` holds: ``response_model``, ``response``, ``retrieval``, ``notes``,
        ``config``.
    """
    rng = np.random.default_rng([config.seed, 3])
    frame, exposures, terms = _log_of(data, pools, in_main_tab(fit), rng)
    shown, counts = logged_pools(data, pools, frame["user_id"].unique().sort(), config.seed)
    cap = min(config.max_views, data.spec.session_rule.max_length, shown.items.shape[1])
    share = _random_share(frame, exposures)
    owners = np.searchsorted(
        shown.requests["user_id"].to_numpy(),
        frame.group_by(SESSION, maintain_order=True).first()["user_id"].to_numpy(),
    )
    views = simulate_sessions(
        _simulator(shown, respond(shown), config, cap),
        LoggedItems(counts, share),
        rng.choice(owners, max(len(owners), _LEAST_SESSIONS)),
        config.seed + 1,
    )
    kept = ~views.at_random
    has_watch = data.watch_column is not None
    names = data.rule.feedback_names
    policy = _POLICY.format(logged=int(counts.max()))
    terms += [
        f"Views beyond {cap} of a session are left out of the log, as the simulation ends there.",
        *(_WATCH_TERM if has_watch else ()),
    ]
    return SimulatorReport(
        dataset=config.dataset,
        response_model=_describe(fit),
        logging_policy=policy + (_RANDOM_POLICY.format(share=share) if share else ""),
        terms=terms,
        log=sample_of_impressions(
            names,
            _numbered(frame[SESSION].to_numpy()),
            data.feedback(frame),
            _cut_watch_s(data, frame),
            cap,
        ),
        simulation=sample_of_impressions(
            names,
            _numbered(views.session[kept]),
            views.feedback[kept],
            views.watch_s[kept] if has_watch else None,
        ),
        calibration=fit["response"].get("calibration", ()),
        watch_s=fit["response"].get("watch_s"),
        retrieval=fit["retrieval"],
        notes=fit["notes"],
        config=fit["config"],
    )


def _log_of(
    data: WorldData, pools: Pools, main_tab_only: bool, rng: np.random.Generator
) -> tuple[pl.DataFrame, pl.DataFrame | None, list[str]]:
    """The log's held-out sessions that are compared, its random exposures, and what was done."""
    users = pools.requests["user_id"].to_numpy()
    terms = [
        "Sessions of the log's test split; a simulated session belongs to the user of one of them, "
        "drawn at random, so that both sides have the same mix of users."
    ]
    if len(users) > _MOST_USERS:
        users = rng.choice(users, _MOST_USERS, replace=False)
        terms.append(f"{_MOST_USERS:,} of the simulator's users, drawn at random.")
    frame = data.splits["test"].filter(pl.col("user_id").is_in(users.tolist()))
    exposures = None if data.exposures is None else data.exposures.frame
    if main_tab_only and (frame["tab"] == MAIN_TAB).any():
        frame = frame.filter(pl.col("tab") == MAIN_TAB)
        exposures = None if exposures is None else exposures.filter(pl.col("tab") == MAIN_TAB)
        terms.append(f"Only sessions in tab {MAIN_TAB}, where all simulated ones take place.")
    continued = _continued(frame, data.spec.session_rule.max_length)
    if continued.any():
        frame = frame.filter(~continued)
        terms.append("Later parts of sessions that were split for their length are left out.")
    if data.watch_column is not None and (frame[data.watch_column] == UNKNOWN).any():
        unknown = frame.filter(pl.col(data.watch_column) == UNKNOWN)[SESSION].unique()
        frame = frame.filter(~pl.col(SESSION).is_in(unknown.implode()))
        terms.append(f"{len(unknown):,} sessions with unknown watch times are left out.")
    for name in data.rule.feedback_names:
        if not (frame[name] != UNKNOWN).any():
            raise DataError(
                f"the held-out sessions to compare have no known label of {name}: bring more "
                "data, or take the task out of the data set"
            )
    sessions = frame[SESSION].unique().to_numpy()
    if len(sessions) > _MOST_SESSIONS:
        drawn = rng.choice(sessions, _MOST_SESSIONS, replace=False)
        frame = frame.filter(pl.col(SESSION).is_in(drawn.tolist()))
        terms.append(f"{_MOST_SESSIONS:,} of the log's {len(sessions):,} sessions.")
    return frame, exposures, terms


def _simulator(pools: Pools, response: ResponseModel, config: WorldConfig, cap: int) -> Simulator:
    users, slots = pools.items.shape
    world = World(
        requests=UserRequests.of_strangers(np.zeros((users, 1)), length=1),
        predictions=np.zeros((users, slots, 1)),
        prediction_names=("none",),
        response=response,
        item_ids=pools.items,
        user_ids=np.arange(users),
    )
    rules = SimulatorConfig(
        candidates=slots,
        max_views=cap,
        carry_over=config.carry_over,
        leave_below=config.leave_below,
    )
    return Simulator(world, rules)


def _continued(frame: pl.DataFrame, max_length: int) -> pl.Series:
    """Whether an impression belongs to a later part of a split session, bool `[n]`."""
    lengths = frame.group_by("session_id").len()
    full = lengths.filter(pl.col("len") >= max_length)["session_id"].cast(pl.String)
    identity = pl.col("session_id").cast(pl.String)
    stem = identity.str.replace(r"\.\d+$", "")
    return frame.select((stem != identity) & stem.is_in(full.to_list())).to_series()


def _random_share(frame: pl.DataFrame, exposures: pl.DataFrame | None) -> float:
    """Share of the users' impressions of this time that the log of random exposures has."""
    if exposures is None:
        return 0.0
    time = frame["timestamp_ms"]
    other = exposures.filter(
        pl.col("user_id").is_in(frame["user_id"].unique().to_list())
        & pl.col("timestamp_ms").is_between(time.min(), time.max())
    )
    return other.height / (other.height + frame.height)


def _cut_watch_s(data: WorldData, frame: pl.DataFrame) -> np.ndarray | None:
    watch_s = data.watch_s(frame)
    if watch_s is None:
        return None
    longest = _MAX_LOOPS * data.duration_s(frame)
    return np.minimum(watch_s, np.where(longest > 0, longest, UNKNOWN_LONGEST_S))


def _numbered(session: np.ndarray) -> np.ndarray:
    """Sessions numbered from 0 without gaps."""
    return np.unique(session, return_inverse=True)[1]


def _describe(fit: Mapping[str, Any]) -> str:
    if fit["response_model"] == "truth":
        return "the known user model behind the synthetic data, nothing of it fitted"
    if fit["response_model"] == "published":
        return f"{fit['response']['source']}; {CIRCULAR}"
    return f"fitted on {fit['response']['source']}"
