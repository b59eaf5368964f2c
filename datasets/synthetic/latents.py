"""Latents of the simulated users and items, which the log shows only indirectly."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl

from mtfx.datasets.synthetic.blocks import Stream, generator, mix, normal
from mtfx.datasets.synthetic.user_model import OBSERVED_SHARE, ShopModel, Traits, UserModel

BLOCK_ITEMS = 1 << 16


@dataclasses.dataclass(frozen=True)
class Items:
    """Items, most popular first.

    Attributes:
      ids: Public ids, a permutation, so that an id tells nothing; int64 `[item]`.
      factors: float32 `[item, FACTORS]`, unit variance.
      scores: What the item adds to each feedback's score, float32 `[item, task]`.
    """

    ids: np.ndarray
    factors: np.ndarray
    scores: np.ndarray


@dataclasses.dataclass(frozen=True)
class Users:
    """A block of users.

    Attributes:
      factors: float32 `[user, FACTORS]`, unit variance.
      scores: What the user adds to each feedback's score, float32 `[user, task]`.
      depth: What the user adds to the score of leaving, float32 `[user]`.
      mood: Mean satisfaction at the start of a session, float32 `[user]`.
      activity: Relative number of sessions, float64 `[user]`.
      table: The block's rows of the user table; None if the profile has none.
    """

    factors: np.ndarray
    scores: np.ndarray
    depth: np.ndarray
    mood: np.ndarray
    activity: np.ndarray
    table: pl.DataFrame | None


def effects(rng: np.random.Generator, codes: int, *shape: int) -> np.ndarray:
    """What entities with the same code share, float32 `[codes, *shape]`.

    Centred and scaled over the codes, so that few codes have as much influence as many.
    """
    values = normal(rng, codes, *shape)
    return (values - values.mean(axis=0)) / values.std(axis=0)


def draw_codes(rng: np.random.Generator, codes: int, size: int) -> np.ndarray:
    """Codes of which the first are more frequent, int64 `[size]` in [0, codes)."""
    return zipf_ranks(rng.random(size), codes, 0.4)


def observed_part(
    rng: np.random.Generator, *parts: np.ndarray, share: float = OBSERVED_SHARE
) -> np.ndarray:
    """Unit-variance latent of which the given effects explain ``share``, same shape."""
    observed = np.sum(parts, axis=0, dtype=np.float32) / np.float32(len(parts) ** 0.5)
    return mix(rng, observed, share)


def feedback_scores(
    rng: np.random.Generator, model: ShopModel, utility: np.ndarray, inclination: np.ndarray
) -> np.ndarray:
    """Turns a part of the utility into its part of every feedback's score.

    Args:
      rng: Source of randomness.
      model: Constants of the profile.
      utility: Part of the utility, float32 `[entity]`.
      inclination: Unit-variance inclination to give feedback at all, float32 `[entity]`, which
        makes half of the variance of each feedback's own trait.

    Returns:
      float32 `[entity, task]`.
    """
    own = normal(rng, len(utility), len(model.tasks))
    traits = np.float32(0.5**0.5) * (inclination[:, None] + own)
    weights = np.asarray(model.utility_weights, np.float32)
    return utility[:, None] * weights + traits * np.asarray(model.trait_sd, np.float32)


def trait_scores(
    rng: np.random.Generator, traits: Traits, viewing: np.ndarray, interacting: np.ndarray
) -> np.ndarray:
    """What two latents and each feedback's own trait add to the scores, float32 `[entity, task]`.

    Args:
      rng: Source of randomness.
      traits: How they weigh.
      viewing: Unit-variance latent, float32 `[entity]`.
      interacting: Likewise.
    """
    scores = normal(rng, len(viewing), len(traits.own)) * np.asarray(traits.own, np.float32)
    scores += viewing[:, None] * np.asarray(traits.viewing, np.float32)
    scores += interacting[:, None] * np.asarray(traits.interacting, np.float32)
    return scores


def pareto_activity(rng: np.random.Generator, model: UserModel, users: int) -> np.ndarray:
    """Relative number of sessions by a Pareto law, float64 `[users]`, limited."""
    activity = (1.0 - rng.random(users)) ** (-1.0 / model.activity_shape)
    return np.minimum(activity, model.max_activity)


def permuted_ids(seed: int, items: int) -> np.ndarray:
    """Public ids of items, int64 `[items]`."""
    return generator(seed, Stream.WORLD, 0).permutation(items)


def zipf_ranks(uniform: np.ndarray, items: int, exponent: float) -> np.ndarray:
    """Ranks with density proportional to ``rank ** -exponent``, by the inverse of its integral.

    Args:
      uniform: Values in [0, 1), any shape.
      items: Number of items.
      exponent: Below 1.

    Returns:
      int64 ranks in [0, items), of the shape of ``uniform``.
    """
    power = 1.0 - exponent
    ranks = (uniform * ((items + 1.0) ** power - 1.0) + 1.0) ** (1.0 / power) - 1.0
    return np.minimum(ranks.astype(np.int64), items - 1)
