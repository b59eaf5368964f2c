"""Regression errors against sklearn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from mtfx.evaluation.ranking.error_statistics import ErrorStatistics

values = st.floats(0.0, 1e6, width=32)


def _of(labels, predictions):
    return ErrorStatistics.of(np.array(labels), np.array(predictions), np.ones(len(labels)))


@given(st.lists(st.tuples(values, values), min_size=2, max_size=50), st.data())
@settings(max_examples=100)
def test_merged_parts_equal_sklearn(rows, data):
    labels, predictions = np.array(rows).T
    cut = data.draw(st.integers(0, len(rows)))
    merged = ErrorStatistics.merge(
        [_of(labels[:cut], predictions[:cut]), _of(labels[cut:], predictions[cut:])]
    )
    mse = sklearn_metrics.mean_squared_error(labels, predictions)
    assert merged.impressions == len(rows)
    assert merged.label_sum == pytest.approx(labels.sum())
    assert merged.mean_squared_error() == pytest.approx(mse)
    mae = sklearn_metrics.mean_absolute_error(labels, predictions)
    assert merged.mean_absolute_error() == pytest.approx(mae)
    if labels.std() > 1e-3 * labels.mean():
        expected = sklearn_metrics.r2_score(labels, predictions)
        assert merged.r_squared() == pytest.approx(expected, rel=1e-6)


def test_variance_survives_a_large_mean():
    labels = 1e9 + np.array([0.0, 1.0, 2.0])
    halves = ErrorStatistics.merge([_of(labels[:1], labels[:1]), _of(labels[1:], labels[1:])])
    assert halves.label_deviations == pytest.approx(2.0)


def test_undefined_figures_are_nan():
    assert np.isnan(ErrorStatistics.empty().mean_squared_error())
    assert np.isnan(_of([3.0, 3.0], [1.0, 2.0]).r_squared())


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(bad):
    with pytest.raises(ValueError, match="predictions of a regression task"):
        _of([1.0], [bad])
    with pytest.raises(ValueError, match="labels of a regression task"):
        _of([bad], [1.0])
