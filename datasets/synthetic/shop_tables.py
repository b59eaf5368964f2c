"""RetailRocket's category tree and item properties, and the latents that they hint at."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl

from mtfx.datasets.synthetic.blocks import Stream, generator, normal
from mtfx.datasets.synthetic.latents import (
    BLOCK_ITEMS,
    Items,
    draw_codes,
    effects,
    feedback_scores,
    observed_part,
    permuted_ids,
)
from mtfx.datasets.synthetic.user_model import FACTORS, ShopModel

SNAPSHOTS_FROM_MS = 1_430_622_000_000  # Sunday 2015-05-03 03:00 UTC
WEEK_MS = 7 * 86_400_000
WEEKS = 20
#: Snapshots of the first part; the second has the others.
PART1_WEEKS = 10
#: Property 364 is the tier of the usual price and the distance from it.
_TIER_CENTS, PRICE_LEVELS = (1_200, 2_500, 4_500, 9_000), 5
_PUBLISHED_CATEGORIES, _PUBLISHED_ITEMS, _PUBLISHED_ROOTS = 1_669, 235_061, 25
_CODES = {"785": 40, "591": 30, "814": 500, "776": 15}


@dataclasses.dataclass(frozen=True)
class Categories:
    """The category tree; each `[category]`.

    Attributes:
      ids: Public ids.
      parents: Index of the parent, -1 for a root.
      factors: float32 `[category, FACTORS]`.
    """

    ids: np.ndarray
    parents: np.ndarray
    factors: np.ndarray


@dataclasses.dataclass(frozen=True)
class ItemColumns:
    """Properties of each item.

    Attributes:
      codes: Values of the properties that stay, by property, each int16 `[item]`.
      category: Index, int32 `[item]`.
      price_cents: Usual price, int64 `[item]`.
      price_level: Distance from the usual price in steps of a tenth, from -2 to 2, in the week
        after each snapshot, int8 `[item, WEEKS]`.
      available: In the week after each snapshot, bool `[item, WEEKS]`.
    """

    codes: dict[str, np.ndarray]
    category: np.ndarray
    price_cents: np.ndarray
    price_level: np.ndarray
    available: np.ndarray


def make_categories(seed: int, items: int) -> Categories:
    """As many categories as published for as many items, fewer for fewer."""
    rng = generator(seed, Stream.WORLD, 4)
    count = max(12, round(_PUBLISHED_CATEGORIES * min(1.0, (items / _PUBLISHED_ITEMS) ** 0.5)))
    roots = max(3, round(count * _PUBLISHED_ROOTS / _PUBLISHED_CATEGORIES))
    index = np.arange(count)
    # A parent stands in the first fifth, which makes the tree three to five levels deep.
    limit = np.maximum(roots, np.minimum(index, count // 5))
    parents = np.where(index < roots, -1, (rng.random(count) * limit).astype(np.int64))
    factors = effects(rng, count, FACTORS)
    factors[roots:] = np.float32(0.5**0.5) * (factors[roots:] + factors[parents[roots:]])
    return Categories(rng.permutation(count + 30)[:count], parents, factors)


def category_tree(categories: Categories) -> pl.DataFrame:
    """The tree's file: a root has no parent."""
    parents = pl.Series(categories.ids).gather(np.maximum(categories.parents, 0))
    return pl.DataFrame({"categoryid": categories.ids, "parentid": parents}).with_columns(
        parentid=pl.when(pl.Series(categories.parents >= 0)).then("parentid")
    )


