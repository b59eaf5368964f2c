"""Bayesian optimisation by a Gaussian process and an upper confidence bound, BatchRL-MTF's BO."""

from __future__ import annotations

import dataclasses
import warnings

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
class BayesianConfig(SearchConfig):
    """Settings of Bayesian optimisation; BatchRL-MTF prints none of them.

    Attributes:
      initial_points: Points of a Sobol sequence that are evaluated first; a power of two keeps it
        balanced. Ours.
      rounds: Times that the process is fitted and asked. Ours.
      batch: Points asked for, and evaluated at once, in a round. Ours. More of them use the
        simulator better, but each knows less, and each but the first costs two fits more.
      confidence: κ of the bound, mean + κ · standard deviation;
        1.96 is scikit-optimize's default.
      candidates: Random points where the bound is evaluated; the best five start L-BFGS. Ours; a
        tenth of scikit-optimize's default, which takes most of its time in six dimensions.
      finalists: Points of the highest mean of the process that are given for a last choice. Ours:
        in a world of 200 users, the first of them returned 6.54 and the best of the five by 500 new
        sessions 6.59 (six searches, points tried on 500 sessions; 6.33 and 6.48 with 100).
      low: Lowest value of every coordinate; an action's.
      high: Highest value; an action's.
    """

    initial_points: int = 16
    rounds: int = 32
    batch: int = 1
    confidence: float = 1.96
    candidates: int = 1_000
    finalists: int = 5
    low: float = -1.0
    high: float = 1.0

    def __post_init__(self) -> None:
        check_bounds(self.low, self.high)
        check_at_least(self, 2, "initial_points")
        check_at_least(self, 1, "rounds", "batch", "finalists")
        check_at_least(self, 5, "candidates")
        check_at_least(self, 0, "confidence")

    @property
    def compared(self) -> int:
        """See :attr:`SearchConfig.compared`."""
        # Its model compares all points, and takes what is luck of each for noise of its own.
        return self.batch

    @property
    def evaluations(self) -> int:
        """Points evaluated in all."""
        return self.initial_points + self.rounds * self.batch


def maximise(
    objective: Objective,
    dim: int,
    config: BayesianConfig,
    seed: int,
    progress: Progress | None = None,
) -> SearchResult:
    """Evaluates where a Gaussian process' upper confidence bound is highest.

    Args:
      objective: Points `[points, dim]` to values `[points]`: all initial points at once, then a
        batch per round.
      dim: Number of coordinates; up to about twenty, beyond which a Gaussian process needs more
        points than it can take.
      config: Settings.
      seed: Of the initial points and of the candidates.
      progress: Notified of every round.

    Returns:
      The evaluated point where the process' mean is highest, and the next ones as finalists.

    Raises:
      ValueError: if the objective gives NaN, or ``dim`` is not positive.
    """
    import skopt  # slow to import, and only needed here

    check_dim(dim)
    evaluate = CountedObjective(objective, progress)
    optimizer = skopt.Optimizer(
        [(float(config.low), float(config.high))] * dim,
        base_estimator="GP",
        n_initial_points=config.initial_points,
        initial_point_generator="sobol",
        acq_func="LCB",  # of the negative objective, which scikit-optimize makes small
        acq_func_kwargs={"kappa": config.confidence},
        acq_optimizer="lbfgs",
        acq_optimizer_kwargs={"n_points": config.candidates, "n_jobs": 1},
        model_queue_size=1,
        random_state=seed,
    )
    sizes = [config.initial_points] + [config.batch] * config.rounds
    with warnings.catch_warnings():
        # Sobol sizes that are no power of two; points asked for twice once the search has
        # converged, for which it gives random ones.
        warnings.simplefilter("ignore")
        for size in sizes:
            # A single point comes without a copy of the process to lie to.
            points = (
                [optimizer.ask()] if size == 1 else optimizer.ask(n_points=size, strategy="cl_mean")
            )
            values = evaluate(np.array(points, dtype=np.float64))
            optimizer.tell(points, (-values).tolist())
    seen = np.array(optimizer.Xi, dtype=np.float64)
    predicted = optimizer.models[-1].predict(optimizer.space.transform(optimizer.Xi))
    order = np.argsort(predicted, kind="stable")
    best = order[0]
    # A point that was asked for twice is one point.
    distinct = list(dict.fromkeys(map(tuple, seen[order].tolist())))
    finalists = np.array(distinct[: config.finalists])
    return evaluate.result(seen[best], -optimizer.yi[best], finalists)
