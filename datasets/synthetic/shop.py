"""The ``shop`` profile: a web shop, RetailRocket's files."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from mtfx.datasets.retailrocket import ADD_TO_CART, TRANSACTION, VIEW
from mtfx.datasets.synthetic.behaviour import (
    BlockImpressions,
    Outcome,
    ProfileWorld,
    Truth,
    sigmoid,
)
from mtfx.datasets.synthetic.blocks import Block, Stream, generator, normal
from mtfx.datasets.synthetic.config import SyntheticConfig
from mtfx.datasets.synthetic.latents import (
    BLOCK_ITEMS,
    Users,
    effects,
    feedback_scores,
    pareto_activity,
)
from mtfx.datasets.synthetic.shop_tables import (
    PART1_WEEKS,
    SNAPSHOTS_FROM_MS,
    WEEK_MS,
    category_tree,
    make_categories,
    make_products,
    property_rows,
)
from mtfx.datasets.synthetic.truth import truth_frame
from mtfx.datasets.synthetic.user_model import FACTORS, NEUTRAL_SATISFACTION, SHOP_MODEL, ShopModel

#: What a tenth above the usual price takes from the utility.
_PRICE_WEIGHT = 0.25
#: Factor of the probability of a cart while the item is sold out.
_SOLD_OUT = 0.1
#: From the view to the cart; from the cart to the transaction this many times as long.
_CART_DELAY_MS, _PAY_DELAYS = (5_000, 65_000), 3
_LONGEST_PAUSE_MS = 900_000


class ShopWorld(ProfileWorld):
    """Visitors of a web shop."""

    model: ShopModel

    def __init__(self, config: SyntheticConfig):
        self.model = SHOP_MODEL
        self._seed = config.seed
        self._categories = make_categories(config.seed, config.item_count)
        self.items, self._columns = make_products(
            config.seed, self.model, self._categories, config.item_count
        )
        rate = self.model.rates[0]
        self._usual_score = np.float32(np.log(rate / (1 - rate)))
        # All visitors share a part of their taste, which makes it visible in a shop without
        # a user table.
        self._common = effects(generator(config.seed, Stream.WORLD, 6), FACTORS)

    def users(self, block: Block) -> Users:
        """See base class."""
        rng = generator(self._seed, Stream.USERS, block.index)
        size = block.users
        own = normal(rng, size, FACTORS)
        bias = np.float32(self.model.bias) * normal(rng, size)
        return Users(
            factors=np.float32(0.5**0.5) * (self._common + own),
            scores=feedback_scores(rng, self.model, bias, normal(rng, size)),
            depth=np.float32(self.model.depth_sd) * normal(rng, size),
            mood=np.float32(NEUTRAL_SATISFACTION) + np.float32(0.04) * normal(rng, size),
            activity=pareto_activity(rng, self.model, size),
            table=None,
        )

    def session_context(self, rng: np.random.Generator, sessions: int) -> np.ndarray:
        """A shop's sessions have no context."""
        return np.zeros(sessions, np.int8)

    def circumstances(
        self, item: np.ndarray, time_ms: np.ndarray, context: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """What the price of the week does to the utility, and the factor for sold out items."""
        week = (time_ms - SNAPSHOTS_FROM_MS) // WEEK_MS
        level = self._columns.price_level[item, week]
        available = self._columns.available[item, week]
        factor = np.where(available, np.float32(1), np.float32(_SOLD_OUT))
        return np.float32(-_PRICE_WEIGHT) * level.astype(np.float32), factor

    def probabilities(self, scores: np.ndarray, side: np.ndarray) -> np.ndarray:
        """Cart, and cart with transaction."""
        result = sigmoid(scores)
        result[:, 0] *= side
        result[:, 1] *= result[:, 0]
        return result

    def respond(
        self, rng: np.random.Generator, item: np.ndarray, scores: np.ndarray, side: np.ndarray
    ) -> Outcome:
        """Draws the cart, then the transaction given it.

        Reward: 0.3, a tenth of the distance of the cart's score from the usual (looking at what
        one likes is pleasant), and 0.7 for a cart; clipped to [0, 1].
        """
        size = len(item)
        chance = sigmoid(scores)
        chance[:, 0] *= side
        labels = rng.random(scores.shape, dtype=np.float32) < chance
        labels[:, 1] &= labels[:, 0]
        liking = np.float32(0.1) * (scores[:, 0] - self._usual_score)
        reward = np.clip(np.float32(0.3) + liking + np.float32(0.7) * labels[:, 0], 0, 1)
        pause = np.clip(40_000 * np.exp(normal(rng, size)), 3_000, _LONGEST_PAUSE_MS)
        delay = rng.integers(*_CART_DELAY_MS, size)
        gap = pause.astype(np.int64) + delay * (labels[:, 0] + _PAY_DELAYS * labels[:, 1])
        return Outcome(labels, reward.astype(np.float32), gap, delay)

    def log_frames(
        self,
        rng: np.random.Generator,
        block: Block,
        impressions: BlockImpressions,
        truth: Truth | None,
    ) -> dict[str, pl.DataFrame]:
        """The events, and the truth of the views among them."""
        visitor = block.first_user + impressions.user
        item = self.items.ids[impressions.item]
        frames = {"events": _events(impressions, visitor, item, block.first_row)}
        if truth is not None:
            keys = pl.DataFrame(
                {"visitorid": visitor, "itemid": item, "timestamp": impressions.time_ms}
            )
            frames["truth_views"] = truth_frame(
                keys,
                self.model.tasks,
                impressions.labels,
                truth.probabilities,
                impressions.satisfaction,
            )
        return frames

    def item_frames(self) -> Iterator[tuple[str, pl.DataFrame]]:
        """The category tree and the two parts of the item properties."""
        yield "category_tree", category_tree(self._categories)
        second_from_ms = SNAPSHOTS_FROM_MS + PART1_WEEKS * WEEK_MS
        for first in range(0, len(self.items.ids), BLOCK_ITEMS):
            rows = property_rows(self.items.ids, self._columns, self._categories, first)
            in_first = pl.col("timestamp") < second_from_ms
            yield "item_properties_part1", rows.filter(in_first)
            yield "item_properties_part2", rows.filter(~in_first)


def _events(
    impressions: BlockImpressions, visitor: np.ndarray, item: np.ndarray, first_transaction: int
) -> pl.DataFrame:
    """Views, each followed by its cart and its transaction."""
    cart, pay = impressions.labels[:, 0], impressions.labels[:, 1]
    counts = 1 + cart.astype(np.int64) + pay
    view = np.repeat(np.arange(len(counts)), counts)
    kind = np.arange(len(view)) - np.repeat(np.cumsum(counts) - counts, counts)
    delays = np.array([0, 1, 1 + _PAY_DELAYS])[kind]
    # There is at most one transaction a view, so the number of views before is a free id.
    transaction = first_transaction + np.cumsum(kind == 2) - 1
    return pl.DataFrame(
        {
            "timestamp": impressions.time_ms[view] + impressions.extra_ms[view] * delays,
            "visitorid": visitor[view],
            "event": pl.Series([VIEW, ADD_TO_CART, TRANSACTION]).gather(kind),
            "itemid": item[view],
            "transactionid": transaction,
        }
    ).with_columns(transactionid=pl.when(pl.Series(kind == 2)).then("transactionid"))