def make_products(
    seed: int, model: ShopModel, categories: Categories, count: int
) -> tuple[Items, ItemColumns]:
    """Draws the items.

    Category and property 785 tell their factors, 591 and 776 their quality; 814 tells nothing.
    """
    world = generator(seed, Stream.WORLD, 5)
    told_factors = effects(world, _CODES["785"], FACTORS)
    told_quality = {name: effects(world, _CODES[name]) for name in ("591", "776")}
    inner = np.flatnonzero(categories.parents >= 0)
    factors = np.empty((count, FACTORS), np.float32)
    scores = np.empty((count, len(model.tasks)), np.float32)
    columns = ItemColumns(
        codes={name: np.empty(count, np.int16) for name in _CODES},
        category=np.empty(count, np.int32),
        price_cents=np.empty(count, np.int64),
        price_level=np.empty((count, WEEKS), np.int8),
        available=np.empty((count, WEEKS), bool),
    )
    for first in range(0, count, BLOCK_ITEMS):
        rows = slice(first, min(first + BLOCK_ITEMS, count))
        size = rows.stop - rows.start
        rng = generator(seed, Stream.ITEMS, first)
        codes = {name: draw_codes(rng, values, size) for name, values in _CODES.items()}
        category = inner[draw_codes(rng, len(inner), size)]
        factors[rows] = observed_part(rng, categories.factors[category], told_factors[codes["785"]])
        quality = observed_part(rng, *(told[codes[name]] for name, told in told_quality.items()))
        scores[rows] = feedback_scores(
            rng, model, np.float32(model.quality) * quality, normal(rng, size)
        )
        for name, values in codes.items():
            columns.codes[name][rows] = values
        columns.category[rows] = category
        columns.price_cents[rows] = 100 * np.exp(3.5 + 1.2 * normal(rng, size).clip(-4, 4))
        columns.price_level[rows] = _price_levels(rng, size)
        columns.available[rows] = _availability(rng, size)
    return Items(permuted_ids(seed, count), factors, scores), columns


def property_rows(
    ids: np.ndarray, columns: ItemColumns, categories: Categories, first: int
) -> pl.DataFrame:
    """Rows of the properties of the items from ``first`` on, at most ``BLOCK_ITEMS`` items.

    As published, a value is written in the first snapshot and again only where it has changed.
    """
    rows = slice(first, min(first + BLOCK_ITEMS, len(ids)))
    level = columns.price_level[rows].astype(np.int64)
    usual = columns.price_cents[rows, None]
    tier = np.digitize(usual, _TIER_CENTS)
    number = pl.col("number")
    plain = number.cast(pl.String)
    cents = (number % 100).cast(pl.String).str.zfill(2)
    parts = [
        (name, int(name) * 1_000 + codes[rows, None].astype(np.int64), plain)
        for name, codes in columns.codes.items()
    ]
    parts += [
        ("categoryid", categories.ids[columns.category[rows, None]], plain),
        ("available", columns.available[rows].astype(np.int64), plain),
        ("364", 364_000 + tier * PRICE_LEVELS + level + 2, plain),
        ("790", usual * (10 + level) // 10, pl.format("n{}.{}0", number // 100, cents)),
    ]
    frames = [
        _changes(ids[rows], values).select(
            "timestamp", "itemid", pl.lit(name).alias("property"), text.alias("value")
        )
        for name, values, text in parts
    ]
    return pl.concat(frames).sort("timestamp", maintain_order=True)


def _changes(item: np.ndarray, values: np.ndarray) -> pl.DataFrame:
    """Snapshots in which a value is new: of ``values`` int64 `[item, week]`."""
    changed = np.ones(values.shape, bool)
    changed[:, 1:] = values[:, 1:] != values[:, :-1]
    index, week = np.nonzero(changed)
    return pl.DataFrame(
        {
            "timestamp": SNAPSHOTS_FROM_MS + week * WEEK_MS,
            "itemid": item[index],
            "number": values[index, week],
        }
    )


def _price_levels(rng: np.random.Generator, size: int) -> np.ndarray:
    """Each week a price moves with probability 0.15, by a tenth of the usual price."""
    level = np.empty((size, WEEKS), np.int8)
    level[:, 0] = rng.integers(-1, 2, size)
    for week in range(1, WEEKS):
        move = np.where(rng.random(size) < 0.15, rng.integers(0, 2, size) * 2 - 1, 0)
        level[:, week] = np.clip(level[:, week - 1] + move, -2, 2)
    return level


def _availability(rng: np.random.Generator, size: int) -> np.ndarray:
    """Each week an item sells out with probability 0.05 and comes back with 0.3."""
    available = np.empty((size, WEEKS), bool)
    available[:, 0] = rng.random(size) < 0.85
    for week in range(1, WEEKS):
        chance = rng.random(size)
        available[:, week] = np.where(available[:, week - 1], chance >= 0.05, chance < 0.3)
    return available
