"""Small worlds for tests of whatever needs a simulator."""

import dataclasses

import numpy as np

from mtfx.environments.simulator.table_response import TableResponse
from mtfx.environments.simulator.user_requests import UserRequests
from mtfx.environments.simulator.world import World

FEEDBACKS = ("click", "long_view", "like")


def random_world(users=20, pool=60, tasks=3, seed=0, attributes=4, skill=1.5) -> World:
    """A world whose predictions hint at the truth.

    The first feedback is predicted by the first task, and so on; tasks beyond the feedbacks
    predict nothing. Weighting the tasks well pays: users differ in what keeps them.

    Args:
      users: How many.
      pool: Items of each user.
      tasks: Predictions of each item.
      seed: Of everything random.
      attributes: Numbers that are known of a user.
      skill: How much of the true logits the predictions show, against noise of variance 1.
    """
    rng = np.random.default_rng(seed)
    taste = rng.normal(size=(users, attributes))
    quality = rng.normal(size=(users, pool, len(FEEDBACKS)))
    logits = quality + 0.5 * taste[:, :1, None] + np.array([-0.5, -1.0, -3.0])
    shown = rng.normal(size=(users, pool, tasks))
    known = min(tasks, len(FEEDBACKS))
    shown[..., :known] += skill * logits[..., :known]
    duration = np.exp(rng.normal(2.7, 0.5, (users, pool)))
    response = TableResponse(
        FEEDBACKS,
        logits,
        median_watch_s=duration * np.exp(0.5 * quality[..., 1] - 0.5),
        duration_s=duration,
        mood=rng.normal(0.3, 0.04, users),
        leave_logits=rng.normal(-2.2, 0.3, users),
        slopes=(5.0, 4.0, 4.5),
        satisfaction_weights=(0.4, 0.4, 0.2),
    )
    return World(
        requests=UserRequests.of_strangers(taste, FEEDBACKS),
        predictions=1 / (1 + np.exp(-shown)),
        prediction_names=tuple(f"task_{i}" for i in range(tasks)),
        response=response,
        item_ids=np.stack([rng.permutation(10 * pool)[:pool] for _ in range(users)]),
        user_ids=np.arange(users),
    )


def misleading_world():
    """One prediction tells what is watched long, two tell the reverse: equal weights rank badly.

    Nobody leaves, so that all sessions are alike and what luck does to their mean is little.
    """
    world = random_world(skill=3.0)
    honest = world.predictions[..., 1]
    liars = (1 - honest, 1 - world.predictions[..., 0])
    arrays = world.response.arrays()
    arrays["leave_logits"] = np.full_like(arrays["leave_logits"], -20.0)
    return dataclasses.replace(
        world,
        predictions=np.stack([honest, *liars], axis=-1),
        response=type(world.response).restore(arrays, world.response.settings()),
    )
