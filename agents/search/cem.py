"""The cross-entropy method (Rubinstein and Kroese, 2004); xMTF's baselines CEM-1 and CEM-2."""

from __future__ import annotations

import dataclasses

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
class CemConfig(SearchConfig):
    """Settings of the cross-entropy method; xMTF prints none of them.

    Attributes:
      population: Points per generation; ours, about ten times xMTF's six weights.
      generations: How often the distribution is fitted anew; ours, enough for it to contract.
      elite_share: Share of the points to which the distribution is fitted. 0.1 is usual for
        continuous problems (de Boer et al., "A Tutorial on the Cross-Entropy Method", 2005).
      smoothing: Share of the new fit in the next mean and deviation; 0.7, from the same tutorial's
        section 3.1, which advises 0.4 to 0.9.
      initial_deviation: Of the first distribution, whose mean is the middle of the bounds, in half
        widths of the bounds. Ours.
      min_deviation: The deviation does not fall below this, in half widths. Ours, 0.
      low: Lowest value of every coordinate; an action's.
      high: Highest value; an action's.
    """

    population: int = 64
    generations: int = 30
    elite_share: float = 0.1
    smoothing: float = 0.7
    initial_deviation: float = 0.5
    min_deviation: float = 0.0
    low: float = -1.0
    high: float = 1.0

    def __post_init__(self) -> None:
        check_bounds(self.low, self.high)
        check_at_least(self, 2, "population")
        check_at_least(self, 1, "generations")
        check_at_least(self, 0, "min_deviation")
        for name in ("elite_share", "smoothing"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share in (0, 1], got {getattr(self, name)}")
        if not self.initial_deviation > 0:
            raise ValueError(f"initial_deviation must be positive, got {self.initial_deviation}")

    @property
    def elites(self) -> int:
        """Points of a generation to which the distribution is fitted; two at least."""
        return max(2, round(self.elite_share * self.population))

    @property
    def compared(self) -> int:
        """See :attr:`SearchConfig.compared`."""
        return self.population

    @property
    def evaluations(self) -> int:
        """Points evaluated in all: the generations, and the last mean."""
        return self.population * self.generations + 1


def maximise(
    objective: Objective,
    dim: int,
    config: CemConfig,
    seed: int,
    progress: Progress | None = None,
) -> SearchResult:
    """Fits a Gaussian with independent coordinates to the best points again and again.

    Args:
      objective: Points `[population, dim]` to values `[population]`; the last call has one point.
      dim: Number of coordinates.
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
    half_width = (config.high - config.low) / 2
    mean = np.full(dim, (config.high + config.low) / 2)
    deviation = np.full(dim, config.initial_deviation * half_width)
    for _ in range(config.generations):
        points = mean + deviation * generator.standard_normal((config.population, dim))
        points = np.clip(points, config.low, config.high)
        # Stable, so that ties do not depend on the machine.
        elite = points[np.argsort(-evaluate(points), kind="stable")[: config.elites]]
        mean += config.smoothing * (elite.mean(axis=0) - mean)
        deviation += config.smoothing * (elite.std(axis=0) - deviation)
        deviation = np.maximum(deviation, config.min_deviation * half_width)
    return evaluate.result(mean, evaluate(mean[np.newaxis])[0])
