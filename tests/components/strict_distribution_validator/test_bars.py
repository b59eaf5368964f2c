"""A bar is what two samples of one distribution show: by theory, and by drawing them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtfx.components.strict_distribution_validator import bars
from mtfx.components.strict_distribution_validator.comparison import divergence

DRAWS = 4000
#: Of a share of false alarms at level 0.05, by three standard errors of the draws.
ALLOWED = 0.05 + 3 * math.sqrt(0.05 * 0.95 / DRAWS)

sizes = st.tuples(st.floats(20, 1e9), st.floats(20, 1e9))
levels = st.floats(1e-6, 0.1)


def _divergences(first, second, n, m):
    rng = np.random.default_rng(0)
    counts = rng.multinomial(n, first, DRAWS) / n, rng.multinomial(m, second, DRAWS) / m
    return np.array([divergence(a, b) for a, b in zip(*counts, strict=True)])


@pytest.mark.parametrize(("n", "m"), [(500, 500), (400, 5000), (20_000, 9000)])
@pytest.mark.parametrize("cells", [2, 20])
def test_two_samples_of_one_distribution_lie_as_far_apart_as_theory_says(n, m, cells):
    share = np.random.default_rng(1).dirichlet(np.full(cells, 5.0))
    found = _divergences(share, share, n, m)
    expected = (cells - 1) * (1 / n + 1 / m) / (8 * math.log(2))
    assert found.mean() == pytest.approx(expected, rel=0.1)
    bar = bars.divergence_bar(0.0, cells, (n, m), 0.05)
    assert 0.02 < np.mean(found > bar) < ALLOWED + 0.01


@pytest.mark.parametrize(("n", "m"), [(500, 500), (400, 5000), (20_000, 9000)])
def test_two_worlds_that_differ_by_the_margin_are_seldom_refused(n, m):
    first = np.full(20, 0.05)
    second = first * np.where(np.arange(20) % 2, 1.6, 0.4)
    margin = divergence(first, second)
    found = _divergences(first, second, n, m)
    assert np.mean(found > bars.divergence_bar(margin, 20, (n, m), 0.05)) < ALLOWED
    # A bar of the margin alone refuses every other day.
    assert np.mean(found > margin) > 0.4


@pytest.mark.parametrize("rate", [0.001, 0.02, 0.45])
@pytest.mark.parametrize(("n", "m"), [(2000, 2000), (800, 20_000), (20_000, 3000)])
@pytest.mark.parametrize("rises", [True, False])
def test_odds_that_differ_by_the_margin_are_seldom_refused(rate, n, m, rises):
    odds = rate / (1 - rate) * (1.25 if rises else 1 / 1.25)
    rng = np.random.default_rng(0)
    pairs = zip(
        rng.binomial(n, odds / (1 + odds), DRAWS) / n,
        rng.binomial(m, rate, DRAWS) / m,
        strict=True,
    )
    limit = bars.score_limit(0.1)
    refused = np.mean([bars.odds_score(pair, (n, m), 1.25) > limit for pair in pairs])
    assert refused < ALLOWED + 0.01


def test_a_rare_label_that_is_gone_is_told_from_one_that_nobody_gave():
    limit = bars.score_limit(2e-4)
    assert bars.odds_score((0.0, 0.017), (9000, 9000), 1.25) > limit
    assert bars.odds_score((0.0, 0.0005), (9000, 9000), 1.25) < limit
    assert bars.odds_score((0.0, 0.0005), (900_000, 900_000), 1.25) > limit
    assert bars.odds_score((0.0, 0.0), (9000, 9000), 1.25) == -math.inf
    assert bars.odds_score((1.0, 1.0), (9000, 9000), 1.25) == -math.inf


@given(st.floats(0, 1), st.floats(0, 1), sizes, st.floats(1.01, 10))
def test_the_score_is_a_number_whatever_the_rates(first, second, size, margin):
    assert not math.isnan(bars.odds_score((first, second), size, margin))
    assert bars.odds_score((first, first), size, margin) <= 0


@given(st.floats(0.001, 0.999), st.floats(0.001, 0.999), sizes, levels)
def test_the_odds_bar_is_where_the_score_refuses(first, second, size, level):
    bar = bars.odds_bar(1.25, second, size, level, first >= second)
    assert bar > 1.25
    ratio = bars.odds_ratio((first, second))
    far = max(ratio, 1 / ratio)
    refused = bars.odds_score((first, second), size, 1.25) > bars.score_limit(level)
    if abs(far / bar - 1) > 1e-6:
        assert refused == (far > bar)


@given(st.floats(0.001, 0.5), sizes, levels, st.integers(2, 100))
def test_bars_are_margins_of_large_samples_and_wider_ones_of_small(margin, size, level, cells):
    larger = (size[0] * 4, size[1] * 4)
    huge = (1e13, 1e13)
    for bar, limit in (
        (lambda n: bars.divergence_bar(margin, cells, n, level), margin),
        (lambda n: bars.share_bar(margin, n, level), margin),
        (lambda n: bars.ratio_bar(1 + margin, n, level), 1 + margin),
    ):
        assert limit <= bar(larger) <= bar(size) * (1 + 1e-3)
        assert bar(huge) == pytest.approx(limit, rel=0.02)


def test_the_largest_change_of_a_share_and_the_count_of_users_rows_keep_their_levels():
    rng = np.random.default_rng(0)
    first = rng.binomial(700, 0.5, DRAWS) / 700
    second = rng.binomial(3000, 0.6, DRAWS) / 3000
    bar = bars.share_bar(0.1, (700, 3000), 0.1)
    assert np.mean(np.abs(first - second) > bar) < ALLOWED
    # Users come by chance, each with 1 to 9 rows.
    rows = rng.integers(1, 10, (2, DRAWS, 1000)) * rng.binomial(1, 0.3, (2, DRAWS, 1000))
    first, second = rows.sum(-1)
    effective = first.mean() ** 2 / np.square(rows).sum(-1).mean()
    ratio = np.maximum(first, second) / np.minimum(first, second)
    assert np.mean(ratio > bars.ratio_bar(1.0, (effective, effective), 0.05)) < ALLOWED
