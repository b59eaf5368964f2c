"""KuaiRand's user and video tables, and the latents that their columns hint at."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl

from mtfx.datasets.synthetic.blocks import Block, Stream, generator, mix, normal
from mtfx.datasets.synthetic.latents import (
    BLOCK_ITEMS,
    Items,
    Users,
    draw_codes,
    effects,
    feedback_scores,
    observed_part,
    pareto_activity,
    permuted_ids,
)
from mtfx.datasets.synthetic.user_model import FACTORS, NEUTRAL_SATISFACTION, UserModel

_DEGREES = ("low_active", "middle_active", "high_active", "full_active")
_DEGREE_ENDS = (0.02, 0.1, 0.34)
_FOLLOW_ENDS = (0.5, 10.5, 50.5, 100.5, 150.5, 250.5, 500.5)
_FOLLOW = ("0", "(0,10]", "(10,50]", "(50,100]", "(100,150]", "(150,250]", "(250,500]", "500+")
_FANS_ENDS = (1, 10, 100, 1_000, 5_000, 10_000, 100_000)
_FANS = ("0", "[1,10)", "[10,100)", "[100,1k)", "[1k,5k)", "[5k,1w)", "[1w,10w)", "[10w,100w)")
_FRIEND_ENDS = (1, 5, 30, 60, 120, 250)
_FRIENDS = ("0", "[1,5)", "[5,30)", "[30,60)", "[60,120)", "[120,250)", "250+")
_REGISTER_ENDS = (15, 31, 61, 91, 181, 366, 731)
_REGISTER = ("8-14", "15-30", "31-60", "61-90", "91-180", "181-365", "366-730", "730+")
_UPLOAD_TYPES = ("LongImport", "Web", "ShortImport", "Kmovie", "LongPicture", "LongCamera")
_MUSIC_TYPES = (9.0, 4.0, 8.0, 7.0, 11.0)
#: Codes of each anonymous user column, and of the columns among them that tell taste or liking.
_ONEHOT_CODES = (2, 7, 50, 1_471, 15, 34, 3, 118, 454, 7, 5, 5, 2, 2, 2, 2, 2, 2)
_TASTE, _LIKING = (1, 4, 7), 9
_WITH_GAPS = (4, 12, 13, 14, 15, 16, 17)
_TAGS = 64
#: Share of the videos with a second tag: KuaiRand-Pure's.
_SECOND_TAG = 0.23


@dataclasses.dataclass(frozen=True)
class VideoColumns:
    """What the video table says about each item, beside its id; each `[item]`."""

    author: np.ndarray
    tag: np.ndarray
    upload_type: np.ndarray
    duration_ms: np.ndarray


def make_videos(seed: int, model: UserModel, count: int) -> tuple[Items, VideoColumns]:
    """Draws the videos: tag and author tell their factors, author and upload type their quality."""
    world = generator(seed, Stream.WORLD, 1)
    authors = max(5, count // 4)
    tag_factors = effects(world, _TAGS, FACTORS)
    upload_quality = effects(world, len(_UPLOAD_TYPES))
    author_factors = effects(world, authors, FACTORS)
    author_quality = effects(world, authors)
    blocks: list[tuple[np.ndarray, ...]] = []
    for first in range(0, count, BLOCK_ITEMS):
        size = min(BLOCK_ITEMS, count - first)
        rng = generator(seed, Stream.ITEMS, first)
        tag, author = draw_codes(rng, _TAGS, size), draw_codes(rng, authors, size)
        upload_type = draw_codes(rng, len(_UPLOAD_TYPES), size)
        duration = np.clip(15_000 * np.exp(0.9 * normal(rng, size)), 3_000, 300_000)
        factors = observed_part(rng, tag_factors[tag], author_factors[author])
        quality = observed_part(rng, author_quality[author], upload_quality[upload_type])
        scores = feedback_scores(rng, model, np.float32(model.quality) * quality, normal(rng, size))
        blocks.append((author, tag, upload_type, duration.astype(np.int64), factors, scores))
    author, tag, upload_type, duration_ms, factors, scores = map(
        np.concatenate, zip(*blocks, strict=True)
    )
    items = Items(permuted_ids(seed, count), factors, scores)
    return items, VideoColumns(author, tag, upload_type, duration_ms)


def video_table(seed: int, ids: np.ndarray, columns: VideoColumns, first: int) -> pl.DataFrame:
    """Rows of the video table from item ``first`` on, at most ``BLOCK_ITEMS`` of them."""
    rows = slice(first, min(first + BLOCK_ITEMS, len(ids)))
    size = rows.stop - rows.start
    rng = generator(seed, Stream.ITEM_TABLE, first)
    wide = rng.random(size) < 0.2
    music = rng.integers(1, 10**10, size)
    return pl.DataFrame(
        {
            "video_id": ids[rows],
            "author_id": columns.author[rows],
            "video_type": _labels(("NORMAL", "AD"), (rng.random(size) < 0.01).astype(np.int64)),
            "upload_dt": _labels(
                ("2022-04-09", "2022-04-10", "2022-04-11"), rng.integers(0, 3, size)
            ),
            "upload_type": _labels(_UPLOAD_TYPES, columns.upload_type[rows]),
            "visible_status": np.zeros(size),
            "video_duration": columns.duration_ms[rows].astype(np.float64),
            "server_width": np.where(wide, 1280.0, 720.0),
            "server_height": np.where(wide, 720.0, 1280.0),
            "music_id": music,
            "music_type": _labels(_MUSIC_TYPES, draw_codes(rng, len(_MUSIC_TYPES), size)),
            "tag": columns.tag[rows],
        }
    ).with_columns(
        music_type=pl.when(pl.Series(rng.random(size) > 0.03)).then("music_type"),
        tag=pl.when(pl.Series(rng.random(size) > 0.01)).then(_tags(rng, columns.tag[rows])),
    )


def _tags(rng: np.random.Generator, tag: np.ndarray) -> pl.Series:
    """Texts as KuaiRand has them: the tag, and with some videos one that often goes with it."""
    first = pl.Series(tag).cast(pl.String)
    other = pl.Series((tag + rng.integers(1, 4, len(tag))) % _TAGS).cast(pl.String)
    return (first + "," + other).zip_with(pl.Series(rng.random(len(tag)) < _SECOND_TAG), first)


@dataclasses.dataclass(frozen=True)
class UserEffects:
    """What the codes of the user table tell."""

    taste: tuple[np.ndarray, ...]
    liking: np.ndarray
    registered: np.ndarray


def user_effects(seed: int) -> UserEffects:
    """Draws the effects of the user table's codes."""
    rng = generator(seed, Stream.WORLD, 2)
    return UserEffects(
        taste=tuple(effects(rng, _ONEHOT_CODES[feature], FACTORS) for feature in _TASTE),
        liking=effects(rng, _ONEHOT_CODES[_LIKING]),
        registered=effects(rng, len(_REGISTER)),
    )


