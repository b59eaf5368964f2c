"""True rewards: the worth of each item of a pool, by the response model itself."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from mtfx.datasets.rewards import build_reward
from mtfx.environments.simulator import draws
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.runner import as_seed

#: Impressions whose responses are drawn at once.
_ROWS_AT_ONCE = 500_000


def true_rewards(simulator: Simulator, samples: int, seed: int) -> np.ndarray:
    """Expected reward of a session's first impression, for every item of every user's pool.

    Probabilities of feedbacks are the response model's own; what depends on the watch time, whose
    caps are not linear, is the mean over drawn responses. All items of a user meet the same luck,
    so that their differences are more precise than their values.

    Args:
      simulator: Its world's response model says what is true, its rules what that is worth.
      samples: Responses per item.
      seed: Of these. To choose by one table and to judge by it would take luck for worth: judge by
        a table of another seed.

    Returns:
      float32 `[user, slot]`.

    Raises:
      ValueError: if ``samples`` is less than 1.
    """
    if samples < 1:
        raise ValueError(f"samples must be at least 1, got {samples}")
    world = simulator.world
    response = world.response
    reward = build_reward(simulator.config.reward, world.feedback_names)
    slots = tf.range(world.pool_size)

    seeds = draws.session_seeds(as_seed(seed), world.num_users)

    @tf.function(autograph=False, reduce_retracing=True)
    def of_users(users: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
        own = draws.fold_in(tf.gather(seeds, users), draws.Stream.INITIAL, number)
        satisfaction = response.initial_satisfaction(users, own)
        repeated = (tf.repeat(part, world.pool_size, axis=0) for part in (users, satisfaction, own))
        every, satisfaction, luck = repeated
        places = tf.tile(slots, tf.shape(users))
        luck = draws.fold_in(luck, draws.Stream.RESPONSE, number)
        drawn = response.respond(every, places, satisfaction, luck)
        chances = response.probabilities(every, places, satisfaction)
        return reward(chances, drawn.watch_s, response.durations_s(every, places))

    block = max(1, _ROWS_AT_ONCE // world.pool_size)
    found = np.zeros((world.num_users, world.pool_size), np.float64)
    for first in range(0, world.num_users, block):
        users = tf.range(first, min(first + block, world.num_users))
        for number in range(samples):
            values = of_users(users, tf.constant(number)).numpy()
            found[first : first + len(users)] += values.reshape(-1, world.pool_size)
    return (found / samples).astype(np.float32)
