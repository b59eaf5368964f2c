"""Calibration of the intercepts that give the published rates, on a pilot of real blocks.

The pilot is simulated with the seeds of the data set itself, so that a small data set meets its
rates as well as a large one. Feedback changes satisfaction, which changes feedback; a few rounds
of simulating and solving settle that.
"""

from __future__ import annotations

import numpy as np

from mtfx.datasets.synthetic.behaviour import BlockImpressions, Intercepts, ProfileWorld, sigmoid
from mtfx.datasets.synthetic.blocks import Block
from mtfx.datasets.synthetic.simulation import make_block

#: How far each round goes to its solution. Feedback raises satisfaction and that raises feedback,
#: which a solution does not foresee, so that all the way would be too far.
_STEPS = (1.0, 0.7, 0.7, 0.7)
_BISECTIONS = 22
_MAX_SOLVED_ROWS = 30_000
#: A data set of one block this small is its own pilot, tried this often: the rates of so few
#: impressions depend on chance, and the try that came closest is kept.
_SMALL_ROWS, _SMALL_TRIES = 30_000, 16


def calibrate(seed: int, world: ProfileWorld, blocks: list[Block]) -> Intercepts:
    """Intercepts for the rates and the session length of ``world.model``.

    Args:
      seed: Of the data set.
      world: Items and responses.
      blocks: All blocks; ``pilot_blocks`` of them make the pilot, and the first alone is used in
        all rounds but the last.

    Returns:
      The intercepts; the same arguments give the same ones.
    """
    intercepts = _first_guess(world)
    if len(blocks) == 1:
        tries = _SMALL_TRIES if blocks[0].rows <= _SMALL_ROWS else world.model.block_tries
        if tries:
            return _closest_try(seed, world, blocks[0], intercepts, tries)
    places = np.linspace(0, len(blocks) - 1, world.model.pilot_blocks)
    chosen = np.unique(places.round().astype(int))
    for number, step in enumerate(_STEPS):
        last = number == len(_STEPS) - 1
        used = chosen if last else chosen[:1]
        pilot = [_simulated(seed, world, blocks[index], intercepts) for index in used]
        solved = _solve(world, pilot, world.model.solved_rows if last else _MAX_SOLVED_ROWS)
        # What is too rare to change satisfaction goes all the way at last.
        rare = last & (np.asarray(world.model.rates) < world.model.rare_below)
        intercepts = _towards(intercepts, solved, step, np.where(rare, 1, step))
    return intercepts


def _closest_try(
    seed: int, world: ProfileWorld, block: Block, intercepts: Intercepts, tries: int
) -> Intercepts:
    rates = np.asarray(world.model.rates)
    best, least = intercepts, np.inf
    for number in range(tries):
        pilot = _simulated(seed, world, block, intercepts)
        found = pilot.labels[~pilot.is_random].mean(axis=0)
        distance = float(((found - rates) ** 2 / rates).sum())
        if distance < least:
            best, least = intercepts, distance
        step = _STEPS[min(number, len(_STEPS) - 1)]
        intercepts = _towards(intercepts, _solve(world, [pilot]), step, np.full(len(rates), step))
    return best


def _first_guess(world: ProfileWorld) -> Intercepts:
    rates = np.asarray(world.model.rates)
    return Intercepts(
        tasks=np.log(rates / (1 - rates)).astype(np.float32),
        leave=-float(np.log(world.model.session_length - 1)),
        rows_per_session=world.model.session_length,
    )


def _simulated(
    seed: int, world: ProfileWorld, block: Block, intercepts: Intercepts
) -> BlockImpressions:
    return make_block(seed, world, block, intercepts, keep_scores=True)[1]


def _towards(old: Intercepts, solved: Intercepts, step: float, by_task: np.ndarray) -> Intercepts:
    return Intercepts(
        tasks=old.tasks + by_task.astype(np.float32) * (solved.tasks - old.tasks),
        leave=old.leave + step * (solved.leave - old.leave),
        rows_per_session=solved.rows_per_session,
    )


def _solve(
    world: ProfileWorld, pilot: list[BlockImpressions], rows: int = _MAX_SOLVED_ROWS
) -> Intercepts:
    standard = ~np.concatenate([impressions.is_random for impressions in pilot])
    scores = _thinned(_column(pilot, "scores")[standard], rows)
    side = _thinned(_column(pilot, "side")[standard], rows)
    leave_scores = _thinned(_column(pilot, "leave_scores"), _MAX_SOLVED_ROWS)
    leaves_at = 1.0 / world.model.session_length

    def mean_leaving(intercept: np.ndarray) -> np.ndarray:
        return sigmoid(leave_scores + intercept).mean(dtype=np.float64, keepdims=True)

    leave = float(_bisect(mean_leaving, np.array([leaves_at]), np.empty(0))[0])
    return Intercepts(
        tasks=_solve_tasks(world, scores, side),
        leave=leave,
        rows_per_session=world.model.session_length * float(standard.mean()),
    )


def _solve_tasks(world: ProfileWorld, scores: np.ndarray, side: np.ndarray) -> np.ndarray:
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


def _thinned(values: np.ndarray, rows: int) -> np.ndarray:
    return np.ascontiguousarray(values[:: -(-len(values) // rows)])


def _column(pilot: list[BlockImpressions], name: str) -> np.ndarray:
    return np.concatenate([getattr(impressions, name) for impressions in pilot])
