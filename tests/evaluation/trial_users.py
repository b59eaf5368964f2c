"""Users of a trial who differ in how much they watch, for tests of its statistics."""

import numpy as np

from mtfx.evaluation.ab_test.user_totals import ArmLog


def random_arm(name, users, days, seed, *, lift=1.0, late=False, away=0.3) -> ArmLog:
    """An arm's log.

    Args:
      name: Of the arm.
      users: How many.
      days: Of the trial.
      seed: Of everything random.
      lift: Watch times are multiplied by this.
      late: Whether users join on random days.
      away: Chance that a user does not come on a day after their first.
    """
    rng = np.random.default_rng(seed)
    habit = rng.lognormal(0.0, 0.8, users)
    plays = rng.poisson(6 * habit[:, None], (users, days)) + 1
    watch = plays * rng.gamma(1.5, 10.0, (users, days)) * lift
    liking = np.minimum(0.05 * rng.lognormal(0.0, 1.0, users), 1.0)
    positives = rng.binomial(plays, liking[:, None])
    start = rng.integers(days, size=users) if late else np.zeros(users, int)
    place = np.arange(days)
    present = (place == start[:, None]) | (
        (place > start[:, None]) & (rng.random((users, days)) >= away)
    )
    user, day = np.nonzero(present)
    values = np.stack([watch, plays, positives], axis=-1)[user, day]
    return ArmLog(name, user, day, values.astype(np.float64))
