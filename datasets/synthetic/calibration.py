"""Finds the intercepts with which the published rates come out, on a pilot of real blocks.

The pilot is simulated with the seeds of the data set itself, so that a small data set meets its
rates as well as a large one. Feedback changes satisfaction, which changes feedback; a few rounds
of simulating and solving settle that.
"""

from __future__ import annotations

import numpy as np

from datasets.synthetic.behaviour import Impressions, Intercepts, World, sigmoid
from datasets.synthetic.block_simulation import make_block
from datasets.synthetic.blocks import Block

_PILOT_BLOCKS = 3
#: How far each round goes to its solution. Feedback raises satisfaction and that raises feedback,
#: which a solution does not foresee, so that all the way would be too far.
_STEPS = (1.0, 0.7, 0.7, 0.7)
_BISECTIONS = 22
_MAX_SOLVED_ROWS = 50_000


def calibrate(seed: int, world: World, blocks: list[Block]) -> Intercepts:
    """Intercepts for the rates and the session length of ``world.model``.

    Args:
      seed: Of the data set.
      world: Items and responses.
      blocks: All blocks; at most three of them make the pilot.

    Returns:
      The intercepts; the same arguments give the same ones.
    """
    model = world.model
    chosen = np.unique(np.linspace(0, len(blocks) - 1, _PILOT_BLOCKS).round().astype(int))
    rates = np.asarray(model.rates)
    intercepts = Intercepts(
        tasks=np.log(rates / (1 - rates)).astype(np.float32),
        leave=-float(np.log(model.session_length - 1)),
        rows_per_session=model.session_length,
    )
    for number, step in enumerate(_STEPS):
        used = chosen if number >= len(_STEPS) // 2 else chosen[:1]
        pilot = [
            make_block(seed, world, blocks[index], intercepts, keep_scores=True)[1]
            for index in used
        ]
        solved = _solve(world, pilot)
        intercepts = Intercepts(
            tasks=intercepts.tasks + np.float32(step) * (solved.tasks - intercepts.tasks),
            leave=intercepts.leave + step * (solved.leave - intercepts.leave),
            rows_per_session=solved.rows_per_session,
        )
    return intercepts


def _solve(world: World, pilot: list[Impressions]) -> Intercepts:
    standard = ~np.concatenate([impressions.is_random for impressions in pilot])
    scores = _thinned(_column(pilot, "scores")[standard])
    side = _thinned(_column(pilot, "side")[standard])
    leave_scores = _thinned(_column(pilot, "leave_scores"))
    leaves_at = 1.0 / world.model.session_length

    def mean_leaving(intercept: np.ndarray) -> np.ndarray:
        return sigmoid(leave_scores + intercept).mean(dtype=np.float64, keepdims=True)

    leave = float(_bisect(mean_leaving, np.array([leaves_at]), np.empty(0))[0])
    return Intercepts(
        tasks=_solve_tasks(world, scores, side),
        leave=leave,
        rows_per_session=world.model.session_length * float(standard.mean()),
    )


def _solve_tasks(world: World, scores: np.ndarray, side: np.ndarray) -> np.ndarray:
    rates = np.asarray(world.model.rates)

    def mean_rates(intercepts: np.ndarray) -> np.ndarray:
        found = world.probabilities(scores + intercepts, side)
        return found.mean(axis=0, dtype=np.float64)

    # The first feedback is solved on its own, since the others may only follow it.
    first = _bisect(mean_rates, rates, np.empty(0, np.float32))[:1]
    return _bisect(mean_rates, rates, first)


def _bisect(mean, target: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Where each entry of ``mean`` (increasing in its own argument) meets its target.

    Args:
      mean: Function of float32 `[k]` to float64 `[k]`.
      target: float64 `[k]`.
      known: The first entries of the result, if they are known.

    Returns:
      float32 `[k]`.
    """
    low, high = np.full(len(target), -16.0), np.full(len(target), 16.0)
    for _ in range(_BISECTIONS):
        middle = ((low + high) / 2).astype(np.float32)
        middle[: len(known)] = known
        above = mean(middle) > target
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    middle[: len(known)] = known
    return middle


def _thinned(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values[:: -(-len(values) // _MAX_SOLVED_ROWS)])


def _column(pilot: list[Impressions], name: str) -> np.ndarray:
    return np.concatenate([getattr(impressions, name) for impressions in pilot])
