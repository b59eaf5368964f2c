"""A small log with a planted taste, for tests of what is fitted to it.

Users of even number like items of even number, and the others the others: that is taste. Items from
20 on are better for everybody: that is quality. Both raise the probability of a click. A clicked
video is watched about as long as it lasts, another one for a second. A user leaves after each view
with probability 0.2, whatever was shown.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from mtfx.datasets.feature_roles import feature_roles, item_catalogue
from mtfx.datasets.logs.exposures import Exposures
from mtfx.datasets.logs.impressions import SESSION
from mtfx.datasets.logs.sessions import SPLITS, build_sessions
from mtfx.datasets.spec import Column, DatasetSpec, Feature, SessionRule, Task
from mtfx.environments.simulator.fitting.log_data import WorldData
from mtfx.environments.simulator.satisfaction import satisfaction_rule
from mtfx.models.input_features import InputFeature

SPEC = DatasetSpec(
    name="planted",
    title="",
    log_files=("log.csv",),
    random_log_files=("random.csv",),
    columns=(
        Column("user_id", "user", "user"),
        Column("item_id", "item", "item"),
        Column("timestamp_ms", "time", "timestamp"),
        Column("duration_ms", "duration", "context", dtype="float32"),
        Column("play_ms", "play", "watch_time", dtype="float32"),
        Column("click", "click", "label"),
        Column("like", "like", "label"),
    ),
    features=(
        Feature("user_id", "categorical", level="session", min_count=1, oov_buckets=1),
        Feature("item_id", "categorical", min_count=1, oov_buckets=1),
        Feature("duration_ms", "numeric", dtype="float32", log_scale=True),
        Feature("step_bucket", "categorical", dtype="string", min_count=1, oov_buckets=1),
    ),
    tasks=(Task("click"), Task("like"), Task("play_ms", "regression", unit=1000.0)),
    default_tasks=("click", "like"),
    session_rule=SessionRule(max_length=20),
)
USERS, ITEMS, LEAVES = 16, 40, 0.2
#: Probability of a click by taste (no, yes) and quality (low, high).
CLICKS = np.array([[0.05, 0.25], [0.6, 0.95]])
GOOD_FROM = 20
_HOUR = 3_600_000


def click_probability(users: np.ndarray, items: np.ndarray) -> np.ndarray:
    """The planted probability of users clicking items."""
    return CLICKS[(users % 2 == items % 2).astype(int), (items >= GOOD_FROM).astype(int)]


def draw_events(sessions: int, seed: int) -> pl.DataFrame:
    """Events as the log's columns, sessions of random users two hours apart."""
    rng = np.random.default_rng(seed)
    lengths = np.minimum(rng.geometric(LEAVES, sessions), SPEC.session_rule.max_length)
    session = np.repeat(np.arange(sessions), lengths)
    step = np.arange(len(session)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    users = rng.integers(0, USERS, sessions)[session]
    items = rng.integers(0, ITEMS, len(session))
    clicks = rng.random(len(session)) < click_probability(users, items)
    duration = 10_000.0 + 500.0 * items
    watched = np.where(clicks, duration, 1_000.0) * np.exp(0.3 * rng.normal(size=len(session)))
    return pl.DataFrame(
        {
            "user_id": users,
            "item_id": items,
            "timestamp_ms": 1_600_000_000_000 + 2 * _HOUR * session + 20_000 * step,
            "duration_ms": duration.astype(np.float32),
            "play_ms": np.minimum(watched, 3 * duration).astype(np.float32),
            "click": clicks.astype(np.int64),
            "like": (clicks & (rng.random(len(session)) < 0.1)).astype(np.int64),
        }
    )


def split_sessions(sessions: int, seed: int = 0) -> dict[str, pl.DataFrame]:
    """The log's sessions by split, 6:2:2 by time."""
    frame, _ = build_sessions(draw_events(sessions, seed), SPEC)
    starts = frame["session_start_ms"].to_numpy()
    bounds = np.quantile(np.unique(starts), [0.6, 0.8])
    split = np.searchsorted(bounds, starts, side="right")
    return {name: frame.filter(pl.Series(split == k)) for k, name in enumerate(SPLITS)}


def planted_data(sessions: int = 600, exposures: int = 0) -> WorldData:
    """The log as world building has it, with ids for embeddings instead of a Transform graph.

    Args:
      sessions: In all.
      exposures: Sessions of random exposures; none for 0.
    """
    splits = {}
    for name, frame in split_sessions(sessions).items():
        number = frame["session_id"].rle_id().cast(pl.Int64).alias(SESSION)
        splits[name] = frame.with_columns(number)
    roles = feature_roles(SPEC)
    random_log = None
    if exposures:
        rows, _ = build_sessions(draw_events(exposures, seed=9), SPEC)
        random_log = Exposures(rows, ("random.csv",), rejected=0, complete=True)
    return WorldData(
        spec=SPEC,
        splits=splits,
        transform=_transform,  # type: ignore[arg-type]
        inputs={
            "user_id": InputFeature("user_id", "categorical", USERS),
            "item_id": InputFeature("item_id", "categorical", ITEMS),
            "duration_ms": InputFeature("duration_ms", "numeric"),
            "step_bucket": InputFeature("step_bucket", "categorical", 1),
        },
        roles=roles,
        catalogue=item_catalogue(pl.concat(splits.values()), roles),
        rule=satisfaction_rule(SPEC),
        exposures=random_log,
    )


def _transform(frame: pl.DataFrame) -> Mapping[str, np.ndarray]:
    return {
        "user_id": frame["user_id"].to_numpy().astype(np.int64),
        "item_id": frame["item_id"].to_numpy().astype(np.int64),
        "duration_ms": (frame["duration_ms"].to_numpy() / 20_000.0 - 1).astype(np.float32),
        "step_bucket": np.zeros(frame.height, np.int64),
    }
