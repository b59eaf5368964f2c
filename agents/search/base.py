"""The common part of the searches: bounds, the counted and checked objective, and the result."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from mtfx.config import Config

#: Points float64 `[points, dim]` to values `[points]`, to be made as large as possible. All points
#: of a call may be evaluated at once, for example side by side in the simulator.
Objective = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class SearchStep:
    """One call of the objective.

    Attributes:
      evaluations: Points evaluated so far, this call's among them.
      mean_value: Mean value of this call's points.
      best_value: Best value of any point so far.
    """

    evaluations: int
    mean_value: float
    best_value: float


#: Notified of every call of the objective.
Progress = Callable[[SearchStep], None]


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
      best: The point it recommends, float64 `[dim]`: the middle of the last search distribution,
        or what a model of the objective holds to be best. Where the objective is noisy this is not
        the point with the highest value seen, which was lucky more often than it is good.
      value: The objective's value at ``best``, as seen.
      history: One entry per call of the objective.
      finalists: Points that may be the best, ``best`` first, float64 `[point, dim]`: where the
        objective is noisy, one is to be chosen by values that the search has not seen. None where
        the search itself averages over its points.
    """

    best: np.ndarray
    value: float
    history: tuple[SearchStep, ...]
    finalists: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class SearchConfig(Config):
    """Settings of a search; all have defaults."""

    @property
    def compared(self) -> int:
        """How many points of a call are compared with one another alone.

        They are to be tried on the same sessions, and those of the next comparison on others.
        """
        raise NotImplementedError


class CountedObjective:
    """The objective, with its values checked and its history kept.

    Attributes:
      history: One entry per call.
    """

    def __init__(self, objective: Objective, progress: Progress | None = None) -> None:
        """Wraps an objective.

        Args:
          objective: What is searched.
          progress: Notified of every call.
        """
        self._objective = objective
        self._progress = progress
        self.history: list[SearchStep] = []

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Evaluates points.

        Args:
          points: float64 `[points, dim]`.

        Returns:
          float64 `[points]`.

        Raises:
          ValueError: if the objective gives another shape, or a value that is NaN or infinite.
        """
        values = np.asarray(self._objective(points.copy()), dtype=np.float64)
        if values.shape != (len(points),):
            raise ValueError(
                f"the objective must give one value for each of {len(points)} points, got shape "
                f"{values.shape}"
            )
        if not np.all(np.isfinite(values)):
            which = int(np.flatnonzero(~np.isfinite(values))[0])
            raise ValueError(
                f"the objective is {values[which]} at {np.array2string(points[which], precision=4)}"
                "; a search needs finite values: look for sessions without views, or divisions by "
                "zero, in what it measures"
            )
        earlier = self.history[-1] if self.history else SearchStep(0, -np.inf, -np.inf)
        step = SearchStep(
            earlier.evaluations + len(points),
            float(values.mean()),
            max(earlier.best_value, float(values.max())),
        )
        self.history.append(step)
        if self._progress is not None:
            self._progress(step)
        return values

    def result(
        self, best: np.ndarray, value: float, finalists: np.ndarray | None = None
    ) -> SearchResult:
        """The result, with the history so far."""
        return SearchResult(best, float(value), tuple(self.history), finalists)


def check_dim(dim: int) -> None:
    """Raises ValueError if a search has no dimension."""
    if dim < 1:
        raise ValueError(f"a search needs at least one dimension, got {dim}")


def check_bounds(low: float, high: float) -> None:
    """Raises ValueError unless bounds are finite and low < high."""
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise ValueError(f"bounds must be finite with low < high, got low {low} and high {high}")


def check_at_least(config: object, least: float, *names: str) -> None:
    """Raises ValueError naming the first of a config's fields that is less than ``least``."""
    for name in names:
        if not getattr(config, name) >= least:
            raise ValueError(f"{name} must be at least {least}, got {getattr(config, name)}")
