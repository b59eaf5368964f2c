"""Agreement of feedbacks: how far items or users that are good by one are good by another.

Rates of an item or a user are noisy, and feedbacks to the same impression share their noise. Hence
impressions are split into two random halves: the covariance of a rate in one half with a rate in
the other half is free of sampling noise. Where feedbacks agree, a formula that weighs their
predictions has little to gain.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import polars as pl

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
#: With fewer entities nothing is said about them.
LEAST_ENTITIES = 20
#: A variance below this number of standard errors is not told apart from none.
_LEAST_CERTAINTY = 2.0
DURATION_PARTS = 6


@dataclasses.dataclass(frozen=True)
class FeedbackAgreement:
    """How far feedbacks agree about items or about users.

    Attributes:
      key: Column of the entities.
      least: Impressions of an entity in each half, or more.
      entities: How many have them.
      feedbacks: Names.
      means: Mean rate over the entities, or mean of a regression label, float64 `[feedback]`.
      spreads: Standard deviations of the true rates; NaN where the log cannot tell it from none.
      correlations: Of the true rates, float64 `[feedback, feedback]`; NaN where either standard
        deviation is.
      with_duration: Rank correlation of the mean watch time with the duration; None for users, and
        where the log lacks either.
    """

    key: str
    least: int
    entities: int
    feedbacks: tuple[str, ...]
    means: np.ndarray
    spreads: np.ndarray
    correlations: np.ndarray
    with_duration: float | None = None

    @property
    def enough(self) -> bool:
        """Whether there are enough entities to say anything."""
        return self.entities >= LEAST_ENTITIES


def agreement(
    log: pl.DataFrame,
    key: str,
    feedbacks: Sequence[str],
    least: int,
    *,
    seed: int = 0,
    watch: str | None = None,
    duration: str | None = None,
) -> FeedbackAgreement:
    """Agreement about the entities of one column.

    Args:
      log: One row per impression; feedbacks are null where unknown.
      key: Column of the entities.
      feedbacks: Columns.
      least: Impressions that an entity must have in each half.
      seed: Of the halves.
      watch: Column of the watch time, to compare with ``duration`` by rank.
      duration: Column of the duration.
    """
    names = tuple(feedbacks)
    half = np.random.default_rng(seed).integers(0, 2, log.height)
    measures = [pl.len().alias("_n"), *(pl.col(name).cast(pl.Float64).mean() for name in names)]
    if watch is not None and duration is not None:
        mean_watch = pl.col(watch).cast(pl.Float64).mean()
        measures += [mean_watch.alias("_watch"), pl.col(duration).first().alias("_duration")]
    first, second = (
        log.filter(pl.Series(half == part)).group_by(key, maintain_order=True).agg(measures)
        for part in (0, 1)
    )
    both = first.join(second, on=key, suffix="_b", maintain_order="left").filter(
        (pl.col("_n") >= least) & (pl.col("_n_b") >= least)
    )
    if both.height < LEAST_ENTITIES:
        nothing = np.full(len(names), np.nan)
        return FeedbackAgreement(
            key, least, both.height, names, nothing, nothing, np.full((len(names),) * 2, np.nan)
        )
    one = both.select(names).to_numpy()
    other = both.select(f"{name}_b" for name in names).to_numpy()
    covariances, spreads = _covariances(one, other)
    with np.errstate(invalid="ignore"):
        correlations = covariances / (spreads[:, None] * spreads)
    with_duration = None
    if watch is not None and duration is not None:
        with_duration = both.select(pl.corr("_watch", "_duration", method="spearman")).item()
    return FeedbackAgreement(
        key=key,
        least=least,
        entities=both.height,
        feedbacks=names,
        means=np.nanmean(one, axis=0),
        spreads=spreads,
        correlations=correlations,
        with_duration=with_duration,
    )


def _covariances(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Covariances of the true rates, and standard deviations where the log can tell them.

    Args:
      one: Rates in one half, float64 `[entity, feedback]`, NaN where no label is known.
      other: In the other half.
    """
    count = one.shape[1]
    cross, errors = np.full((count, count), np.nan), np.full(count, np.nan)
    for i in range(count):
        for j in range(count):
            x, y = one[:, i], other[:, j]
            known = np.isfinite(x) & np.isfinite(y)
            if known.sum() < LEAST_ENTITIES:
                continue
            products = (x[known] - x[known].mean()) * (y[known] - y[known].mean())
            cross[i, j] = products.sum() / (known.sum() - 1)
            if i == j:
                errors[i] = products.std(ddof=1) / np.sqrt(known.sum())
    variances = np.diag(cross)
    told = variances > _LEAST_CERTAINTY * errors
    spreads = np.sqrt(np.where(told, variances, np.nan))
    return (cross + cross.T) / 2, spreads


def quantiles(values: pl.Series) -> tuple[float, ...]:
    """The quantiles of ``QUANTILES``, each one of the values; null counts for nothing."""
    return tuple(float(values.quantile(q) or 0.0) for q in QUANTILES)


def rates_by_condition(log: pl.DataFrame, feedbacks: Sequence[str]) -> np.ndarray:
    """Rates of binary feedbacks with and without another one.

    Args:
      log: One row per impression.
      feedbacks: Columns of binary feedbacks.

    Returns:
      float64 `[feedback, 2, feedback]`: at ``[i, 1, j]`` the rate of j among the impressions with
      feedback i, at ``[i, 0, j]`` without it; NaN where there is none.
    """
    rates = [pl.col(name).cast(pl.Float64).mean() for name in feedbacks]
    found = [
        [log.filter(pl.col(name) == value).select(rates).row(0) for value in (0, 1)]
        for name in feedbacks
    ]
    return np.array(found, np.float64)


def means_by_duration(
    log: pl.DataFrame, duration: str, columns: Sequence[str], parts: int = DURATION_PARTS
) -> tuple[np.ndarray, np.ndarray]:
    """Means in parts of about equally many impressions, from the shortest items to the longest.

    Args:
      log: One row per impression.
      duration: Column of the items' duration; all impressions of one duration are in one part.
      columns: What to take the mean of.
      parts: How many.

    Returns:
      The greatest duration of each part, float64 `[part]`, and the means, float64 `[part, column]`.
      There are fewer parts where there are fewer durations.
    """
    values = log[duration].to_numpy()
    edges = np.sort(values)[np.arange(1, parts) * log.height // parts]
    part = pl.Series("_part", np.searchsorted(edges, values, side="right"))
    found = (
        log.with_columns(part)
        .group_by("_part")
        .agg(
            pl.col(duration).max().alias("_longest"),
            *(pl.col(name).cast(pl.Float64).mean() for name in columns),
        )
        .sort("_part")
    )
    return found["_longest"].to_numpy().astype(np.float64), found.select(columns).to_numpy()
