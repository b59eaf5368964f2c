"""Returns of a population's members in the simulator, and the sessions they are compared on.

The members are simulated side by side in one call. Sessions are new ones for every comparison and
the same within one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from mtfx.agents.search.policies import VectorPolicy
from mtfx.environments.simulator import draws
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.requests import check_fit, run_request
from mtfx.environments.simulator.runner import (
    SESSIONS_AT_ONCE,
    as_seed,
    assertions_as_value_errors,
)
from mtfx.environments.simulator.user_groups import drawn_users, user_groups
from mtfx.models.fusion.base import FusionFunction


class PopulationReturns:
    """Mean discounted return of each member, on sessions that no earlier call has seen.

    All members of a call meet the same users and the same luck, so that they can be compared, and
    the next call has new ones (:class:`mtfx.components.policy_search.returns.FreshSessions`).
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
        users: np.ndarray | None = None,
    ) -> None:
        """Prepares the simulation.

        Args:
          simulator: The simulator.
          fusion: Scores the candidates.
          policy: The members; its parameters are set by the search.
          sessions: Of each member in a call.
          gamma: Discount per request.
          seed: Of users and sessions.
          users: Those that may have sessions, indices `[n]`; those of the world that policies may
            learn from when None, see ``mtfx.environments.simulator.user_groups``.

        Raises:
          ValueError: if the fusion function is for another number of predictions.
        """
        check_fit(simulator, fusion)
        self._simulator, self._fusion, self._policy = simulator, fusion, policy
        self._sessions = sessions
        weights = [gamma**step for step in range(simulator.config.max_views)]
        self._weights = np.array(weights, np.float32)
        if users is None:
            users = user_groups(simulator.world.user_ids).training
        self._fresh = FreshSessions(users, sessions, seed)
        self._run = tf.function(
            self._returns,
            input_signature=[
                tf.TensorSpec([None], tf.int32),
                tf.TensorSpec([None, 2], tf.int32),
            ],
        )

    def __call__(self, policy: VectorPolicy) -> np.ndarray:
        """Values `[member]`; ``policy`` is the one given at first, with new parameters."""
        return self.of_sessions(policy).mean(axis=1)

    def of_sessions(self, policy: VectorPolicy) -> np.ndarray:
        """Discounted returns `[member, session]`, in float64; as :meth:`__call__`."""
        return self._simulated(policy, *self._fresh.draw())

    def _simulated(self, policy: VectorPolicy, users: np.ndarray, seed: np.ndarray) -> np.ndarray:
        seeds = draws.session_seeds(as_seed(seed), self._sessions)
        members = policy.members
        size = max(SESSIONS_AT_ONCE // members, 1)
        parts = []
        for first in range(0, self._sessions, size):
            rows = slice(first, first + size)
            batch = tf.constant(np.tile(users[rows], members), tf.int32)
            with assertions_as_value_errors():
                returns = self._run(batch, tf.tile(seeds[rows], [members, 1]))
            parts.append(returns.numpy().reshape(members, -1))
        return np.concatenate(parts, axis=1)

    def _returns(self, users: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        session = self._simulator.reset(users, seeds)
        going = tf.ones_like(users, tf.bool)
        returns = tf.zeros_like(users, tf.float64)
        weights, step = tf.constant(self._weights), 0
        # Vector policies draw nothing.
        unused = tf.zeros([2], tf.int32)
        # AutoGraph is for this loop; it need not rewrite what a request calls.
        ask = tf.autograph.experimental.do_not_convert(run_request)
        while tf.reduce_any(going):
            session, request = ask(self._simulator, self._fusion, self._policy, session, unused)
            earned = tf.where(going, weights[step] * request.outcome.reward, 0.0)
            # Sums as in ``mtfx.environments.simulator.value``, to the last bit.
            returns += tf.cast(earned, tf.float64)
            going &= ~request.outcome.done
            step += 1
        return returns


def sessions_per_point(budget: int, points: int) -> int:
    """Sessions of each point so that all points together use the budget, at least one."""
    return max(budget // points, 1)


class DrawnSessions(NamedTuple):
    """What decides on the luck of some sessions.

    Attributes:
      users: Index of each session's user, int64 `[session]`.
      seed: Of the sessions, int64 `[2]`.
    """

    users: np.ndarray
    seed: np.ndarray


class FreshSessions:
    """Draws sessions that were not drawn before.

    A search that is scored on the same few sessions again and again learns their luck by heart. So
    only points that are compared with one another meet the same sessions (common random numbers),
    and the next comparison has others.
    """

    def __init__(self, users: np.ndarray, sessions: int, seed: tuple[int, int]) -> None:
        """Starts a stream of draws.

        Args:
          users: Those that may have sessions, indices `[n]`.
          sessions: Of each draw.
          seed: Of the stream. Streams of different seeds have no session in common: keep one for
            what the search must not have seen.

        Raises:
          ValueError: if a number is not positive.
        """
        if len(users) < 1 or sessions < 1:
            raise ValueError(f"sessions need users and a number, got {len(users)} and {sessions}")
        self._users, self._sessions = users, sessions
        self._generator = np.random.default_rng(seed)

    def draw(self) -> DrawnSessions:
        """The next sessions."""
        users = drawn_users(self._users, self._sessions, self._generator)
        return DrawnSessions(users, self._generator.integers(2**31, size=2))
