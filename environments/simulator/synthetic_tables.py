"""Latent users and videos of a synthetic data set, made again, and what follows from them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mtfx.datasets.synthetic.behaviour import Intercepts
from mtfx.datasets.synthetic.blocks import split_into_blocks
from mtfx.datasets.synthetic.calibration import calibrate
from mtfx.datasets.synthetic.config import SyntheticConfig
from mtfx.datasets.synthetic.latents import Users
from mtfx.datasets.synthetic.manifest import FILE_NAME, read_manifest
from mtfx.datasets.synthetic.user_model import FACTORS, NEUTRAL_SATISFACTION
from mtfx.datasets.synthetic.video import TABS, VideoWorld
from mtfx.errors import DataError
from mtfx.files import read_json

#: The tab in which most of the log's sessions take place (72%).
MAIN_TAB = 1


@dataclasses.dataclass(frozen=True)
class VideoTables:
    """What decides the response of users to the items of their pools.

    Attributes:
      scores: Of each feedback at neutral satisfaction, intercept included, float32
        `[user, slot, feedback]`.
      late: Chance of a long view without a click; 0 in a tab of covers, where a video plays only
        after a click; float32 `[user]`, as all sessions take place in one tab.
      duration_ms: Length of the video, float32 `[user, slot]`.
      hold: Of the video, see ``mtfx.datasets.synthetic.watch_law``, float32 `[user, slot]`.
      mood: Mean satisfaction at a session's start, float32 `[user]`.
      leave_scores: Score of leaving at neutral satisfaction, intercept included, float32 `[user]`.
    """

    scores: np.ndarray
    late: np.ndarray
    duration_ms: np.ndarray
    hold: np.ndarray
    mood: np.ndarray
    leave_scores: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        """The tables by name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @classmethod
    def restore(cls, arrays: Mapping[str, np.ndarray]) -> VideoTables:
        """The inverse of :meth:`arrays`; raises ValueError if a table is missing."""
        names = [field.name for field in dataclasses.fields(cls)]
        if missing := [name for name in names if name not in arrays]:
            raise ValueError(f"the synthetic response model lacks the tables {', '.join(missing)}")
        return cls(**{name: arrays[name] for name in names})


def synthetic_tables(
    data_dir: str | os.PathLike[str],
    user_ids: np.ndarray,
    item_ids: np.ndarray,
    tab: int = MAIN_TAB,
) -> VideoTables:
    """The truth behind a data set that ``mtfx synthesize --profile video`` wrote.

    Users, videos and intercepts are made again from the seed and the sizes in its manifest, which
    takes some seconds, as the intercepts are calibrated on simulated sessions.

    Args:
      data_dir: The data set's directory.
      user_ids: Ids as in the log, int64 or decimal strings `[user]`.
      item_ids: Ids as in the log, int64 or decimal strings `[user, slot]`.
      tab: In which all sessions take place; a value of the log's column ``tab``.

    Returns:
      The tables.

    Raises:
      DataError: if the directory holds no whole synthetic data set, or one of another profile.
      ValueError: if an id or the tab is not of the data set, or shapes do not fit.
    """
    config = _config(Path(data_dir))
    if tab not in TABS:
        raise ValueError(f"there is no tab {tab}; there are: {', '.join(map(str, TABS))}")
    users = _indices(user_ids, config.user_count, "user")
    items = _indices(item_ids, config.item_count, "item")
    if users.ndim != 1 or items.ndim != 2 or len(users) != len(items):
        raise ValueError(
            "user_ids must be [user] and item_ids [user, slot], got shapes "
            f"{list(users.shape)} and {list(items.shape)}"
        )
    world, blocks = VideoWorld(config), split_into_blocks(config)
    intercepts = calibrate(config.seed, world, blocks)
    place = np.empty(config.item_count, np.int64)
    place[world.items.ids] = np.arange(config.item_count)
    items = place[items]
    shape = items.shape
    scores = np.empty((*shape, len(world.model.tasks)), np.float32)
    late = np.empty(len(users), np.float32)
    mood, leave_scores = np.empty(len(users), np.float32), np.empty(len(users), np.float32)
    for block in blocks:
        own = np.flatnonzero((users >= block.first_user) & (users < block.first_user + block.users))
        if not len(own):
            continue
        latents, index = world.users(block), users[own] - block.first_user
        scores[own], late[own] = _scores(world, latents, index, items[own], tab, intercepts)
        mood[own] = latents.mood[index]
        leave_scores[own] = latents.depth[index] + np.float32(intercepts.leave)
    duration = world.videos.duration_ms[items].astype(np.float32)
    return VideoTables(
        scores=scores,
        late=late,
        duration_ms=duration,
        hold=world.videos.hold[items],
        mood=mood,
        leave_scores=leave_scores,
    )


def _scores(
    world: VideoWorld,
    users: Users,
    index: np.ndarray,
    items: np.ndarray,
    tab: int,
    intercepts: Intercepts,
) -> tuple[np.ndarray, np.ndarray]:
    """Scores at neutral satisfaction `[user, slot, feedback]`; chances of late views `[user]`."""
    factors = users.factors[index]
    theirs = world.items.factors.take(items, axis=0)
    affinity = np.einsum("upf,uf->up", theirs, factors) / np.float32(FACTORS**0.5)
    item, context = items.ravel(), np.full(items.size, TABS.index(tab), np.int8)
    shift, late = world.circumstances(item, np.zeros(items.size, np.int64), context)
    neutral = np.full(items.size, NEUTRAL_SATISFACTION, np.float32)
    situation = world.situation_scores(
        factors.repeat(items.shape[1], axis=0), item, affinity.ravel(), shift, neutral
    )
    scores = users.scores[index][:, None] + world.items.scores.take(items, axis=0)
    scores += situation.reshape(scores.shape)
    return scores + intercepts.tasks, late.reshape(items.shape)[:, 0]


def _config(directory: Path) -> SyntheticConfig:
    """The configuration of a whole data set of the video profile."""
    path = directory / FILE_NAME
    if not path.is_file():
        raise DataError(
            f"{directory} holds no {FILE_NAME}: the truth is known only of what `mtfx synthesize` "
            "wrote"
        )
    try:
        config = SyntheticConfig(**read_json(path)["config"])
        read_manifest(directory, config)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"the truth of {directory} is not known: {error}") from error
    if config.profile != "video":
        raise DataError(
            f"{directory} holds the profile {config.profile!r}; the simulator needs watch time: "
            "synthesize the profile video"
        )
    return config


def _indices(ids: np.ndarray, size: int, name: str) -> np.ndarray:
    try:
        values = np.asarray(ids).astype(np.int64)
    except ValueError as error:
        raise ValueError(f"{name} ids of synthetic data are whole numbers: {error}") from error
    if not values.size:
        raise ValueError(f"no {name} ids: the simulator needs at least one user and one item")
    if values.min() < 0 or values.max() >= size:
        wrong = values[(values < 0) | (values >= size)][0]
        raise ValueError(f"there is no {name} {wrong} in the data set, which has {size:,} of them")
    return values
