"""Runs of sessions to their end: thousands side by side, in batches that shrink as users leave."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from mtfx.environments.simulator import draws
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.requests import Request, check_fit, run_request
from mtfx.environments.simulator.session import SessionState
from mtfx.models.action_policy import ActionPolicy
from mtfx.models.fusion.base import FusionFunction

#: Sessions side by side; more take more memory and are hardly faster.
SESSIONS_AT_ONCE = 4_096

# How TensorFlow words what tf.debugging.Assert and assert_all_finite were given to say.
_ASSERTION = re.compile(r"assertion failed:(.*?)(?:\n\t \[\[|\Z)", re.DOTALL)
_NOT_FINITE = re.compile(r"^(?:\{\{.*?\}\} )*(.+) : Tensor had .+ values", re.MULTILINE)

Seed = int | Sequence[int] | np.ndarray


class SessionRunner:
    """Runs sessions with one policy. Traced once, so keep it to run a policy again.

    Attributes:
      simulator: The simulator.
    """

    def __init__(self, simulator: Simulator, fusion: FusionFunction, policy: ActionPolicy) -> None:
        """Prepares the step.

        Args:
          simulator: The simulator.
          fusion: Scores the candidates.
          policy: Chooses the actions.

        Raises:
          ValueError: if the fusion function is for another number of predictions.
        """
        check_fit(simulator, fusion)
        self.simulator = simulator
        self._fusion, self._policy = fusion, policy
        self._step = tf.function(
            self._request,
            input_signature=[_session_spec(simulator), tf.TensorSpec([2], tf.int32)],
            autograph=False,
        )

    def elsewhere(self, simulator: Simulator) -> SessionRunner:
        """Runs sessions of another simulator with the same policy and fusion.

        Raises:
          ValueError: if that one has another number of predictions.
        """
        return SessionRunner(simulator, self._fusion, self._policy)

    def run(self, users: np.ndarray, seed: Seed) -> Iterator[tuple[np.ndarray, int, Request]]:
        """Runs a session for each user.

        Args:
          users: Index of each session's user, int `[session]`; a user may come more than once.
          seed: Session i with the same seed meets the same luck under any policy.

        Yields:
          The index of the sessions that are still going, int64 `[batch]`, in order; the number of
          the step; and the request that each of them makes.

        Raises:
          ValueError: if there are no users or unknown ones, or the policy gives an action that is
            NaN, out of bounds or of the wrong size, or the scores are not finite.
        """
        known = checked_users(users, self.simulator.world.num_users)
        seed_tensor = as_seed(seed)
        seeds = draws.session_seeds(seed_tensor, len(known))
        for first in range(0, len(known), SESSIONS_AT_ONCE):
            rows = slice(first, first + SESSIONS_AT_ONCE)
            with assertions_as_value_errors():
                session = self.simulator.reset(tf.constant(known[rows]), seeds[rows])
                yield from self._run_all(session, first, seed_tensor)

    def _run_all(
        self, session: SessionState, first: int, seed: tf.Tensor
    ) -> Iterator[tuple[np.ndarray, int, Request]]:
        policy_seed = tf.random.experimental.stateless_fold_in(seed, first)
        indices = first + np.arange(int(session.users.shape[0]))
        step = 0
        while len(indices):
            step_seed = tf.random.experimental.stateless_fold_in(policy_seed, step)
            session, request = self._step(session, step_seed)
            yield indices, step, request
            indices = indices[~request.outcome.done.numpy()]
            step += 1

    def _request(self, session: SessionState, seed: tf.Tensor) -> tuple[SessionState, Request]:
        following, request = run_request(self.simulator, self._fusion, self._policy, session, seed)
        going = tf.where(~request.outcome.done)[:, 0]
        return SessionState(*(tf.gather(part, going) for part in following)), request


def as_seed(seed: Seed) -> tf.Tensor:
    """A seed of stateless ops, int32 `[2]`, from an int or two of them."""
    numbers = np.atleast_1d(np.asarray(seed))
    if numbers.size == 1:
        numbers = np.array([numbers[0], 0])
    if numbers.shape != (2,) or not np.issubdtype(numbers.dtype, np.integer):
        raise ValueError(f"a seed is one or two integers, got {seed!r}")
    return tf.constant(numbers.astype(np.int64).astype(np.int32))


def checked_users(users: np.ndarray, num_users: int) -> np.ndarray:
    """Indices of users as int32; raises ValueError if there are none or unknown ones."""
    values = np.asarray(users)
    if values.ndim != 1 or not values.size:
        raise ValueError(f"name at least one user, as a vector; got shape {list(values.shape)}")
    if not np.issubdtype(values.dtype, np.integer):
        raise ValueError(f"users are indices, got {values.dtype}")
    if values.min() < 0 or values.max() >= num_users:
        wrong = values[(values < 0) | (values >= num_users)][0]
        raise ValueError(f"there is no user {wrong}: the world has {num_users} users, from 0 on")
    return values.astype(np.int32)


@contextlib.contextmanager
def assertions_as_value_errors() -> Iterator[None]:
    """A failed assertion of a ``tf.function`` as a ValueError with its message."""
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        message = str(error.message)
        found = _ASSERTION.search(message) or _NOT_FINITE.search(message)
        if found is None:
            raise
        raise ValueError(found[1].strip()) from error


def _session_spec(simulator: Simulator) -> SessionState:
    example = simulator.reset(tf.zeros([1], tf.int32), tf.constant([0, 0]))
    return SessionState(*(tf.TensorSpec([None, *part.shape[1:]], part.dtype) for part in example))
