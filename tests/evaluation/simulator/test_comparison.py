"""Distances by hand, intervals that cover, and what is too little to be a finding."""

import numpy as np
import pytest

from mtfx.evaluation.simulator.comparison import (
    compare_quantities,
    compare_rates,
    distances,
    share_of_views,
)
from mtfx.evaluation.simulator.session_sample import sample_of_impressions
from tests.evaluation.sampled_sessions import NAMES, random_sample


def test_distances_are_those_of_the_distribution_functions():
    rng = np.random.default_rng(1)
    one, other = rng.integers(0, 9, 50), rng.integers(2, 14, 70)
    grid = np.arange(-1, 15)
    apart = [abs((one <= x).mean() - (other <= x).mean()) for x in grid]
    # On whole numbers the area between the distribution functions is a sum.
    assert distances(one, other) == (pytest.approx(max(apart)), pytest.approx(sum(apart)))


def test_the_interval_of_a_rate_covers_it_where_views_of_a_session_are_alike():
    """A naive interval of independent views would cover far less."""
    rng = np.random.default_rng(2)
    covered, naive = 0, 0
    for _ in range(400):
        views = rng.integers(5, 40, 60)
        total = rng.binomial(views, rng.beta(2, 2, 60))
        found = share_of_views(total, views)
        covered += abs(found.mean - 0.5) < found.half_width
        naive += abs(found.mean - 0.5) < 1.96 * np.sqrt(0.25 / views.sum())
    assert 0.90 <= covered / 400 <= 0.98
    assert naive / 400 < 0.7


def test_a_feedback_that_came_once_is_no_finding():
    log = random_sample(50, like=0.0, seed=0)
    log.feedback[0, 1] = 1
    likes = compare_rates(log, random_sample(2000, like=0.008, seed=1))[1]
    assert abs(likes.relative_difference) > 0.1
    assert not likes.is_notable


def test_without_watch_times_lengths_are_compared():
    found = compare_quantities(random_sample(timed=False), random_sample())
    assert [row.name for row in found] == ["length"]


def test_one_session_has_no_interval_and_no_yardstick():
    single = sample_of_impressions(NAMES, np.array([0, 0]), np.zeros((2, 2)), np.ones(2))
    length = compare_quantities(single, random_sample())[0]
    assert (length.log.half_width, length.ks_of_log) == (None, None)
    assert not length.is_notable


def test_other_feedbacks_are_refused():
    other = sample_of_impressions(("pay",), np.array([0]), np.zeros((1, 1)), None)
    with pytest.raises(ValueError, match="pay"):
        compare_quantities(random_sample(), other)
