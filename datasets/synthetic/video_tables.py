"""KuaiRand's user and video tables, and the latents that their columns hint at."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl

from mtfx.datasets.synthetic.behaviour import sigmoid
from mtfx.datasets.synthetic.blocks import Block, Stream, generator, mix, normal
from mtfx.datasets.synthetic.latents import (
    BLOCK_ITEMS,
    Items,
    Users,
    draw_codes,
    effects,
    observed_part,
    pareto_activity,
    permuted_ids,
    trait_scores,
)
from mtfx.datasets.synthetic.real_figures import DURATION_MS, DURATION_PARTS
from mtfx.datasets.synthetic.user_model import (
    FACTORS,
    INTERACTING_OBSERVED_SHARE,
    NEUTRAL_SATISFACTION,
    VIEWING_OBSERVED_SHARE,
    VideoModel,
)

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
#: Shortest and longest duration, ms: the ends of the law between the quantiles of the real log.
_SHORTEST_MS, _LONGEST_MS = 5_500.0, 510_000.0
#: Step of the place of a video's duration in that law to that of the next popular one: the golden
#: ratio, by which any number of the most popular videos have all durations evenly.
_GOLDEN = 0.6180339887498949
#: Share of the variance of the hold that the video's own score of long views explains.
_HOLD_BY_LONG_VIEWS = 0.82
#: Share of the videos with a second tag: KuaiRand-Pure's.
_SECOND_TAG = 0.23


@dataclasses.dataclass(frozen=True)
class VideoColumns:
    """What the video table says about each item, beside its id, and its hold; each `[item]`.

    The hold, of unit variance, is how long those stay who have watched long: see
    :mod:`mtfx.datasets.synthetic.watch_law`. Videos that hold many hold them less long.
    """

    author: np.ndarray
    tag: np.ndarray
    upload_type: np.ndarray
    music_type: np.ndarray
    duration_ms: np.ndarray
    hold: np.ndarray


def make_videos(seed: int, model: VideoModel, count: int) -> tuple[Items, VideoColumns]:
    """Draws the videos.

    Tag and author tell their factors, author and upload type what makes one watch them, author and
    music type what makes one like them.
    """
    world = generator(seed, Stream.WORLD, 1)
    authors = max(5, count // 4)
    tag_factors = effects(world, _TAGS, FACTORS)
    upload_quality = effects(world, len(_UPLOAD_TYPES))
    author_factors = effects(world, authors, FACTORS)
    author_quality = effects(world, authors)
    author_appeal, music_appeal = effects(world, authors), effects(world, len(_MUSIC_TYPES))
    first_place = world.random()
    blocks: list[tuple[np.ndarray, ...]] = []
    for first in range(0, count, BLOCK_ITEMS):
        size = min(BLOCK_ITEMS, count - first)
        rng = generator(seed, Stream.ITEMS, first)
        tag, author = draw_codes(rng, _TAGS, size), draw_codes(rng, authors, size)
        upload_type = draw_codes(rng, len(_UPLOAD_TYPES), size)
        music_type = draw_codes(rng, len(_MUSIC_TYPES), size)
        place = (first_place + _GOLDEN * np.arange(first, first + size)) % 1.0
        duration = _durations_ms(place)
        factors = observed_part(rng, tag_factors[tag], author_factors[author])
        quality = observed_part(rng, author_quality[author], upload_quality[upload_type])
        appeal = observed_part(rng, author_appeal[author], music_appeal[music_type])
        scores = trait_scores(rng, model.videos, quality, appeal)
        hold = _hold(rng, model, scores)
        blocks.append((author, tag, upload_type, music_type, duration, hold, factors, scores))
    *columns, factors, scores = map(np.concatenate, zip(*blocks, strict=True))
    part = ((first_place + _GOLDEN * np.arange(count)) % 1.0 * DURATION_PARTS).astype(np.int64)
    scores = _balanced(model, scores, part) + _length_scores(model, columns[-2])
    return Items(permuted_ids(seed, count), factors, scores), VideoColumns(*columns)


def _durations_ms(place: np.ndarray) -> np.ndarray:
    """Durations at places in [0, 1) of their law, int64: the real log's quantiles, log-linear."""
    levels = [0.0, *DURATION_MS, 1.0]
    values = np.log([_SHORTEST_MS, *DURATION_MS.values(), _LONGEST_MS])
    return np.exp(np.interp(place, levels, values)).astype(np.int64)


def _hold(rng: np.random.Generator, model: VideoModel, scores: np.ndarray) -> np.ndarray:
    """Unit-variance hold of videos with these traits, float32 `[item]`."""
    task = model.tasks.index("long_view")
    long_views = scores[:, task] / np.hypot(model.videos.viewing[task], model.videos.own[task])
    return mix(rng, -long_views, _HOLD_BY_LONG_VIEWS)


def _balanced(model: VideoModel, scores: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Traits without what ties them to the duration by chance: a few popular videos decide a lot.

    Each part of the durations gets the mean rate of all videos. The mean over users of
    sigmoid(c + x) is about sigmoid((c + x) / sqrt(1 + pi v / 8)), where v is the variance of their
    scores (MacKay, Neural Computation 1992).

    Args:
      model: Constants of the profile.
      scores: float32 `[item, task]`, most popular first.
      part: Part of the duration, int64 `[item]`.
    """
    weights = np.arange(1.0, len(scores) + 1) ** -model.popularity_exponent
    rates = np.asarray(model.rates)
    users = np.square([model.users.viewing, model.users.interacting, model.users.own]).sum(axis=0)
    slopes = 1 / np.sqrt(1 + np.pi / 8 * users)
    chances = sigmoid(np.log(rates / (1 - rates)) + slopes * scores)
    wanted = np.average(chances, axis=0, weights=weights)
    result = scores.copy()
    for number in np.unique(part):
        mine = part == number
        found = np.average(chances[mine], axis=0, weights=weights[mine])
        odds = wanted / (1 - wanted) / (found / (1 - found))
        result[mine] += (np.log(odds) / slopes).astype(np.float32)
    return result


def _length_scores(model: VideoModel, duration_ms: np.ndarray) -> np.ndarray:
    """What the duration adds to each feedback's score, float32 `[item, task]`."""
    scores = np.zeros((len(duration_ms), len(model.tasks)), np.float32)
    at = np.log(1_000.0 * np.asarray(model.lengths_s))
    for task, values in model.length_scores.items():
        scores[:, model.tasks.index(task)] = np.interp(np.log(duration_ms), at, values)
    return scores


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
            "music_type": _labels(_MUSIC_TYPES, columns.music_type[rows]),
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


def make_users(seed: int, model: VideoModel, told: UserEffects, block: Block) -> Users:
    """Draws a block's users.

    The active degree tells activity and depth, three anonymous columns the factors, a fourth and
    the time since registration the liking to watch, the followed users that to interact.
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
    bias = observed_part(
        rng,
        told.liking[codes[_LIKING]],
        told.registered[register_range],
        share=VIEWING_OBSERVED_SHARE,
    )
    inclination = observed_part(rng, social, share=INTERACTING_OBSERVED_SHARE)
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
        scores=trait_scores(rng, model.users, bias, inclination),
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
