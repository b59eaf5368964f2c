"""What is recorded of xMTF's cells: how often they fall, and their curves."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from mtfx.agents.xmtf import XmtfAgent
from mtfx.environments.simulator import draws
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.models.pairwise import violations

#: Users whose curves are kept, and points of a curve, between what is predicted at all.
CURVE_USERS, CURVE_POINTS = 8, 48
#: First requests of so many sessions are looked at for falling cells.
_REQUESTS = 200
_LOWEST = 1e-5
#: Falls of no more than this are float32's: the outer stage multiplies twice.
_ROUNDING = 1e-6


def cell_figures(agent: XmtfAgent, simulator: Simulator, seed: int) -> dict[str, float]:
    """How often a cell ranks two candidates of a request against its prediction.

    Args:
      agent: With an inner stage.
      simulator: Whose users' first requests are looked at.
      seed: Of users and requests.

    Returns:
      ``inner_violations`` and ``violations``, shares of the pairs whose predictions differ, mean
      over predictions: of the inner stage alone, and of both with the agent's own action.
    """
    candidates, states, actions = _first_requests(agent, simulator, seed, _REQUESTS)
    predictions = candidates.predictions
    inner = agent.fusion.inner(predictions, states)
    both = agent.fusion.outer.values(inner, actions)
    return {
        name: float(tf.reduce_mean(violations(predictions, values, candidates.mask, _ROUNDING)))
        for name, values in (("inner_violations", inner), ("violations", both))
    }


def cell_curves(agent: XmtfAgent, simulator: Simulator, seed: int) -> dict[str, Any]:
    """The cells' curves for some users at their first request (Figures 5 to 7).

    Returns:
      ``grid``: predictions `[point]`; ``inner`` and ``both``: values `[user][prediction][point]` of
      the inner stage alone and of both; ``ranges``: by prediction, between which values 98% of the
      candidates lie; ``names`` of the predictions.
    """
    _, states, actions = _first_requests(agent, simulator, seed, CURVE_USERS)
    grid = np.geomspace(_LOWEST, 1.0, CURVE_POINTS).astype(np.float32)
    world = simulator.world
    shape = [states.shape[0], CURVE_POINTS, world.num_predictions]
    points = tf.broadcast_to(tf.constant(grid)[tf.newaxis, :, tf.newaxis], shape)
    inner = agent.fusion.inner(points, states)
    both = agent.fusion.outer.values(inner, actions)
    known = world.predictions.reshape(-1, world.num_predictions)
    return {
        "grid": grid,
        "inner": np.swapaxes(inner.numpy(), 1, 2),
        "both": np.swapaxes(both.numpy(), 1, 2),
        "ranges": np.quantile(known, [0.01, 0.99], axis=0).T,
        "names": list(world.prediction_names),
    }


def _first_requests(
    agent: XmtfAgent, simulator: Simulator, seed: int, count: int
) -> tuple[Any, tf.Tensor, tf.Tensor]:
    """Candidates, normalised states and the agent's actions of sessions' first requests."""
    users = np.random.default_rng((seed, 41)).permutation(simulator.world.num_users)[:count]
    session = simulator.reset(
        tf.constant(users, tf.int32),
        draws.session_seeds(tf.constant([seed, 41]), len(users)),
    )
    candidates = simulator.candidates(session)
    states = simulator.observe(session, candidates)
    return candidates, agent.normalized(states), agent.greedy_actions(states)
