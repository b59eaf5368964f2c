import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtfx.evaluation.significance import mean_with_interval, paired_test

VALUES = st.lists(st.floats(0, 1, width=16), min_size=2, max_size=8)


def t_quantile(probability, freedom):
    """Student's t quantile by bisection of the numerically integrated density."""
    scale = math.gamma((freedom + 1) / 2) / math.sqrt(freedom * math.pi) / math.gamma(freedom / 2)

    def tail_from_zero(t):
        x = np.linspace(0, t, 20_001)
        y = scale * (1 + x**2 / freedom) ** (-(freedom + 1) / 2)
        return np.sum((y[1:] + y[:-1]) / 2 * np.diff(x))

    low, high = 0.0, 100.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if 0.5 + tail_from_zero(middle) < probability else (low, middle)
    return low


def test_interval_is_students():
    values = [0.731, 0.728, 0.735, 0.733, 0.729]
    found = mean_with_interval(values)
    assert found.n == 5
    assert found.mean == pytest.approx(statistics.fmean(values))
    error = statistics.stdev(values) / math.sqrt(5)
    assert found.half_width == pytest.approx(t_quantile(0.975, 4) * error, rel=1e-4)


@given(VALUES, VALUES)
def test_p_is_below_5_percent_where_the_interval_leaves_out_zero(one, other):
    count = min(len(one), len(other))
    found = paired_test(one[:count], other[:count])
    again = paired_test(other[:count], one[:count])
    assert again.p == pytest.approx(found.p) if found.p is not None else again.p is None
    mean, half_width = found.difference.mean, found.difference.half_width
    if found.p is not None and abs(abs(mean) - half_width) > 1e-9:
        assert (found.p < 0.05) == (abs(mean) > half_width)


def test_p_of_a_known_case():
    # t = mean / (sd / sqrt(3)) = 2 / (1 / sqrt(3)) with 2 degrees of freedom, whose distribution
    # is known in closed form: p = 1 - t / sqrt(2 + t^2).
    t = 2 * math.sqrt(3)
    assert paired_test([1, 2, 3], [0, 0, 0]).p == pytest.approx(1 - t / math.sqrt(2 + t * t))


def test_undefined_values_are_left_out_by_pairs():
    found = paired_test([0.5, None, 0.9, 0.7], [0.4, 0.3, float("nan"), 0.5])
    assert found.difference.n == 2
    assert found.difference.mean == pytest.approx(0.15)
    assert mean_with_interval([None, 0.5, float("nan"), 0.7]).n == 2


@pytest.mark.parametrize("values", [[], [None], [float("nan"), None]])
def test_no_value_has_no_mean(values):
    found = mean_with_interval(values)
    assert (found.n, found.mean, found.half_width) == (0, None, None)
    assert paired_test(values, values).p is None


def test_one_seed_has_no_interval_and_no_p():
    found = paired_test([0.7], [0.6])
    assert found.difference.mean == pytest.approx(0.1)
    assert found.difference.half_width is None
    assert found.p is None


def test_equal_differences_are_not_called_significant():
    found = paired_test([0.1, 0.3, 0.7], [0.0, 0.2, 0.6])
    assert found.p is None
    assert paired_test([0.5, 0.5], [0.5, 0.5]).p is None


def test_unequal_numbers_are_refused():
    with pytest.raises(ValueError, match="got 2 and 1"):
        paired_test([1.0, 2.0], [1.0])
