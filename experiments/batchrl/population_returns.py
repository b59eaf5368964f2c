"""What the members of a population earn in the simulator, all side by side in one call."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from mtfx.agents.search.policies import VectorPolicy
from mtfx.environments.simulator import draws
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.fresh_sessions import FreshSessions
from mtfx.environments.simulator.requests import run_request
from mtfx.environments.simulator.runner import as_seed
from mtfx.models.fusion.base import FusionFunction


class PopulationReturns:
    """Mean discounted return of each member, on sessions that no earlier call has seen.

    All members of a call meet the same users and the same luck, so that they can be compared, and
    the next call has new ones (:class:`mtfx.environments.simulator.fresh_sessions.FreshSessions`).
    A session that has ended runs along and is not counted, so that a member's sessions stay
    together in the batch.
    """

    def __init__(
        self,
        simulator: Simulator,
        fusion: FusionFunction,
        policy: VectorPolicy,
        sessions: int,
        gamma: float,
        seed: tuple[int, int],
    ) -> None:
        """Prepares the simulation.

        Args:
          simulator: The simulator.
          fusion: Scores the candidates.
          policy: The members; its parameters are set by the search.
          sessions: Of each member in a call.
          gamma: Discount per request.
          seed: Of users and sessions.
        """
        self._simulator, self._fusion, self._policy = simulator, fusion, policy
        self._sessions, self._gamma = sessions, gamma
        self._fresh = FreshSessions(simulator.world.num_users, sessions, seed)
        self._run = tf.function(self._returns)

    def __call__(self, policy: VectorPolicy) -> np.ndarray:
        """Values `[member]`; ``policy`` is the one given at first, with new parameters."""
        users, seed = self._fresh.draw()
        members = policy.members
        seeds = tf.tile(draws.session_seeds(as_seed(seed), self._sessions), [members, 1])
        returns = self._run(tf.constant(np.tile(users, members), tf.int32), seeds)
        return returns.numpy().reshape(members, self._sessions).mean(axis=1)

    def _returns(self, users: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        session = self._simulator.reset(users, seeds)
        going = tf.ones_like(users, tf.bool)
        returns = tf.zeros_like(users, tf.float32)
        weight = tf.constant(1.0)
        # Vector policies draw nothing.
        unused = tf.zeros([2], tf.int32)
        # AutoGraph is for this loop; it need not rewrite what a request calls.
        ask = tf.autograph.experimental.do_not_convert(run_request)
        while tf.reduce_any(going):
            session, request = ask(self._simulator, self._fusion, self._policy, session, unused)
            returns += tf.where(going, weight * request.outcome.reward, 0.0)
            going &= ~request.outcome.done
            weight *= self._gamma
        return returns


def sessions_per_point(budget: int, points: int) -> int:
    """Sessions of each point so that all points together use the budget, at least one."""
    return max(budget // points, 1)
