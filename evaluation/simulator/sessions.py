"""Sessions of a simulator in which users are shown what the log showed them."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from mtfx.environments.simulator import draws
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.runner import SESSIONS_AT_ONCE, as_seed, checked_users
from mtfx.environments.simulator.session import Candidates, SessionState


@dataclasses.dataclass(frozen=True)
class LoggedItems:
    """Shows a random one of the items that the log showed the user, none twice in a session.

    So a simulated session differs from a logged one by how users respond, and not by what a better
    or a worse policy would show them: whoever chose the log's items knew things of users and items
    that are not in the log.

    Attributes:
      counts: Of each user's pool, the first so many items are the log's and the others are random
        ones, int `[user]`.
      random_share: Chance of a random item instead. Such a view is marked, so that it can be left
        out where the log does not have it.
    """

    counts: np.ndarray
    random_share: float = 0.0

    def choose(
        self, candidates: Candidates, users: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Chooses a candidate for each request.

        Args:
          candidates: The whole pool in random order.
          users: int32 `[batch]`.
          seed: int32 `[2]`.

        Returns:
          Column of the chosen candidate, int32 `[batch]`, and whether the item was to be a random
          one, bool `[batch]`. Once a user's logged items are used up, random ones take their place.
        """
        at_random = tf.random.stateless_uniform(tf.shape(users), seed) < self.random_share
        count = tf.gather(tf.constant(self.counts, tf.int32), users)
        is_logged = candidates.slots < count[:, tf.newaxis]
        wanted = tf.not_equal(is_logged, at_random[:, tf.newaxis])
        rank = tf.where(candidates.mask, 1 + tf.cast(wanted, tf.int32), 0)
        return tf.argmax(rank, axis=1, output_type=tf.int32), at_random


class SimulatedViews(NamedTuple):
    """Simulated impressions, session by session.

    Attributes:
      session: Number of each one's session, from 0, ascending, int64 `[n]`.
      feedback: 0 or 1, float32 `[n, feedback]`.
      watch_s: Seconds, float32 `[n]`.
      at_random: Whether a random item was shown on purpose, bool `[n]`.
    """

    session: np.ndarray
    feedback: np.ndarray
    watch_s: np.ndarray
    at_random: np.ndarray


def simulate_sessions(
    simulator: Simulator, policy: LoggedItems, users: np.ndarray, seed: int
) -> SimulatedViews:
    """Runs a session for each user.

    Args:
      simulator: The simulator, whose requests offer the whole pool.
      policy: How items are chosen.
      users: Index of each session's user, int `[session]`.
      seed: Of everything random.

    Returns:
      The impressions; no session is longer than the simulator's view cap.

    Raises:
      ValueError: if there are no users or unknown ones, or requests offer a part of the pool.
    """
    users = checked_users(users, simulator.world.num_users)
    if simulator.num_candidates < simulator.world.pool_size:
        raise ValueError(
            f"requests must offer the whole pool of {simulator.world.pool_size} items, not "
            f"{simulator.num_candidates}: the log's items are looked for among them"
        )
    base = as_seed(seed)
    seeds = draws.session_seeds(base, len(users))

    @tf.function(reduce_retracing=True, autograph=False)
    def step(session: SessionState, step_seed: tf.Tensor):
        chosen, at_random = policy.choose(simulator.candidates(session), session.users, step_seed)
        following, outcome = simulator.step(session, chosen)
        going = tf.where(~outcome.done)[:, 0]
        kept = SessionState(*(tf.gather(part, going) for part in following))
        return kept, going, (outcome.feedback, outcome.watch_s, at_random)

    parts: list[tuple[np.ndarray, ...]] = []
    for first in range(0, len(users), SESSIONS_AT_ONCE):
        rows = slice(first, first + SESSIONS_AT_ONCE)
        session = simulator.reset(tf.constant(users[rows]), seeds[rows])
        numbers = first + np.arange(len(users[rows]))
        block_seed, views = tf.random.experimental.stateless_fold_in(base, first), 0
        while len(numbers):
            step_seed = tf.random.experimental.stateless_fold_in(block_seed, views)
            session, going, outcome = step(session, step_seed)
            parts.append((numbers, *(part.numpy() for part in outcome)))
            numbers, views = numbers[going.numpy()], views + 1
    columns = [np.concatenate(part) for part in zip(*parts, strict=True)]
    order = np.argsort(columns[0], kind="stable")
    return SimulatedViews(*(column[order] for column in columns))
