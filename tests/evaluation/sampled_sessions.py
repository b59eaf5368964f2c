"""Sessions of two feedbacks whose rates and watch times are known, for tests of comparisons."""

import numpy as np

from mtfx.evaluation.simulator.session_sample import SessionSample, sample_of_impressions

NAMES = ("click", "like")


def random_sample(
    sessions=400, length=5.0, click=0.4, watch=10.0, like=0.02, seed=0, timed=True
) -> SessionSample:
    """Sessions of independent views.

    Args:
      sessions: How many.
      length: Mean views of one.
      click: Rate of ``click``.
      watch: Mean seconds of a view.
      like: Rate of ``like``.
      seed: Of everything random.
      timed: Whether watch times are known.
    """
    rng = np.random.default_rng(seed)
    session = np.repeat(np.arange(sessions), rng.geometric(1 / length, sessions))
    feedback = rng.random((len(session), 2)) < [click, like]
    watched = rng.exponential(watch, len(session)) if timed else None
    return sample_of_impressions(NAMES, session, feedback, watched)
