import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtfx.experiments.batchrl.ope_agreement import agreement


def tau_by_pairs(first, second):
    """Kendall's tau of vectors without ties, from its definition."""
    score, pairs = 0, 0
    for i in range(len(first)):
        for j in range(i):
            score += np.sign(first[i] - first[j]) * np.sign(second[i] - second[j])
            pairs += 1
    return score / pairs


@given(st.permutations(range(8)), st.permutations(range(8)))
def test_tau_counts_pairs_in_the_same_order(first, second):
    first, second = np.array(first, float), np.array(second, float)
    found = agreement(first, second, 0, resamples=20)
    assert found.kendall_tau == pytest.approx(tau_by_pairs(first, second))
    assert found.tau_low <= found.tau_high


def test_errors_and_bounds():
    found = agreement(np.array([1.0, 3.0, 2.0, np.nan]), np.array([2.0, 2.0, 4.0, 1.0]), 0)
    assert found.policies == 3
    assert found.relative_error == pytest.approx((0.5 + 0.5 + 0.5) / 3)
    assert found.lower_bound == pytest.approx(2 / 3)


def test_the_interval_holds_a_perfect_agreement():
    truth = np.arange(12.0)
    found = agreement(0.5 * truth, truth, 0)
    assert (found.kendall_tau, found.tau_low, found.tau_high) == pytest.approx((1.0, 1.0, 1.0))
    assert found.lower_bound == 1.0


def test_too_little_is_undefined_and_not_an_error():
    assert np.isnan(agreement(np.array([np.nan, 1.0]), np.array([1.0, 2.0]), 0).kendall_tau)
    assert np.isnan(agreement(np.ones(3), np.arange(3.0), 0).kendall_tau)
    with pytest.raises(ValueError, match="one estimate per policy"):
        agreement(np.ones(3), np.ones(2), 0)