def make_users(seed: int, model: UserModel, told: UserEffects, block: Block) -> Users:
    """Draws a block's users.

    The active degree tells activity and depth, three anonymous columns the factors, a fourth and
    the time since registration the bias, the followed users the inclination to give feedback.
    """
    rng = generator(seed, Stream.USERS, block.index)
    size = block.users
    codes = [draw_codes(rng, count, size) for count in _ONEHOT_CODES]
    registered = 8 + (2_500 * rng.random(size) ** 1.5).astype(np.int64)
    register_range = np.digitize(registered, _REGISTER_ENDS)
    social = normal(rng, size)
    follows = np.expm1(4.5 + 1.6 * social.astype(np.float64)).clip(0, 5_000).astype(np.int64)
    factors = observed_part(
        rng,
        *(effect[codes[feature]] for feature, effect in zip(_TASTE, told.taste, strict=True)),
    )
    bias = observed_part(rng, told.liking[codes[_LIKING]], told.registered[register_range])
    inclination = observed_part(rng, social)
    activity = pareto_activity(rng, model, size)
    degree = mix(rng, _activity_scores(activity, model.activity_shape), 0.7)
    table = {
        "user_id": block.first_user + np.arange(size),
        "user_active_degree": _labels(_DEGREES, np.digitize(_uniform(degree), _DEGREE_ENDS)),
        "is_lowactive_period": np.zeros(size, np.int64),
        "is_live_streamer": np.where(rng.random(size) < 0.2, 1, -124),
        "is_video_author": (rng.random(size) < 0.8).astype(np.int64),
        "follow_user_num": follows,
        "follow_user_num_range": _labels(_FOLLOW, np.digitize(follows, _FOLLOW_ENDS)),
        **_counts(rng, "fans_user", 3.5, 2.0, size, _FANS_ENDS, _FANS),
        **_counts(rng, "friend_user", 2.5, 1.8, size, _FRIEND_ENDS, _FRIENDS),
        "register_days": registered,
        "register_days_range": _labels(_REGISTER, register_range),
    }
    for feature, values in enumerate(codes):
        column = pl.Series(values)
        if feature in _WITH_GAPS:
            present = pl.Series(rng.random(size) > 0.03)
            column = column.cast(pl.Float64).zip_with(present, pl.Series([None], dtype=pl.Float64))
        table[f"onehot_feat{feature}"] = column
    return Users(
        factors=factors,
        scores=feedback_scores(rng, model, np.float32(model.bias) * bias, inclination),
        depth=np.float32(-model.depth_sd) * mix(rng, degree, 0.5),
        mood=np.float32(NEUTRAL_SATISFACTION) + np.float32(0.04) * normal(rng, size),
        activity=activity,
        table=pl.DataFrame(table),
    )


def _counts(
    rng: np.random.Generator,
    name: str,
    mean: float,
    sd: float,
    size: int,
    ends: tuple[int, ...],
    labels: tuple[str, ...],
) -> dict[str, np.ndarray | pl.Series]:
    numbers = np.expm1(rng.normal(mean, sd, size)).clip(0, 900_000).astype(np.int64)
    return {
        f"{name}_num": numbers,
        f"{name}_num_range": _labels(labels, np.digitize(numbers, ends)),
    }


def _labels(labels: tuple, codes: np.ndarray) -> pl.Series:
    return pl.Series(list(labels)).gather(codes)


def _activity_scores(activity: np.ndarray, shape: float) -> np.ndarray:
    # log(activity) is exponential with mean 1 / shape: centred and scaled, with its tail cut off,
    # as the most active users would otherwise hardly ever leave.
    return np.minimum(np.log(activity) * shape - 1.0, 2.0).astype(np.float32)


def _uniform(score: np.ndarray) -> np.ndarray:
    # Near enough to the normal distribution function for a column of four values.
    return 1.0 / (1.0 + np.exp(-1.702 * score))
