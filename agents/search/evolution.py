"""Evolution strategy with natural gradients; BatchRL-MTF's baseline ES.

The paper: "ES uses a simple network whose inputs are user state and outputs are personalized fusion
weights. With the network, ES turns to search the optimal network parameters through natural
gradient." This is the search; ``mtfx.agents.search.policies.NetworkPolicy`` is the network.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from mtfx.agents.search.base import (
    CountedObjective,
    Objective,
    Progress,
    SearchConfig,
    SearchResult,
    check_at_least,
    check_bounds,
    check_dim,
)


@dataclasses.dataclass(frozen=True)
class EvolutionConfig(SearchConfig):
    """Settings of the separable natural evolution strategy; BatchRL-MTF prints none of them.

    Attributes:
      population: Points per generation, in mirrored pairs; even. Ours.
      generations: Steps of the natural gradient. Ours.
      initial_deviation: Of the first distribution, whose mean is 0. Ours.
      mean_learning_rate: η of the mean; 1 as in Wierstra et al. (2014), Table 1.
      deviation_learning_rate: η of the deviations; if None (3 + log dim) / (5 √dim), as there.
      bounds: Lowest and highest value of a coordinate, or None. The parameters of a network need
        none; a constant action needs (-1, 1).
    """

    population: int = 32
    generations: int = 60
    initial_deviation: float = 0.5
    mean_learning_rate: float = 1.0
    deviation_learning_rate: float | None = None
    bounds: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        check_at_least(self, 4, "population")
        check_at_least(self, 1, "generations")
        if self.population % 2:
            raise ValueError(f"population must be even, as points come in pairs; {self.population}")
        if self.bounds is not None:
            check_bounds(*self.bounds)
        for name in ("initial_deviation", "mean_learning_rate", "deviation_learning_rate"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be positive, got {value}")

    @property
    def compared(self) -> int:
        """See :attr:`SearchConfig.compared`."""
        return self.population

    @property
    def evaluations(self) -> int:
        """Points evaluated in all: the generations, and the last mean."""
        return self.population * self.generations + 1

    def deviation_rate(self, dim: int) -> float:
        """η of the deviations for ``dim`` coordinates."""
        if self.deviation_learning_rate is not None:
            return self.deviation_learning_rate
        return (3 + math.log(dim)) / (5 * math.sqrt(dim))


def rank_utilities(values: np.ndarray) -> np.ndarray:
    """What each point counts by its rank: Wierstra et al. (2014), section 3.1.

    `max(0, log(n/2 + 1) - log(rank))`, scaled to sum 1, less 1/n; the sum is 0, the worse half is
    alike. Only the order of the values counts, so that no lucky point decides alone and a reward's
    scale does not matter.

    Args:
      values: float64 `[points]`; points of equal value count alike.

    Returns:
      float64 `[points]`, in the values' order.
    """
    size = len(values)
    raw = np.maximum(0.0, math.log(size / 2 + 1) - np.log(np.arange(1, size + 1)))
    by_rank = raw / raw.sum() - 1 / size
    # Mean over ties: a flat objective moves nothing.
    _, group = np.unique(-values, return_inverse=True)
    ranks = np.argsort(np.argsort(-values, kind="stable"), kind="stable")
    totals = np.bincount(group, weights=by_rank[ranks])
    return (totals / np.bincount(group))[group]


def maximise(
    objective: Objective,
    dim: int,
    config: EvolutionConfig,
    seed: int,
    progress: Progress | None = None,
) -> SearchResult:
    """Follows the natural gradient of the expected utility under a Gaussian.

    The Gaussian has independent coordinates (SNES, Algorithm 6 of Wierstra et al., "Natural
    Evolution Strategies", JMLR 2014): with deviations s, ε ~ N(0, 1)
    and utilities u, mean += η s Σ u ε and s *= exp(η_s / 2 · Σ u (ε² - 1)). Pairs ε, -ε lower the
    variance.

    Args:
      objective: Points `[population, dim]` to values `[population]`; the last call has one point.
      dim: Number of coordinates, for example of a network's parameters.
      config: Settings.
      seed: Of the points.
      progress: Notified of every generation.

    Returns:
      The mean of the last distribution.

    Raises:
      ValueError: if the objective gives NaN, or ``dim`` is not positive.
    """
    check_dim(dim)
    evaluate = CountedObjective(objective, progress)
    generator = np.random.default_rng(seed)
    low, high = config.bounds or (-np.inf, np.inf)
    mean = np.zeros(dim) if config.bounds is None else np.full(dim, (low + high) / 2)
    deviation = np.full(dim, config.initial_deviation)
    deviation_rate = config.deviation_rate(dim)
    for _ in range(config.generations):
        half = generator.standard_normal((config.population // 2, dim))
        noise = np.concatenate([half, -half])
        utilities = rank_utilities(evaluate(np.clip(mean + deviation * noise, low, high)))
        mean = np.clip(
            mean + config.mean_learning_rate * deviation * (utilities @ noise), low, high
        )
        deviation *= np.exp(deviation_rate / 2 * (utilities @ (noise**2 - 1)))
    return evaluate.result(mean, evaluate(mean[np.newaxis])[0])
